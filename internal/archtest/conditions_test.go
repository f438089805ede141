package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// source is what the conditions' rules need of the parsed source.
type source struct {
	constants map[string]string        // "package.name" → value
	functions map[string]*ast.FuncDecl // "package.name"
	codes     map[string][]string      // code → where it is used
	unclear   []string                 // expressions that are not constants
	unclean   []string                 // faults that are made without cleaning their texts
	rows      map[[2]string]bool       // code and job of a conditiontest.Row
}

func TestEveryCodeIsDeclaredOnce(t *testing.T) {
	t.Parallel()
	s := parseSource(t)
	for _, where := range s.unclear {
		t.Errorf("%s: the code of a fault must be a constant", where)
	}
	for _, where := range s.unclean {
		t.Errorf("%s: a fault is made with health.NewFault, UserFault or SystemFault, which clean the texts that it quotes", where)
	}
	known := make(map[string]bool)
	for _, d := range health.Declarations {
		if known[d.Code] {
			t.Errorf("%s is declared twice", d.Code)
		}
		known[d.Code] = true
		if d.Title == "" || len(d.Jobs) == 0 {
			t.Errorf("%s: the declaration is incomplete", d.Code)
		}
	}
	for _, code := range health.Answers {
		if known[code] {
			t.Errorf("%s is declared as a condition and as an answer", code)
		}
		known[code] = true
	}
	for code, where := range s.codes {
		if !known[code] {
			t.Errorf("%s is not in health.Declarations: %s", code, strings.Join(where, ", "))
		}
	}
	for code := range known {
		if len(s.codes[code]) == 0 {
			t.Errorf("%s is declared, but no fault has it", code)
		}
	}
}

// TestEveryConditionHasARowOfItsEnd compares the declarations with the rows of all TestConditionsEnd.
func TestEveryConditionHasARowOfItsEnd(t *testing.T) {
	t.Parallel()
	s := parseSource(t)
	declared := make(map[[2]string]bool)
	for _, d := range health.Declarations {
		for _, job := range d.Jobs {
			declared[[2]string{d.Code, job}] = true
			if !s.rows[[2]string{d.Code, job}] {
				t.Errorf("%s of %s has no row: add one where the worker can be driven", d.Code, job)
			}
		}
	}
	for row := range s.rows {
		if !declared[row] {
			t.Errorf("the row %s of %s has no declared condition", row[0], row[1])
		}
	}
	t.Logf("%d conditions, %d rows", len(health.Declarations), len(s.rows))
}

func TestEveryConditionLeadsToAHeading(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	headings := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(string(page), -1) {
		headings[strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	for _, d := range health.Declarations {
		if !headings[d.Anchor] {
			t.Errorf("%s leads to #%s, which docs/troubleshooting.md does not have", d.Code, d.Anchor)
		}
	}
}

func parseSource(t *testing.T) *source {
	t.Helper()
	s := &source{
		constants: make(map[string]string), functions: make(map[string]*ast.FuncDecl),
		codes: make(map[string][]string), rows: make(map[[2]string]bool),
	}
	files := make(map[string]*ast.File)
	set := token.NewFileSet()
	for _, dir := range []string{"internal", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			files[path], err = parser.ParseFile(set, path, nil, 0)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	paths := slices.Sorted(maps.Keys(files))
	for range 2 { // a constant may be another one
		for _, path := range paths {
			s.declare(files[path])
		}
	}
	for _, path := range paths {
		ast.Inspect(files[path], func(n ast.Node) bool {
			if strings.HasSuffix(path, "_test.go") {
				s.row(files[path].Name.Name, n)
			} else if !strings.HasSuffix(filepath.Dir(path), filepath.Join("internal", "health")) {
				s.fault(files[path].Name.Name, n, set)
			}
			return true
		})
	}
	return s
}

// declare notes the string constants and functions of a file.
func (s *source) declare(file *ast.File) {
	pkg := file.Name.Name
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				s.functions[pkg+"."+d.Name.Name] = d
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				value, ok := spec.(*ast.ValueSpec)
				if !ok || d.Tok != token.CONST {
					continue
				}
				for i, name := range value.Names {
					if i < len(value.Values) {
						if text, ok := s.text(pkg, value.Values[i]); ok {
							s.constants[pkg+"."+name.Name] = text
						}
					}
				}
			}
		}
	}
}

// text is the value of a constant expression.
func (s *source) text(pkg string, e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.Ident:
		text, ok := s.constants[pkg+"."+e.Name]
		return text, ok
	case *ast.SelectorExpr:
		if of, ok := e.X.(*ast.Ident); ok {
			text, ok := s.constants[of.Name+"."+e.Sel.Name]
			return text, ok
		}
	case *ast.BinaryExpr: // the code, and the stream it is about
		return s.text(pkg, e.X)
	}
	return "", false
}

// codesOf are the values that an expression for a code may have.
func (s *source) codesOf(pkg string, e ast.Expr) (list []string) {
	if text, ok := s.text(pkg, e); ok {
		return []string{text}
	}
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return nil
	}
	name, ok := call.Fun.(*ast.Ident)
	if !ok || s.functions[pkg+"."+name.Name] == nil {
		return nil
	}
	ast.Inspect(s.functions[pkg+"."+name.Name].Body, func(n ast.Node) bool {
		if r, ok := n.(*ast.ReturnStmt); ok {
			list = append(list, s.codesOf(pkg, r.Results[0])...)
		}
		return true
	})
	return list
}

// fault notes the code of what makes a fault.
func (s *source) fault(pkg string, n ast.Node, set *token.FileSet) {
	var code ast.Expr
	switch n := n.(type) {
	case *ast.CallExpr:
		f, ok := n.Fun.(*ast.SelectorExpr)
		if !ok {
			return
		}
		switch of, _ := f.X.(*ast.Ident); {
		case f.Sel.Name == "Recode":
			code = n.Args[0]
		case of == nil || of.Name != "health":
		case f.Sel.Name == "UserFault" || f.Sel.Name == "SystemFault":
			code = n.Args[0]
		case f.Sel.Name == "FaultOf", f.Sel.Name == "NewFault":
			code = n.Args[1]
		}
	case *ast.CompositeLit:
		if typ, ok := n.Type.(*ast.SelectorExpr); ok && typ.Sel.Name == "Fault" {
			s.unclean = append(s.unclean, set.Position(n.Pos()).String())
		}
	}
	if code == nil {
		return
	}
	where := set.Position(code.Pos()).String()
	found := s.codesOf(pkg, code)
	if len(found) == 0 {
		s.unclear = append(s.unclear, where)
	}
	for _, text := range found {
		if text != "" { // FaultOf(err, "") only looks
			s.codes[text] = append(s.codes[text], where)
		}
	}
}

// row notes the code and the job of a conditiontest.Row.
func (s *source) row(pkg string, n ast.Node) {
	literal, ok := n.(*ast.CompositeLit)
	if !ok {
		return
	}
	values := make(map[string]string)
	for _, e := range literal.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok {
				values[key.Name], _ = s.text(pkg, kv.Value)
				if key.Name == "Start" {
					values[key.Name] = "yes"
				}
			}
		}
	}
	if values["Code"] != "" && values["Job"] != "" && values["Start"] != "" {
		s.rows[[2]string{values["Code"], values["Job"]}] = true
	}
}
