package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	repository = "../.."
	entries    = repository + "/changelog"
)

// TestTheChangelogIsAssembled compares CHANGELOG.md with the entries.
func TestTheChangelogIsAssembled(t *testing.T) {
	t.Parallel()
	var want strings.Builder
	if err := run(&want, entries, false); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(repository + "/CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want.String() {
		t.Error("CHANGELOG.md is not what its entries say: run make changelog")
	}
}

// TestTheReadmeNamesEveryKind compares the page for contributors with the code.
func TestTheReadmeNamesEveryKind(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(entries + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range kinds {
		if !strings.Contains(string(page), "| `"+kind.word+"` |") {
			t.Errorf("changelog/README.md does not explain %s", kind.word)
		}
	}
}

// files are those of a test's changelog, by path.
type files map[string]string

func (f files) write(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range f {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReleasesAndEntriesAreInOrder(t *testing.T) {
	t.Parallel()
	dir := files{
		"README.md": "how", "0.9.0/release.md": "2026-01-02\nThe ninth.\n", "0.10.0/release.md": "2026-02-03\n",
		"0.10.0/fixed-b.md": "Second.\n", "0.10.0/fixed-a.md": "First,\nof two lines.\n", "0.10.0/upgrade-x.md": "Mind the gap.\n",
		"unreleased/added-y.md": "New.\n", "unreleased/.gitkeep": "",
	}.write(t)
	for pending, want := range map[bool]string{
		true: "\n## Unreleased\n\n### Added\n- New.\n",
		false: "\n## 0.10.0, 2026-02-03\n\n### Before you upgrade\n- Mind the gap.\n\n### Fixed\n- First,\n  of two lines.\n- Second.\n" +
			"\n## 0.9.0, 2026-01-02\nThe ninth.\n",
	} {
		var got strings.Builder
		if err := run(&got, dir, pending); err != nil {
			t.Fatal(err)
		}
		text := got.String()
		if !pending {
			_, text, _ = strings.Cut(text, "(changelog/unreleased).\n")
		}
		if text != want {
			t.Errorf("unreleased %v: got\n%s\nwant\n%s", pending, text, want)
		}
	}
}

func TestNothingIsSaidOfNothingUnreleased(t *testing.T) {
	t.Parallel()
	releases, err := read(files{"unreleased/.gitkeep": ""}.write(t))
	if err != nil || len(releases) != 1 || releases[0].markdown() != "" {
		t.Errorf("%v, %v", releases, err)
	}
}

func TestWhatIsNoEntryIsNamed(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		files files
		want  string
	}{
		"a file outside":    {files{"added-x.md": "X."}, "belongs to no release"},
		"no version":        {files{"next/added-x.md": "X."}, "neither a version"},
		"half a version":    {files{"0.2/release.md": "2026-01-02"}, "neither a version"},
		"a padded version":  {files{"0.02.0/release.md": "2026-01-02"}, "neither a version"},
		"no release.md":     {files{"0.2.0/added-x.md": "X."}, "release.md"},
		"no date":           {files{"0.2.0/release.md": "tomorrow"}, "is not a date"},
		"an unknown kind":   {files{"unreleased/news-x.md": "X."}, "one of these kinds"},
		"no words":          {files{"unreleased/added.md": "X."}, "KIND-WORDS.md"},
		"another extension": {files{"unreleased/added-x.txt": "X."}, "KIND-WORDS.md"},
		"an empty entry":    {files{"unreleased/added-x.md": "\n"}, "whole sentences"},
		"half a sentence":   {files{"unreleased/added-x.md": "and"}, "whole sentences"},
		"two paragraphs":    {files{"unreleased/added-x.md": "X.\n\nY."}, "one paragraph"},
		"a heading":         {files{"unreleased/added-x.md": "# X."}, "one paragraph"},
		"a list":            {files{"unreleased/added-x.md": "- X."}, "one paragraph"},
		"an essay":          {files{"unreleased/added-x.md": strings.Repeat("x", longest) + "."}, "at most"},
		"release.md early":  {files{"unreleased/release.md": "2026-01-02"}, "KIND-WORDS.md"},
	} {
		if _, err := read(row.files.write(t)); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
	}
}
