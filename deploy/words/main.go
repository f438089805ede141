// Command words shows what a module says to people, from its source: lines of the log, sentences of status and comments
// drawn at random, or each place that says what the rules of testdata/words.txt and names.txt ban.
//
//	words [-log N] [-status N] [-comments N] [-seed N]
//	words -banned [directory…]
package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/deploy/words/prose"
)

// tables is the directory of the rules.
const tables = "internal/archtest/testdata"

type options struct {
	root                  string
	log, status, comments int
	seed                  uint64
	banned                bool
	directories           []string // of banned; none means all
}

func main() {
	var o options
	flag.StringVar(&o.root, "root", ".", "the `directory` of the module")
	flag.IntVar(&o.log, "log", 0, "draw this many messages of the log")
	flag.IntVar(&o.status, "status", 0, "draw this many sentences of status")
	flag.IntVar(&o.comments, "comments", 0, "draw this many comments")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "draw the same again")
	flag.BoolVar(&o.banned, "banned", false, "list what the rules ban, in the directories named or in all")
	flag.Parse()
	o.directories = flag.Args()
	if err := run(os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(w io.Writer, o options) error {
	m, err := prose.Read(o.root)
	if err != nil {
		return err
	}
	if o.banned {
		return list(w, o, m)
	}
	random := rand.New(rand.NewPCG(o.seed, 0))
	fmt.Fprintf(w, "seed %d\n", o.seed)
	draw := func(title string, n int, suits func(prose.Passage) bool) {
		if n == 0 {
			return
		}
		drawn := slices.DeleteFunc(slices.Clone(m.Passages), func(p prose.Passage) bool { return !suits(p) })
		fmt.Fprintf(w, "\n%d of %d %s\n", min(n, len(drawn)), len(drawn), title)
		random.Shuffle(len(drawn), func(i, j int) { drawn[i], drawn[j] = drawn[j], drawn[i] })
		for _, p := range drawn[:min(n, len(drawn))] {
			fmt.Fprintf(w, "  %s  (%s:%d)\n", p.Text, p.File, p.Line(0))
		}
	}
	draw("messages of the log", o.log, func(p prose.Passage) bool { return p.Role == prose.Log })
	draw("sentences of status", o.status, func(p prose.Passage) bool { return p.Role == prose.Sentence })
	draw("comments", o.comments, func(p prose.Passage) bool { return p.Kind == prose.Comment })
	return nil
}

// list writes what is banned in the directories and below them.
func list(w io.Writer, o options, m prose.Module) error {
	faults, err := prose.Banned(m, filepath.Join(o.root, tables))
	if err != nil {
		return err
	}
	for _, f := range faults {
		if len(o.directories) == 0 || slices.ContainsFunc(o.directories, func(d string) bool {
			return f.File == path.Clean(d) || strings.HasPrefix(f.File, path.Clean(d)+"/")
		}) {
			fmt.Fprintln(w, f)
		}
	}
	return nil
}
