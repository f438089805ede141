package archtest

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/deploy/words/prose"
)

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
	for _, f := range faults {
		t.Error(f)
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
