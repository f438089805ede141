// Package prose reads what people read in a Go module: the string literals and comments of its source, and its
// Markdown pages. It knows the form of rules about words, but not the rules.
package prose

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// Kind is where a passage comes from.
type Kind int

const (
	Literal Kind = iota // a string literal, or several that are added up
	Comment             // a group of comments
	Page                // a paragraph, a table's row or another block of a Markdown page
)

// Role is what a literal is for. Those of tests have none.
type Role int

const (
	Other    Role = iota
	Log           // the message of a line of the log
	Sentence      // of a fault, or another one that status shows
)

// Passage is a text that is read in one go.
type Passage struct {
	File  string // below the root, with slashes
	Kind  Kind
	Role  Role
	Text  string // one line: white space is folded, and "…" replaces expressions between literals
	lines []mark
}

// mark is the offset in a text at which a line of the file begins.
type mark struct{ offset, line int }

// Line returns the line, from 1, of the file that holds the byte of Text at offset.
func (p Passage) Line(offset int) int {
	i, found := slices.BinarySearchFunc(p.lines, offset, func(m mark, offset int) int { return m.offset - offset })
	if !found {
		i--
	}
	return p.lines[max(i, 0)].line
}

// Module is what a module says.
type Module struct {
	Passages []Passage
	Declared []Declared
}

// Read reads all Go files and pages below root. It fails for a file that cannot be read, and for one that is not valid Go.
func Read(root string) (Module, error) {
	var m Module
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); name == ".git" || name == "node_modules" || path == filepath.Join(root, "bin") ||
				path == filepath.Join(root, "dist") {
				return filepath.SkipDir
			}
			return nil
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return m.readFile(path, filepath.ToSlash(name))
	})
	return m, err
}

func (m *Module) readFile(path, name string) error {
	extension := filepath.Ext(name)
	if extension != ".go" && extension != ".md" {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if extension == ".md" {
		m.Passages = append(m.Passages, page(name, string(data))...)
		return nil
	}
	passages, declared, err := source(name, data)
	m.Passages, m.Declared = append(m.Passages, passages...), append(m.Declared, declared...)
	return err
}

// builder makes the text of a passage.
type builder struct {
	text  strings.Builder
	lines []mark
	space bool // white space is due before the next character
}

// add appends a text that begins in a line of the file. multiline says that its line breaks are those of the file.
func (b *builder) add(text string, line int, multiline bool) {
	for _, r := range text {
		if unicode.IsSpace(r) {
			b.space = true
			if r == '\n' && multiline {
				line++
			}
			continue
		}
		if b.space && b.text.Len() > 0 {
			b.text.WriteByte(' ')
		}
		b.space = false
		if len(b.lines) == 0 || b.lines[len(b.lines)-1].line != line {
			b.lines = append(b.lines, mark{b.text.Len(), line})
		}
		b.text.WriteRune(r)
	}
}

// passage returns the added texts; ok is false when they are empty.
func (b *builder) passage(file string, kind Kind) (p Passage, ok bool) {
	return Passage{File: file, Kind: kind, Text: b.text.String(), lines: b.lines}, b.text.Len() > 0
}

// page splits a Markdown page into blocks.
func page(name, text string) (passages []Passage) {
	var b builder
	flush := func() {
		if p, ok := b.passage(name, Page); ok {
			passages = append(passages, p)
		}
		b = builder{}
	}
	fenced := false
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		fence := strings.HasPrefix(trimmed, "```")
		if fence {
			fenced = !fenced
		}
		if fenced || fence || trimmed == "" || beginsBlock(trimmed) {
			flush()
		}
		b.add(line+"\n", i+1, false)
	}
	flush()
	return passages
}

// beginsBlock reports whether a line of Markdown starts a block, instead of continuing one.
func beginsBlock(line string) bool {
	for _, prefix := range []string{"|", "#", "- ", "* ", ">"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	digits := strings.TrimLeft(line, "0123456789")
	return len(digits) < len(line) && strings.HasPrefix(digits, ". ")
}
