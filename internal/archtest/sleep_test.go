package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Nothing sleeps but in a bubble of synctest, where it takes no time and cannot be too short. A call of time.Sleep is in
// a bubble when it is
//   - in a function literal that is passed to synctest.Test, or to a function of the package that calls synctest.Test;
//   - in a helper or a table of a file that calls synctest.Test, unless a test of the package mentions the helper outside
//     of a bubble. Names are compared, not types, and whom a helper calls is not followed.
//
// A program that has to let real time pass waits for a timer, in the same select as for its other events; a test that waits for
// something without an event uses testtools.Eventually.

// sleepers finds the calls of time.Sleep outside of bubbles in the files of one directory.
type sleepers struct {
	files    *token.FileSet
	decls    []ast.Decl
	bubbling map[string]bool      // functions that call synctest.Test
	inBubble map[ast.Node]bool    // function literals that run in one
	trusted  map[ast.Decl]bool    // what is in files that call synctest.Test
	mentions map[string][]mention // of functions by name, of methods by name with a dot before it
}

// mention is where a function's name stands: in a bubble, or else in a declaration.
type mention struct {
	in     ast.Decl
	bubble bool
}

func newSleepers(files *token.FileSet, parsed []*ast.File) *sleepers {
	s := &sleepers{
		files: files, bubbling: map[string]bool{}, inBubble: map[ast.Node]bool{}, trusted: map[ast.Decl]bool{}, mentions: map[string][]mention{},
	}
	for _, file := range parsed {
		s.decls = append(s.decls, file.Decls...)
		calls := slices.ContainsFunc(file.Decls, callsBubble)
		for _, d := range file.Decls {
			s.trusted[d] = calls
			if f, ok := d.(*ast.FuncDecl); ok {
				s.bubbling[f.Name.Name] = s.bubbling[f.Name.Name] || callsBubble(d)
			}
		}
	}
	for _, d := range s.decls {
		ast.Inspect(d, func(n ast.Node) bool { s.noteBubbles(n); return true })
	}
	for _, d := range s.decls {
		s.noteMentions(d)
	}
	return s
}

// noteBubbles notes the function literals that a call has run in a bubble.
func (s *sleepers) noteBubbles(n ast.Node) {
	call, ok := n.(*ast.CallExpr)
	if !ok || !isCall(call, "synctest", "Test") && !s.bubbling[calledName(call)] {
		return
	}
	for _, argument := range call.Args {
		if literal, ok := argument.(*ast.FuncLit); ok {
			s.inBubble[literal] = true
		}
	}
}

// noteMentions notes which functions a declaration has: those with a dot before their name are methods.
func (s *sleepers) noteMentions(d ast.Decl) {
	selected := map[ast.Node]bool{}
	s.walk(d, func(n ast.Node, bubble bool) {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			selected[n.Sel] = true
			s.mentions["."+n.Sel.Name] = append(s.mentions["."+n.Sel.Name], mention{in: d, bubble: bubble})
		case *ast.Ident:
			if !selected[n] {
				s.mentions[n.Name] = append(s.mentions[n.Name], mention{in: d, bubble: bubble})
			}
		}
	})
}

// walk visits what a declaration holds, and reports whether that is in a bubble.
func (s *sleepers) walk(d ast.Decl, visit func(n ast.Node, bubble bool)) {
	var bubbles []ast.Node // that are open
	var open []ast.Node
	ast.Inspect(d, func(n ast.Node) bool {
		if n == nil {
			last := open[len(open)-1]
			open = open[:len(open)-1]
			if len(bubbles) > 0 && bubbles[len(bubbles)-1] == last {
				bubbles = bubbles[:len(bubbles)-1]
			}
			return true
		}
		open = append(open, n)
		if s.inBubble[n] {
			bubbles = append(bubbles, n)
		}
		visit(n, len(bubbles) > 0)
		return true
	})
}

// awake lists the places of calls that are in no bubble.
func (s *sleepers) awake() (places []string) {
	for _, d := range s.decls {
		s.walk(d, func(n ast.Node, bubble bool) {
			call, ok := n.(*ast.CallExpr)
			if ok && isCall(call, "time", "Sleep") && !bubble && !s.isHelper(d) {
				places = append(places, s.files.Position(call.Pos()).String())
			}
		})
	}
	return places
}

