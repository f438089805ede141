package archtest

import (
	"go/ast"
	"testing"
)

// TestTheLogOfAConditionHasItsCode reads the source: where a condition is reported, and logged when it is new, as
// `if component.Report(…) { … }`, the line is made by logevent.Condition, which has code, class, sentence and cause.
func TestTheLogOfAConditionHasItsCode(t *testing.T) {
	t.Parallel()
	found := 0
	eachLogFile(t, func(f logFile) {
		ast.Inspect(f.parsed, func(n ast.Node) bool {
			branch, ok := n.(*ast.IfStmt)
			if !ok || !reportsCondition(branch.Cond) {
				return true
			}
			ast.Inspect(branch.Body, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok && isEventCall(call) {
					if found++; selectorOf(call.Fun) != "logevent.Condition" {
						t.Errorf("%s: the line of a condition is made by logevent.Condition", f.set.Position(call.Pos()))
					}
				}
				return true
			})
			return true
		})
	})
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
