package prose

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const goFile = `// Package p is here
// and there.
package p

import "blue moon"

//go:generate blue moon

type t struct {
	Moon string ` + "`json:\"blue moon\"`" + ` // a field
}

/* two
lines */
func (x *t) report(log logger, sky int) {
	log.Warn("under a blue " + "moon of " + name(
		"inner", 1+2) +
		" at last")
	health.UserFault(code, nil, "The blue "+
		"moon is over.")
	for i, row := range ` + "`raw\nblue\nmoon`" + ` {
	}
	lower := "A sentence of status ends."
}
`

const markdown = `# A blue
moon

A paragraph with a blue
moon.
- an item
  goes further
1. another

| a | row |
|---|---|
` + "```\nblue\nmoon\n```\n"

// TestWhatPeopleReadIsFound lists the passages of a Go file and a page, each with its line, kind and role.
func TestWhatPeopleReadIsFound(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"internal/p/p.go": goFile, "docs/page.md": markdown, "bin/left.md": "out", "a.txt": "out"})
	m, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"docs/page.md:1 2 0 # A blue moon",
		"docs/page.md:4 2 0 A paragraph with a blue moon.",
		"docs/page.md:6 2 0 - an item goes further",
		"docs/page.md:8 2 0 1. another",
		"docs/page.md:10 2 0 | a | row |",
		"docs/page.md:11 2 0 |---|---|",
		"docs/page.md:12 2 0 ```",
		"docs/page.md:13 2 0 blue",
		"docs/page.md:14 2 0 moon",
		"docs/page.md:15 2 0 ```",
		"internal/p/p.go:1 1 0 Package p is here and there.",
		"internal/p/p.go:10 1 0 a field",
		"internal/p/p.go:13 1 0 two lines",
		"internal/p/p.go:16 0 1 under a blue moon of … at last",
		"internal/p/p.go:17 0 0 inner",
		"internal/p/p.go:19 0 2 The blue moon is over.",
		"internal/p/p.go:21 0 0 raw blue moon",
		"internal/p/p.go:25 0 2 A sentence of status ends.",
	}
	var got []string
	for _, p := range m.Passages {
		got = append(got, fmt.Sprintf("%s:%d %d %d %s", p.File, p.Line(0), p.Kind, p.Role, p.Text))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	var names []string
	for _, d := range m.Declared {
		names = append(names, fmt.Sprint(d.Line, d.Name))
	}
	if want := "[9t 10Moon 15report 15x 15log 15sky 21i 21row 25lower]"; fmt.Sprint(names) != want {
		t.Errorf("declared are %v, want %s", names, want)
	}
}

// TestMessagesInTablesAreFound: the rows of the log's vocabularies have them.
func TestMessagesInTablesAreFound(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"internal/logevent/table.go":              `package a; var rows = []Row{{Moon, info, "moon rose", "The moon rose today."}}`,
		"internal/localcloud/logevent/rows.go":    `package b; var rows = map[Event]row{Moon: {level, "moon set"}}`,
		"internal/health/declarations.go":         `package c; var list = []D{{"moon", Failed, "", "Moon is gone", anchor, nil}}`,
		"internal/elsewhere/table.go":             `package d; var rows = []Row{{Moon, info, "moon full", "x"}}`,
		"internal/localcloud/logevent/my_test.go": `package b; var rows = []row{{level, "moon new"}}`,
	})
	m, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range m.Passages {
		if p.Role != Other {
			got = append(got, fmt.Sprint(p.Role, p.Text))
		}
	}
	slices.Sort(got)
	if want := []string{"1Moon is gone", "1moon rose", "1moon set"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestBannedWordsAreFound has tables of its own.
func TestBannedWordsAreFound(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"internal/p/p.go": goFile, "docs/page.md": markdown, "docs/glossary.md": "| blue moon | a word |\n\nblue moon\n",
		"tables/words.txt": "# a comment\n(?:blue|red) moon\tsky\ta blue moon\tmoon of\nso?me\tx\tx\n", "tables/names.txt": "moon\tsun\n",
	})
	m, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	faults, err := Banned(m, filepath.Join(dir, "tables"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, f.String())
	}
	want := []string{
		`docs/glossary.md:3: "blue moon": say sky`,
		`docs/page.md:1: "blue moon": say sky`,
		`docs/page.md:4: "blue moon": say sky`,
		`internal/p/p.go:10: "Moon": say sun`,
		`internal/p/p.go:19: "blue moon": say sky`,
		`internal/p/p.go:22: "blue moon": say sky`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestATableThatIsWrongIsRefused(t *testing.T) {
	t.Parallel()
	for name, table := range map[string]string{"a column": "only\n", "a phrase": "a(\tb\tc\n", "an exception": "a\tb\tc\td(\n"} {
		dir := write(t, map[string]string{"words.txt": table})
		if rules, err := ReadRules(filepath.Join(dir, "words.txt")); err == nil {
			t.Errorf("%s: %v", name, rules)
		}
	}
}

func write(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