// isHelper reports whether a declaration is a helper or a table of tests that run in bubbles.
func (s *sleepers) isHelper(d ast.Decl) bool {
	f, ok := d.(*ast.FuncDecl)
	switch {
	case !s.trusted[d]:
		return false
	case !ok:
		return true
	case isTestFunction(f):
		return false
	}
	name := f.Name.Name
	if f.Recv != nil {
		name = "." + name
	}
	return !slices.ContainsFunc(s.mentions[name], func(m mention) bool {
		in, ok := m.in.(*ast.FuncDecl)
		return !m.bubble && ok && isTestFunction(in)
	})
}

func isTestFunction(f *ast.FuncDecl) bool {
	name := f.Name.Name
	return f.Recv == nil && (strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Benchmark") || strings.HasPrefix(name, "Fuzz"))
}

// callsBubble reports whether a declaration calls synctest.Test.
func callsBubble(d ast.Decl) (calls bool) {
	ast.Inspect(d, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		calls = calls || ok && isCall(call, "synctest", "Test")
		return !calls
	})
	return calls
}

func isCall(call *ast.CallExpr, pkg, name string) bool {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	x, ok := selector.X.(*ast.Ident)
	return ok && x.Name == pkg
}

func TestNothingSleepsButInABubble(t *testing.T) {
	t.Parallel()
	files, directories := token.NewFileSet(), map[string][]*ast.File{}
	eachFile(t, func(path, _ string) {
		parsed, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			t.Error(err)
			return
		}
		directories[filepath.Dir(path)] = append(directories[filepath.Dir(path)], parsed)
	})
	for _, parsed := range directories {
		for _, place := range newSleepers(files, parsed).awake() {
			t.Errorf("%s: time.Sleep in no bubble of synctest: wait for an event, a timer or testtools.Eventually", place)
		}
	}
}

// TestASleepOutsideOfABubbleIsFound plants calls; the want is the lines that are reported.
func TestASleepOutsideOfABubbleIsFound(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ source, want string }{
		"a program": {`func run() { time.Sleep(1) }`, "[1]"},
		"a test":    {`func TestA(t *testing.T) { time.Sleep(1) }`, "[1]"},
		"a bubble":  {`func TestA(t *testing.T) { synctest.Test(t, func(t *testing.T) { time.Sleep(1) }) }`, "[]"},
		"beside a bubble": {`func TestA(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { time.Sleep(1) })
			time.Sleep(1) }`, "[3]"},
		"a goroutine in it": {`func TestA(t *testing.T) { synctest.Test(t, func(t *testing.T) { go func() { time.Sleep(1) }() }) }`, "[]"},
		"another literal": {`func TestA(t *testing.T) { synctest.Test(t, func(t *testing.T) {})
			t.Run("x", func(t *testing.T) { time.Sleep(1) }) }`, "[2]"},
		"a helper": {`func pass() { time.Sleep(1) }
			func TestA(t *testing.T) { synctest.Test(t, func(t *testing.T) { pass() }) }`, "[]"},
		"a method": {`func (s *s) pass() { time.Sleep(1) }
			func TestA(t *testing.T) { pass(); synctest.Test(t, func(t *testing.T) { x.pass() }) }`, "[]"},
		"a helper of both": {`func pass() { time.Sleep(1) }
			func TestA(t *testing.T) { synctest.Test(t, func(t *testing.T) { pass() }) }
			func TestB(t *testing.T) { pass() }`, "[1]"},
		"a method of both": {`func (s *s) pass() { time.Sleep(1) }
			func TestA(t *testing.T) { synctest.Test(t, func(t *testing.T) { x.pass() }); x.pass() }`, "[1]"},
		"a file without a bubble": {`func pass() { time.Sleep(1) }
			func TestA(t *testing.T) { bubble(t, func() { pass() }) }`, "[1]"},
		"a stage": {`func stage(t *testing.T, act func()) { synctest.Test(t, func(t *testing.T) { act() }) }
			func TestA(t *testing.T) { stage(t, func() { time.Sleep(1) }) }`, "[]"},
		"a table": {`var rows = []func(){func() { time.Sleep(1) }}
			func TestA(t *testing.T) { synctest.Test(t, func(t *testing.T) { rows[0]() }) }`, "[]"},
		"a table without a bubble": {`var rows = []func(){func() { time.Sleep(1) }}
			func TestA(t *testing.T) { rows[0]() }`, "[1]"},
	} {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, "planted.go", "package p; "+row.source, 0)
		if err != nil {
			t.Fatal(err)
		}
		lines := []string{}
		for _, place := range newSleepers(files, []*ast.File{file}).awake() {
			lines = append(lines, strings.Split(place, ":")[1])
		}
		if got := fmt.Sprint(lines); got != row.want {
			t.Errorf("%s: reported in lines %s, want %s", name, got, row.want)
		}
	}
}
