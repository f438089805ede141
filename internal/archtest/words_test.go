package archtest

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/deploy/words/prose"
)

// wordsLeft has how many faults of words each directory may still have. It only gets shorter: UPDATE_WORDS=1 writes the present
// numbers, unless their sum is higher.
const wordsLeft = "testdata/words-left.txt"

// TestTheWordsArePlain finds the phrases of testdata/words.txt in texts, and the names of testdata/names.txt in declarations.
func TestTheWordsArePlain(t *testing.T) {
	t.Parallel()
	m, err := prose.Read(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Passages) < 10000 || len(m.Declared) < 10000 {
		t.Fatalf("only %d texts and %d names were found: does the test still read them?", len(m.Passages), len(m.Declared))
	}
	faults, err := prose.Banned(m, "testdata")
	if err != nil {
		t.Fatal(err)
	}
	left, total := readWordsLeft(t)
	found := make(map[string][]prose.Fault)
	for _, f := range faults {
		found[path.Dir(f.File)] = append(found[path.Dir(f.File)], f)
	}
	if os.Getenv("UPDATE_WORDS") != "" {
		if len(faults) > total {
			t.Fatalf("%d faults of words, at most %d", len(faults), total)
		}
		writeWordsLeft(t, found)
		return
	}
	for dir, faults := range found {
		if len(faults) <= left[dir] {
			continue
		}
		for _, f := range faults {
			t.Error(f)
		}
		if left[dir] > 0 {
			t.Errorf("%s has %d faults of words; there were %d, and there may not be more", dir, len(faults), left[dir])
		}
	}
}

// readWordsLeft reads the table; without a file nothing is left.
func readWordsLeft(t *testing.T) (left map[string]int, total int) {
	t.Helper()
	left = make(map[string]int)
	data, err := os.ReadFile(wordsLeft)
	if os.IsNotExist(err) {
		return left, 0
	}
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		dir, number, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatalf("%s: %q is not a directory and a number", wordsLeft, line)
		}
		left[dir] = n
		total += n
	}
	return left, total
}

func writeWordsLeft(t *testing.T, found map[string][]prose.Fault) {
	t.Helper()
	if len(found) == 0 {
		if err := os.Remove(wordsLeft); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return
	}
	var b bytes.Buffer
	for _, dir := range slices.Sorted(maps.Keys(found)) {
		fmt.Fprintf(&b, "%s\t%d\n", dir, len(found[dir]))
	}
	if err := os.WriteFile(wordsLeft, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestEachRuleOfWordsFindsItsExample and says what to say instead. An exception is not found.
func TestEachRuleOfWordsFindsItsExample(t *testing.T) {
	t.Parallel()
	rules, err := prose.ReadRules(filepath.Join("testdata", "words.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if len(rules) < 40 {
		t.Errorf("%d phrases are banned, want 40 at least", len(rules))
	}
	for _, r := range rules {
		if len(r.Find(r.Example)) == 0 {
			t.Errorf("%v is not found in %q", r.Phrase, r.Example)
		}
		if r.Instead == "" {
			t.Errorf("%v: what to say instead is missing", r.Phrase)
		}
	}
	names, err := prose.ReadNames(filepath.Join("testdata", "names.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for name, instead := range names {
		if name != strings.ToLower(name) || instead == "" {
			t.Errorf("%q: a name in lower case and what to say instead are missing", name)
		}
	}
}
