package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kinds are the first words of entries' names, in the order in which a reader wants them, with their headings.
var kinds = []struct{ word, heading string }{
	{"upgrade", "Before you upgrade"}, {"security", "Security"}, {"added", "Added"}, {"changed", "Changed"}, {"fixed", "Fixed"},
	{"removed", "Removed"},
}

const (
	unreleased = "unreleased"
	about      = "release.md" // the date in its first line, and what the release is
	longest    = 1200         // bytes of an entry: what needs more belongs into docs
)

// release is a version with its entries.
type release struct {
	version [3]int // zero for what is not released
	date    string // YYYY-MM-DD; empty for what is not released
	text    string
	entries map[string][]string // by kind, sorted by the names of their files
}

func (r release) markdown() string {
	var b strings.Builder
	title := "Unreleased"
	if r.date != "" {
		title = fmt.Sprintf("%d.%d.%d, %s", r.version[0], r.version[1], r.version[2], r.date)
	} else if len(r.entries) == 0 {
		return ""
	}
	b.WriteString("\n## " + title + "\n")
	if r.text != "" {
		b.WriteString(r.text + "\n")
	}
	for _, kind := range kinds {
		list := r.entries[kind.word]
		if len(list) == 0 {
			continue
		}
		b.WriteString("\n### " + kind.heading + "\n")
		for _, entry := range list {
			b.WriteString("- " + strings.ReplaceAll(entry, "\n", "\n  ") + "\n")
		}
	}
	return b.String()
}

// read reads all releases, the newest first. All faults are in the error.
func read(dir string) (releases []release, err error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !name.IsDir() {
			if name.Name() != "README.md" {
				err = errors.Join(err, fmt.Errorf("%s belongs to no release: move it into a directory", filepath.Join(dir, name.Name())))
			}
			continue
		}
		r, wrong := readRelease(filepath.Join(dir, name.Name()))
		releases, err = append(releases, r), errors.Join(err, wrong)
	}
	slices.SortFunc(releases, func(a, b release) int {
		if (a.date == "") != (b.date == "") {
			return cmp.Compare(a.date, b.date) // what is not released stands first
		}
		return slices.Compare(b.version[:], a.version[:])
	})
	return releases, err
}

func readRelease(dir string) (r release, err error) {
	r.entries = make(map[string][]string)
	if name := filepath.Base(dir); name != unreleased {
		if r.version, err = parseVersion(name); err != nil {
			return r, err
		}
		if err := r.readAbout(filepath.Join(dir, about)); err != nil {
			return r, err
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return r, err
	}
	for _, file := range files {
		if file.Name() == about && r.date != "" || strings.HasPrefix(file.Name(), ".") {
			continue
		}
		kind, entry, wrong := readEntry(filepath.Join(dir, file.Name()))
		if wrong != nil {
			err = errors.Join(err, wrong)
			continue
		}
		r.entries[kind] = append(r.entries[kind], entry)
	}
	return r, err
}

func parseVersion(name string) (version [3]int, err error) {
	parts := strings.Split(name, ".")
	for i := range version {
		if len(parts) != len(version) {
			break
		}
		if version[i], err = strconv.Atoi(parts[i]); err != nil || strconv.Itoa(version[i]) != parts[i] || version[i] < 0 {
			parts = nil
			break
		}
	}
	if len(parts) != len(version) {
		return version, fmt.Errorf("the directory %s is neither a version such as 0.2.0 nor %q", name, unreleased)
	}
	return version, nil
}

// readAbout reads the date in the first line of a release's own file, and what stands below it.
func (r *release) readAbout(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	first, rest, _ := strings.Cut(string(text), "\n")
	if _, err := time.Parse(time.DateOnly, first); err != nil {
		return fmt.Errorf("%s: the first line is not a date such as 2026-11-21", path)
	}
	r.date, r.text = first, strings.TrimSpace(rest)
	return nil
}

var entryName = regexp.MustCompile(`^([a-z]+)-[a-z0-9]+(-[a-z0-9]+)*\.md$`)

// readEntry reads an entry: one paragraph of whole sentences.
func readEntry(path string) (kind, text string, err error) {
	m := entryName.FindStringSubmatch(filepath.Base(path))
	if m == nil || !isKind(m[1]) {
		return "", "", fmt.Errorf("%s: the name is not KIND-WORDS.md with one of these kinds: %s", path, kindWords())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", "", err
	}
	text = strings.TrimSpace(string(data))
	switch {
	case text == "" || !strings.HasSuffix(text, "."):
		err = fmt.Errorf("%s: it is not one or more whole sentences", path)
	case strings.Contains(text, "\n\n") || strings.HasPrefix(text, "#") || strings.HasPrefix(text, "- "):
		err = fmt.Errorf("%s: it is not one paragraph", path)
	case len(text) > longest:
		err = fmt.Errorf("%s: it has %d bytes, at most %d: link to a page of docs", path, len(text), longest)
	}
	return m[1], text, err
}

func isKind(word string) bool { return strings.Contains(" "+kindWords()+" ", " "+word+" ") }

func kindWords() string {
	var words []string
	for _, kind := range kinds {
		words = append(words, kind.word)
	}
	return strings.Join(words, " ")
}
