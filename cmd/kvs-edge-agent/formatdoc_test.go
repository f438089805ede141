package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documentedNames are the names of files that a section of docs/format.md lists.
func documentedNames(t *testing.T, section string) (names []*regexp.Regexp) {
	t.Helper()
	data, err := os.ReadFile("../../docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(data), "\n## "+section+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	forms := strings.NewReplacer(`START`, `\d{8}T\d{6}\.\d{3}Z`,
		`LENGTH`, `\d+`, `STREAM`, `[^/]+`, `\*`, `[^/]+`, `EPOCH`, `\d{6}`, `…`, `.*`)
	for _, row := range regexp.MustCompile("(?m)^(?:\\| )?`([^`]+)`").FindAllStringSubmatch(text, -1) {
		names = append(names, regexp.MustCompile("^"+forms.Replace(regexp.QuoteMeta(row[1]))+"$"))
	}
	if !found || len(names) < 5 {
		t.Fatalf("docs/format.md lists %d names under %s", len(names), section)
	}
	return names
}

// expectDocumentedFiles checks that every file of a hub is one that docs/format.md names.
func expectDocumentedFiles(t *testing.T, recordings, state string) {
	t.Helper()
	expect := func(dir, section string) {
		names := documentedNames(t, section)
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) == 0 {
			t.Fatalf("%s: %d files: %v", dir, len(entries), err)
		}
		for _, e := range entries {
			name := e.Name()
			if e.IsDir() {
				name += "/"
			}
			if !slices.ContainsFunc(names, func(r *regexp.Regexp) bool { return r.MatchString(name) }) {
				t.Errorf("docs/format.md does not name %s, under %s", filepath.Join(dir, name), section)
			}
		}
	}
	expect(recordings, "Recording directory")
	expect(state, "State directory")
	streams, err := fs.Glob(os.DirFS(recordings), "*/.stream")
	if err != nil || len(streams) == 0 {
		t.Fatalf("there are no streams: %v", err)
	}
	for _, marker := range streams {
		expect(filepath.Join(recordings, filepath.Dir(marker)), "A stream's directory")
	}
}

func TestEveryFileOfAnEarlierVersionIsDocumented(t *testing.T) {
	t.Parallel()
	expectDocumentedFiles(t, filepath.Join(oldStore, "recordings"), filepath.Join(oldStore, "state"))
}
