package prose

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Declared is an identifier where it is declared.
type Declared struct {
	File string // below the root, with slashes
	Line int    // from 1
	Name string
}

// reader collects the texts and names of one Go file.
type reader struct {
	name     string
	fset     *token.FileSet
	passages []Passage
	declared []Declared
	done     map[ast.Node]bool // literals and sums that are part of a passage, or no text
	roles    map[ast.Node]Role // of arguments
}

// source reads a Go file.
func source(name string, data []byte) ([]Passage, []Declared, error) {
	r := reader{name: name, fset: token.NewFileSet(), done: map[ast.Node]bool{}, roles: map[ast.Node]Role{}}
	file, err := parser.ParseFile(r.fset, name, data, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, nil, err
	}
	for _, group := range file.Comments {
		r.comment(group)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		r.declarations(n)
		return r.literals(n)
	})
	return r.passages, r.declared, nil
}

func (r *reader) line(pos token.Pos) int { return r.fset.Position(pos).Line }

func (r *reader) comment(group *ast.CommentGroup) {
	var b builder
	for _, c := range group.List {
		if strings.HasPrefix(c.Text, "//go:") || strings.HasPrefix(c.Text, "//nolint") {
			continue
		}
		text := strings.TrimSuffix(c.Text[len("//"):], "*/")
		b.add(text+" ", r.line(c.Slash), true)
	}
	if p, ok := b.passage(r.name, Comment); ok {
		r.passages = append(r.passages, p)
	}
}

// literals notes the text at a node, and reports whether there may be others below it.
func (r *reader) literals(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ImportSpec:
		return false
	case *ast.Field:
		if n.Tag != nil {
			r.done[n.Tag] = true
		}
	case *ast.CallExpr:
		r.noteRole(n)
	case *ast.CompositeLit:
		r.noteRow(n)
	case *ast.BinaryExpr:
		if operands := sum(n); !r.done[n] && slices.ContainsFunc(operands, isText) {
			r.text(n, operands)
		}
	case *ast.BasicLit:
		if n.Kind == token.STRING && !r.done[n] {
			r.text(n, []ast.Expr{n})
		}
	}
	return true
}

// text notes a passage of literals that are added up; whole is their sum.
func (r *reader) text(whole ast.Expr, operands []ast.Expr) {
	var b builder
	for _, e := range operands {
		literal, ok := e.(*ast.BasicLit)
		if !ok {
			b.add("…", r.line(e.Pos()), false)
			continue
		}
		if text, err := strconv.Unquote(literal.Value); err == nil {
			b.add(text, r.line(e.Pos()), literal.Value[0] == '`')
		}
		r.done[e] = true
	}
	ast.Inspect(whole, func(n ast.Node) bool { // the sums within the sum
		inner, ok := n.(*ast.BinaryExpr)
		if ok {
			r.done[inner] = true
		}
		return ok
	})
	p, ok := b.passage(r.name, Literal)
	if !ok {
		return
	}
	p.Role = r.roles[whole]
	if p.Role == Other && r.shows() && isSentence(p.Text) {
		p.Role = Sentence
	}
	r.passages = append(r.passages, p)
}

// sum returns the operands of an addition, from left to right; any other expression is its own only operand.
func sum(e ast.Expr) []ast.Expr {
	b, ok := e.(*ast.BinaryExpr)
	if !ok || b.Op != token.ADD {
		return []ast.Expr{e}
	}
	return slices.Concat(sum(b.X), sum(b.Y))
}

func isText(e ast.Expr) bool {
	literal, ok := e.(*ast.BasicLit)
	return ok && literal.Kind == token.STRING
}

// faultTexts are the functions and methods that make sentences of status, with the place of the text among the arguments.
var faultTexts = map[string]int{"UserFault": 2, "SystemFault": 2, "NewFault": 3, "Recode": 1}

// logLevels are the methods of a logger.
var logLevels = []string{"Debug", "Info", "Warn", "Error"}

// messageTables are where messages of the log are in tables, with the place of the text in a row.
var messageTables = map[string]int{"internal/logevent/": 2, "internal/localcloud/logevent/": 1, "internal/health/declarations.go": 3}

// noteRow notes the message of the log in a row of a table.
func (r *reader) noteRow(row *ast.CompositeLit) {
	for tree, place := range messageTables {
		if !strings.HasPrefix(r.name, tree) || r.isTest() || place >= len(row.Elts) {
			continue
		}
		if text, ok := row.Elts[place].(*ast.BasicLit); ok && strings.Contains(text.Value, " ") { // not a list of names
			r.roles[text] = Log
		}
	}
}

// noteRole notes what the arguments of a call are for.
func (r *reader) noteRole(call *ast.CallExpr) {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || r.isTest() {
		return
	}
	if place, ok := faultTexts[f.Sel.Name]; ok && place < len(call.Args) {
		r.roles[call.Args[place]] = Sentence
	}
	of, _ := f.X.(*ast.Ident)
	isTesting := of != nil && (of.Name == "t" || of.Name == "tb" || of.Name == "zap")
	if slices.Contains(logLevels, f.Sel.Name) && len(call.Args) > 0 && !isTesting {
		r.roles[call.Args[0]] = Log
	}
}

func (r *reader) isTest() bool {
	return strings.HasSuffix(r.name, "_test.go") || strings.HasPrefix(r.name, "internal/testtools/")
}

// shows reports whether whole sentences in a file are for status: not in the command line, in descriptions of settings,
// metrics, routes and events, and in stand-ins.
func (r *reader) shows() bool {
	for _, tree := range []string{
		"internal/settings/", "internal/metrics/", "internal/localapi/route", "internal/localcloud/", "internal/fakecam/", "internal/logevent/",
	} {
		if strings.HasPrefix(r.name, tree) {
			return false
		}
	}
	return strings.HasPrefix(r.name, "internal/") && !r.isTest()
}

// isSentence reports whether a text is a sentence for people: of four words or more, and with a full stop.
func isSentence(text string) bool {
	first, _ := utf8.DecodeRuneInString(text)
	return unicode.IsUpper(first) && strings.HasSuffix(text, ".") && strings.Count(text, " ") >= 3
}

// declarations notes the names that a node declares.
func (r *reader) declarations(n ast.Node) {
	switch n := n.(type) {
	case *ast.FuncDecl:
		r.declare(n.Name)
	case *ast.TypeSpec:
		r.declare(n.Name)
	case *ast.ValueSpec:
		r.declare(n.Names...)
	case *ast.Field:
		r.declare(n.Names...)
	case *ast.AssignStmt:
		if n.Tok == token.DEFINE {
			r.declareAll(n.Lhs...)
		}
	case *ast.RangeStmt:
		if n.Tok == token.DEFINE {
			r.declareAll(n.Key, n.Value)
		}
	}
}

func (r *reader) declareAll(left ...ast.Expr) {
	for _, e := range left {
		if name, ok := e.(*ast.Ident); ok {
			r.declare(name)
		}
	}
}

func (r *reader) declare(names ...*ast.Ident) {
	for _, name := range names {
		if name.Name != "_" {
			r.declared = append(r.declared, Declared{File: r.name, Line: r.line(name.Pos()), Name: name.Name})
		}
	}
}
