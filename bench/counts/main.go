// Command counts counts the instructions that the hot paths take for each byte of media: packets to assembler, segmenter and
// writer, and a file to the body of an upload, both in memory. Times depend on the machine and on everything else that it does; these
// counts do not, so that continuous integration can hold them: valgrind counts each instruction of a program that does
// nothing else.
//
// Each count is the difference of two runs, of which one handles more of the film, so that the start of the program is not in it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"text/tabwriter"
)

// options of the command.
type options struct {
	film    string
	kept    string
	harness string // the program that is counted; "" for this one
	runs    int
	rounds  int    // of the film in the longer run; 0: as many as each subject takes
	only    string // the one subject that is counted; "": all
	keep    bool
}

func main() {
	var o options
	flag.StringVar(&o.film, "film", "internal/fakecam/clip.h264", "the film, Annex B of H.264")
	flag.StringVar(&o.kept, "kept", "bench/results/counts.txt", "the figures that are compared with")
	flag.StringVar(&o.harness, "harness", "", "another build of this program, to be counted instead")
	flag.IntVar(&o.runs, "runs", 3, "how often each figure is counted")
	flag.IntVar(&o.rounds, "rounds", 0, "how often the longer run handles the film, 0 for as often as takes a second")
	flag.StringVar(&o.only, "only", "", "count this subject alone: record or upload")
	flag.BoolVar(&o.keep, "keep", false, "keep the figures of this run, for this version of Go")
	flag.Parse()
	var err error
	if flag.Arg(0) == "feed" {
		err = feed(o, flag.Args()[1:])
	} else {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "counts:", err)
		os.Exit(1)
	}
}

// feed is what valgrind runs: it has a subject handle the film, and prints how many bytes that were.
func feed(o options, arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("feed SUBJECT ROUNDS")
	}
	rounds, err := strconv.Atoi(arguments[1])
	if err != nil {
		return err
	}
	f, err := readFilm(o.film)
	if err != nil {
		return err
	}
	for _, s := range subjects {
		if s.name == arguments[0] {
			bytes, err := s.feed(f, rounds)
			fmt.Println(bytes)
			return err
		}
	}
	return fmt.Errorf("there is no subject %q", arguments[0])
}

// toolchain is what the figures depend on, beside the code.
func toolchain() string { return runtime.Version() + " " + runtime.GOARCH }

// run counts all subjects and compares them with the figures that are kept.
func run(o options) error {
	if o.harness == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		o.harness = self
	}
	kept, err := readKept(o.kept)
	if err != nil {
		return err
	}
	var faults []error
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "instructions per byte, %s\tcounted\tspread\tkept\tchange\t\n", toolchain())
	for _, s := range subjects {
		if o.only != "" && o.only != s.name {
			continue
		}
		m, err := count(o, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		before, known := kept.of(toolchain(), s.name)
		switch {
		case known && !o.keep:
			fmt.Fprintf(t, "%s: %s\t%.4f\t%.2f %%\t%.4f\t%+.1f %%\t\n", s.name, s.what, m.value, 100*m.spread, before, 100*(m.value/before-1))
			faults = append(faults, m.against(s, before))
		default:
			fmt.Fprintf(t, "%s: %s\t%.4f\t%.2f %%\t-\t-\t\n", s.name, s.what, m.value, 100*m.spread)
			faults = append(faults, m.steady(s))
		}
		kept.set(toolchain(), s.name, m.value)
	}
	if err := errors.Join(append(faults, t.Flush())...); err != nil {
		return err
	}
	switch {
	case o.keep:
		return kept.write(o.kept)
	case !kept.complete:
		fmt.Printf("%s has no figures of %s: nothing was compared. Keep these with `make bench-counts-keep`.\n", o.kept, toolchain())
	}
	return nil
}
