// Package figures counts what this module tests, from its sources, and reads the pages that name tests: docs/testing.md and
// docs/track-record.md.
package figures

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Sources is what the files of a module say about its tests. Directories are relative to the module, with slashes.
type Sources struct {
	Root      string
	Functions map[string][]string // Test…, Fuzz… and Example… by directory
	Versions  []string            // released: the directories of changelog
	Lines     map[Part]int

	Targets []Target
	Scripts int // command lines in text files
	Cameras int // in text files
	Proofs  int // lines of .ci/proofs

	tests map[string][]byte // the test files of a directory, one after the other
	kept  map[string]int    // files in a directory of testdata/fuzz
}

// Target is a fuzz target.
type Target struct {
	Dir, Name string
	Kept      int // files in its testdata
	Added     int // calls of Add in its function; those in a loop add more than one input
}

// Part is for whom a Go file is.
type Part string

// The parts of a module.
const (
	Product  Part = "product"   // what a hub runs
	StandIns Part = "stand-ins" // the local cloud and the fake camera
	Tests    Part = "tests"     // with the packages that only tests import
	Tools    Part = "tools"     // benchmarks, packages, pages
)

// partOf returns the part of a file, by its slash-separated path.
func partOf(path string) Part {
	in := func(dir string) bool { return strings.HasPrefix(path, dir+"/") }
	switch {
	case strings.HasSuffix(path, "_test.go"), in("internal/testtools"), in("internal/archtest"):
		return Tests
	case in("internal/localcloud"), in("internal/fakecam"):
		return StandIns
	case in("internal"), in("cmd"):
		return Product
	}
	return Tools
}

// Read reads the module in the directory root.
func Read(root string) (Sources, error) {
	s := Sources{Root: root, Functions: make(map[string][]string), Lines: make(map[Part]int), tests: make(map[string][]byte),
		kept: make(map[string]int)}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains([]string{".git", "bin", "dist", "node_modules"}, entry.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		return s.add(path, filepath.ToSlash(rel))
	})
	if err != nil {
		return s, err
	}
	for i, target := range s.Targets {
		s.Targets[i].Kept = s.kept[target.Dir+"/testdata/fuzz/"+target.Name]
	}
	if s.Proofs, err = proofs(root); err != nil {
		return s, err
	}
	s.Versions, err = versions(root)
	return s, err
}

// add counts one file.
func (s *Sources) add(file, rel string) error {
	dir, name := path.Dir(rel), path.Base(rel)
	switch {
	case strings.Contains("/"+dir+"/", "/testdata/fuzz/"):
		s.kept[dir]++
	case strings.HasSuffix(dir, "/testdata/script") && strings.HasSuffix(name, ".txtar"):
		s.Scripts++
	case strings.HasSuffix(dir, "/testdata/cameras") && strings.HasSuffix(name, ".txt"):
		s.Cameras++
	case strings.HasSuffix(name, ".go") && !strings.Contains("/"+dir+"/", "/testdata/"):
		return s.addGo(file, rel)
	}
	return nil
}

func (s *Sources) addGo(name, rel string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	s.Lines[partOf(rel)] += bytes.Count(text, []byte("\n"))
	if !strings.HasSuffix(rel, "_test.go") {
		return nil
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := path.Dir(rel)
	s.tests[dir] = append(s.tests[dir], text...)
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil || kindOf(f.Name.Name) == "" || f.Name.Name == "TestMain" {
			continue
		}
		s.Functions[dir] = append(s.Functions[dir], f.Name.Name)
		if kindOf(f.Name.Name) == "Fuzz" {
			s.Targets = append(s.Targets, Target{Dir: dir, Name: f.Name.Name, Added: added(f)})
		}
	}
	return nil
}

// added counts the calls of Add of the *testing.F that a function gets.
func added(f *ast.FuncDecl) (n int) {
	if len(f.Type.Params.List) != 1 || len(f.Type.Params.List[0].Names) != 1 || f.Body == nil {
		return 0
	}
	fuzzer := f.Type.Params.List[0].Names[0].Name
	ast.Inspect(f.Body, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok && selector.Sel.Name == "Add" {
			if x, ok := selector.X.(*ast.Ident); ok && x.Name == fuzzer {
				n++
			}
		}
		return true
	})
	return n
}

// Seeds returns how many inputs of fuzz targets are kept in files.
func (s Sources) Seeds() (n int) {
	for _, t := range s.Targets {
		n += t.Kept
	}
	return n
}

// kindOf returns Test, Fuzz or Example for the name of such a function, and nothing for others.
func kindOf(function string) string {
	for _, kind := range []string{"Test", "Fuzz", "Example"} {
		rest, ok := strings.CutPrefix(function, kind)
		if ok && (rest == "" || !strings.ContainsAny(rest[:1], "abcdefghijklmnopqrstuvwxyz")) {
			return kind
		}
	}
	return ""
}

// Count returns how many functions of a kind there are: Test, Fuzz or Example.
func (s Sources) Count(kind string) (n int) {
	for _, names := range s.Functions {
		for _, name := range names {
			if kindOf(name) == kind {
				n++
			}
		}
	}
	return n
}

// Has reports whether a directory has a function, and a row of that name in its tests where one is named.
func (s Sources) Has(dir, function, row string) bool {
	return slices.Contains(s.Functions[dir], function) &&
		(row == "" || bytes.Contains(s.tests[dir], []byte(strconv.Quote(row))))
}

// proofs counts the lines of .ci/proofs.
func proofs(root string) (n int, err error) {
	text, err := os.ReadFile(filepath.Join(root, ".ci", "proofs"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			n++
		}
	}
	return n, err
}

// versions returns the released ones, oldest first by name.
func versions(root string) (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(root, "changelog"))
	if err != nil {
		return nil, fmt.Errorf("the versions are the directories of changelog: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && strings.Count(e.Name(), ".") == 2 {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
