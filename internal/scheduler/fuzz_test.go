package scheduler

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzParse feeds the parser anything. Accepted expressions are evaluated at once and have a description;
// what it refuses it refuses in one sentence that names a place within the text.
func FuzzParse(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.Expr, v.After)
	}
	for _, expr := range worstCases {
		f.Add(expr, int64(1767225600))
	}
	zone := location(f, "Australia/Lord_Howe")
	f.Fuzz(func(t *testing.T, expr string, after int64) {
		e, err := Parse(expr, zone)
		if err != nil {
			checkParseError(t, expr, err)
			return
		}
		if Check(expr) != nil {
			t.Errorf("Parse takes %q and Check does not", expr)
		}
		if e.String() != expr {
			t.Errorf("got %q back, want %q", e.String(), expr)
		}
		if Describe(e) == "" {
			t.Errorf("%q has no description", expr)
		}
		at := time.Unix(after%(1<<33), 0)
		for range 3 {
			next := e.Next(at)
			if next.IsZero() {
				break
			}
			if !next.After(at) {
				t.Fatalf("%q after %v: got %v, which is not later", expr, at, next)
			}
			at = next
		}
	})
}

func checkParseError(t *testing.T, expr string, err error) {
	t.Helper()
	var parseError *ParseError
	if !errors.As(err, &parseError) {
		t.Fatalf("Parse(%q): got a %T, want a *ParseError", expr, err)
	}
	if parseError.Rule == "" || parseError.Expression != expr {
		t.Errorf("Parse(%q): incomplete error %+v", expr, parseError)
	}
	if length := utf8.RuneCountInString(expr); parseError.Position < 0 || parseError.Position > length+1 {
		t.Errorf("Parse(%q): position %d lies outside of the %d characters", expr, parseError.Position, length)
	}
	if strings.ContainsAny(err.Error(), "\n\r") {
		t.Errorf("Parse(%q): the error is not one line: %q", expr, err)
	}
}
