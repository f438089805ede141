package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	Module                  *struct{ Main bool }
}

// load reads the packages of the module in dir.
func load(dir string) ([]room, error) {
	list := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,Module", "./...")
	list.Dir, list.Stderr = dir, os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var ours []listed
	exports := make(map[string]string)
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		exports[p.ImportPath] = p.Export
		if p.Module != nil && p.Module.Main && len(p.GoFiles) > 0 {
			ours = append(ours, p)
		}
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	var rooms []room
	for _, p := range ours {
		r, err := check(p, exports)
		if err != nil {
			return nil, err
		}
		if r.name, err = filepath.Rel(root, p.Dir); err != nil {
			return nil, err
		}
		rooms = append(rooms, r)
	}
	slices.SortFunc(rooms, func(a, b room) int { return b.lines - a.lines })
	return rooms, nil
}

// check type-checks one package against what its imports export.
func check(p listed, exports map[string]string) (room, error) {
	var (
		r     room
		files []*ast.File
		fset  = token.NewFileSet()
	)
	for _, name := range p.GoFiles {
		source, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			return room{}, err
		}
		file, err := parser.ParseFile(fset, name, source, parser.SkipObjectResolution)
		if err != nil {
			return room{}, err
		}
		r.lines += bytes.Count(source, []byte("\n"))
		r.files = append(r.files, name)
		files = append(files, file)
	}
	gc := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	info := types.Info{Uses: make(map[*ast.Ident]types.Object)}
	config := types.Config{Importer: gc}
	pkg, err := config.Check(p.ImportPath, fset, files, &info)
	if err != nil {
		return room{}, err
	}
	r.arrows = arrows(fset, pkg, info.Uses)
	return r, nil
}

// arrows lists each pair of files of which the first uses what the second declares, once.
func arrows(fset *token.FileSet, pkg *types.Package, uses map[*ast.Ident]types.Object) []arrow {
	seen := make(map[arrow]bool)
	for id, used := range uses {
		if used.Pkg() != pkg || !shared(used) {
			continue
		}
		a := arrow{from: fset.Position(id.Pos()).Filename, to: fset.Position(used.Pos()).Filename}
		if a.from != a.to {
			seen[a] = true
		}
	}
	var out []arrow
	for a := range seen {
		out = append(out, a)
	}
	slices.SortFunc(out, arrow.compare)
	return out
}

// shared reports whether other files can name an object: what a function declares inside is its own.
func shared(o types.Object) bool {
	switch o := o.(type) {
	case *types.Var:
		return o.IsField() || o.Parent() == o.Pkg().Scope()
	case *types.Func:
		return true
	default:
		return o.Parent() == nil || o.Parent() == o.Pkg().Scope()
	}
}
