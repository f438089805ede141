package archtest

import (
	"go/ast"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"go/parser"
)

// conditionField is the field of the log that has the code of a condition: alerts are made of it.
const conditionField = "code"

// TestTheLogOfAConditionHasItsCode reads the source: where a condition is reported and a new one logged, as
// `if component.Report(…) { log.Warn(…) }`, the line has the code.
func TestTheLogOfAConditionHasItsCode(t *testing.T) {
	t.Parallel()
	set, found := token.NewFileSet(), 0
	err := filepath.WalkDir(filepath.Join(root, "internal"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			branch, ok := n.(*ast.IfStmt)
			if !ok || !reportsCondition(branch.Cond) {
				return true
			}
			for _, line := range logLines(branch.Body) {
				if found++; !hasField(line, conditionField) {
					t.Errorf("%s: the log of a condition has no field %q", set.Position(line.Pos()), conditionField)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 20 {
		t.Errorf("only %d lines of the log are about a condition: does the test still find them?", found)
	}
}

// reportsCondition reports whether an expression is a call of health.Component's Report or Note.
func reportsCondition(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) < 3 {
		return false
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	return ok && (f.Sel.Name == "Report" || f.Sel.Name == "Note")
}

// logLines are the calls that log something.
func logLines(body ast.Node) (calls []*ast.CallExpr) {
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		f, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		switch of, _ := f.X.(*ast.Ident); {
		case of != nil && of.Name == "zap": // zap.Error is a field
		case f.Sel.Name == "Warn" || f.Sel.Name == "Error" || f.Sel.Name == "Info":
			calls = append(calls, call)
		}
		return true
	})
	return calls
}

// hasField reports whether a line of the log has a text of that name.
func hasField(line *ast.CallExpr, name string) bool {
	for _, arg := range line.Args {
		if field, ok := arg.(*ast.CallExpr); ok && len(field.Args) > 0 {
			if text, ok := literal(field.Args[0]); ok && text == name {
				return true
			}
		}
	}
	return false
}
