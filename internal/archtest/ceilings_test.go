package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// Ceilings of what one reader can hold in the head. Tests have more of them, since a table is long and simple.
const (
	packageLines  = 3000 // without tests
	packageFiles  = 20   // without tests
	fileLines     = 400
	testLines     = 800
	commandLines  = 200 // a file of cmd, where each command has its own
	lineLength    = 140 // characters
	functionLines = 60
)

// commands is the package of the command line, which has a file for each command and so as many as there are.
const commands = "cmd/kvs-edge-agent"

type sourceFile struct {
	path, pkg string
	data      []byte
}

func (s sourceFile) test() bool { return strings.HasSuffix(s.path, "_test.go") }

func TestCeilings(t *testing.T) {
	t.Parallel()
	lines, files := make(map[string]int), make(map[string]int)
	eachSource(t, func(path, pkg string) { // without tests
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines[pkg] += bytes.Count(data, []byte("\n"))
		files[pkg]++
	})
	for pkg := range lines {
		if pkg == commands {
			continue
		}
		if lines[pkg] > packageLines {
			t.Errorf("%s has %d lines, at most %d: what is a noun of its own becomes a package", pkg, lines[pkg], packageLines)
		}
		if files[pkg] > packageFiles {
			t.Errorf("%s has %d files, at most %d: what is a noun of its own becomes a package", pkg, files[pkg], packageFiles)
		}
	}
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		pkg, err := filepath.Rel(root, filepath.Dir(path))
		for _, fault := range tooLarge(sourceFile{path: path, pkg: filepath.ToSlash(pkg), data: data}) {
			t.Error(fault)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// tooLarge lists the parts of a file that exceed a ceiling.
func tooLarge(s sourceFile) (faults []string) {
	limit := fileLines
	switch {
	case s.test():
		limit = testLines
	case s.pkg == commands:
		limit = commandLines
	}
	if n := bytes.Count(s.data, []byte("\n")); n > limit {
		faults = append(faults, fmt.Sprintf("%s has %d lines, at most %d", s.path, n, limit))
	}
	for i, line := range strings.Split(string(s.data), "\n") {
		if n := utf8.RuneCountInString(line); n > lineLength {
			faults = append(faults, fmt.Sprintf("%s:%d has %d characters, at most %d", s.path, i+1, n, lineLength))
		}
	}
	if s.test() {
		return faults
	}
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, s.path, s.data, parser.SkipObjectResolution)
	if err != nil {
		return append(faults, err.Error())
	}
	for _, declaration := range parsed.Decls {
		f, ok := declaration.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if n := fset.Position(f.End()).Line - fset.Position(f.Pos()).Line + 1; n > functionLines {
			faults = append(faults, fmt.Sprintf("%s: %s has %d lines, at most %d", s.path, f.Name.Name, n, functionLines))
		}
	}
	return faults
}

// TestCeilingsAreFound plants one of each.
func TestCeilingsAreFound(t *testing.T) {
	t.Parallel()
	text := func(lines int) string { return "package p\n" + strings.Repeat("\n", lines-1) }
	function := func(lines int) string { return "package p\n\nfunc f() {\n" + strings.Repeat("\n", lines-2) + "}\n" }
	line := func(length int) string { return "package p\n\n//" + strings.Repeat("é", length-2) + "\n" }
	for name, c := range map[string]struct {
		path, pkg, data string
		want            int
	}{
		"a file":                     {"x.go", "internal/p", text(fileLines), 0},
		"a long file":                {"x.go", "internal/p", text(fileLines + 1), 1},
		"a test":                     {"x_test.go", "internal/p", text(testLines), 0},
		"a long test":                {"x_test.go", "internal/p", text(testLines + 1), 1},
		"a command":                  {"x.go", commands, text(commandLines), 0},
		"a long command":             {"x.go", commands, text(commandLines + 1), 1},
		"a test of a command":        {"x_test.go", commands, text(testLines), 0},
		"a line":                     {"x.go", "internal/p", line(lineLength), 0},
		"a long line":                {"x.go", "internal/p", line(lineLength + 1), 1},
		"a long line of a test":      {"x_test.go", "internal/p", line(lineLength + 1), 1},
		"a function":                 {"x.go", "internal/p", function(functionLines), 0},
		"a long function":            {"x.go", "internal/p", function(functionLines + 1), 1},
		"a long function of a test":  {"x_test.go", "internal/p", function(functionLines + 1), 0},
		"invalid Go":                 {"x.go", "internal/p", "func", 1},
		"two long lines in one file": {"x.go", "internal/p", line(150) + line(150)[len("package p\n"):], 2},
	} {
		if got := tooLarge(sourceFile{path: c.path, pkg: c.pkg, data: []byte(c.data)}); len(got) != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestEveryPackageSaysWhatItOwns wants a comment of each package that has code.
func TestEveryPackageSaysWhatItOwns(t *testing.T) {
	t.Parallel()
	said := make(map[string]bool)
	eachSource(t, func(path, pkg string) {
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		said[pkg] = said[pkg] || parsed.Doc != nil
	})
	for pkg, ok := range said {
		if !ok {
			t.Errorf("%s has no package comment: say what it owns, and what it must not know", pkg)
		}
	}
}
