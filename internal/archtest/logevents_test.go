package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// vocabularies are the packages with the events of a log, and who uses them.
var vocabularies = []struct {
	dir, users string
	not        string // a tree below users that has its own
}{
	{dir: "internal/logevent", users: "", not: "internal/localcloud"},
	{dir: "internal/localcloud/logevent", users: "internal/localcloud"},
}

// Methods that write a line above Debug, or lead to others that do.
var (
	loud   = []string{"Info", "Warn", "Error", "DPanic", "Panic", "Fatal"}
	louder = []string{"Log", "Check", "Sugar", "Infof", "Infow", "Infoln", "Warnf", "Warnw", "Warnln", "Errorf", "Errorw", "Errorln"}
)

var (
	aLog     = regexp.MustCompile(`(?i)(log|logger|failures)$`)
	eventKey = regexp.MustCompile(`^[a-z][A-Za-z]*$`)
	// otherNames are of fields that have another name everywhere else.
	otherNames = map[string]string{"err": "error", "why": "error", "msg": "error", "streamName": "stream", "name of stream": "stream",
		"path": "file or directory", "for": "length or wait", "by": "step or ahead"}
)

// logFile is a file that may log.
type logFile struct {
	set    *token.FileSet
	path   string
	parsed *ast.File
}

// TestEveryLineOfTheLogHasAnEvent fails where a line above Debug is written past the vocabularies, which alone know
// levels and messages.
func TestEveryLineOfTheLogHasAnEvent(t *testing.T) {
	t.Parallel()
	lines := 0
	eachLogFile(t, func(f logFile) {
		usesZap := slices.ContainsFunc(f.parsed.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"go.uber.org/zap"` })
		ast.Inspect(f.parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch at := f.set.Position(call.Pos()); {
			case isEventCall(call):
				lines++
				checkFields(t, f, call)
			case pastVocabulary(call, usesZap):
				t.Errorf("%s: a line of the log without an event: use one of the package logevent, or logevent.Condition", at)
			case selectorOf(call.Fun) == "logevent.Event":
				t.Errorf("%s: an event that is not in the table of the package logevent", at)
			}
			return true
		})
	})
	if lines < 100 {
		t.Errorf("only %d lines of the log were found: does the test still find them?", lines)
	}
}

// TestLinesPastTheVocabularyAreFound: the test above must see what somebody may write.
func TestLinesPastTheVocabularyAreFound(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		`log.Info("x")`: true, `s.o.Log.Warn("x", zap.Error(err))`: true, `r.log.With(zap.Int("n", 1)).Error(text)`: true,
		`a.Logger().Info("x")`: true, `zap.L().Info("x")`: true, `log.Sugar().Infof("x")`: true, `log.Log(zap.InfoLevel, "x")`: true,
		`l.Failures.Error("x")`: true, `zap.NewStdLog(log)`: true, `x.Warn("x")`: true, `log.Check(zap.InfoLevel, "x")`: true,
		`log.Debug("x")`: false, `zap.Error(err)`: false, `st.Info(e)`: false, `err.Error()`: false, `f.Info()`: false,
		`logevent.AgentStarted.Log(a.log)`: false, `logevent.Condition(log, fault)`: false,
	} {
		e, err := parser.ParseExpr(code)
		if err != nil {
			t.Fatal(err)
		}
		call := e.(*ast.CallExpr)
		if got := !isEventCall(call) && pastVocabulary(call, true); got != want {
			t.Errorf("%s: found %v, want %v", code, got, want)
		}
	}
}

// TestEveryEventIsUsed: a constant is in the table of its package, and some line has it.
func TestEveryEventIsUsed(t *testing.T) {
	t.Parallel()
	for _, v := range vocabularies {
		uses := make(map[string]int)
		eachLogFile(t, func(f logFile) {
			if strings.HasPrefix(f.path, v.users) && (v.not == "" || !strings.HasPrefix(f.path, v.not)) {
				ast.Inspect(f.parsed, func(n ast.Node) bool {
					if e, ok := n.(ast.Expr); ok {
						if name, ours := strings.CutPrefix(selectorOf(e), "logevent."); ours {
							uses[name]++
						}
					}
					return true
				})
			}
		})
		events := eventsOf(t, v.dir)
		if len(events) < 10 {
			t.Errorf("%s has %d events: does the test still find them?", v.dir, len(events))
		}
		values := make(map[string]string)
		for name, e := range events {
			if !regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`).MatchString(e.value) {
				t.Errorf("%s: %q is not of the form of a condition's code, such as segment-deleted", name, e.value)
			}
			if other := values[e.value]; other != "" {
				t.Errorf("%s and %s are both %q", name, other, e.value)
			}
			if values[e.value] = name; uses[name] == 0 {
				t.Errorf("%s: no line of the log has it", name)
			}
			if e.inTable != 1 {
				t.Errorf("%s stands %d times in the table of %s", name, e.inTable, v.dir)
			}
		}
	}
}

type vocabularyEvent struct {
	value   string
	inTable int
}

// eventsOf reads the constants of type Event, and how often the table names each.
func eventsOf(t *testing.T, dir string) map[string]*vocabularyEvent {
	t.Helper()
	events := make(map[string]*vocabularyEvent)
	files := parseDirectory(t, filepath.Join(root, dir))
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Event" {
				for i, name := range spec.Names {
					value, _ := literal(spec.Values[i])
					events[name.Name] = &vocabularyEvent{value: value}
				}
				return false
			}
			return true
		})
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			list, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			for i, e := range list.Elts {
				if pair, ok := e.(*ast.KeyValueExpr); ok {
					e = pair.Key
				} else if i > 0 {
					continue
				}
				if name, ok := e.(*ast.Ident); ok && events[name.Name] != nil {
					events[name.Name].inTable++
				}
			}
			return true
		})
	}
	return events
}

// checkFields checks the names of a line's fields: the same thing has the same name everywhere.
func checkFields(t *testing.T, f logFile, line *ast.CallExpr) {
	t.Helper()
	for _, arg := range line.Args {
		field, ok := arg.(*ast.CallExpr)
		if !ok || len(field.Args) == 0 || !strings.HasPrefix(selectorOf(field.Fun), "zap.") {
			continue
		}
		if key, ok := literal(field.Args[0]); ok {
			if other, ok := otherNames[key]; ok || !eventKey.MatchString(key) {
				t.Errorf("%s: the field %q; its name elsewhere is %q, or else one word such as bytesCut", f.set.Position(field.Pos()), key, other)
			}
		}
		switch selectorOf(field.Fun) {
		case "zap.Any", "zap.Reflect":
			t.Errorf("%s: a field of any type may hold a secret: name its type", f.set.Position(field.Pos()))
		}
	}
}

// isEventCall reports whether a call is logevent.X.Log or logevent.Condition.
func isEventCall(call *ast.CallExpr) bool {
	name := selectorOf(call.Fun)
	return name == "logevent.Condition" || strings.HasPrefix(name, "logevent.") && strings.HasSuffix(name, ".Log")
}

// pastVocabulary reports whether a call writes a line above Debug itself.
func pastVocabulary(call *ast.CallExpr, usesZap bool) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	of := ""
	switch x := f.X.(type) {
	case *ast.Ident:
		of = x.Name
	case *ast.SelectorExpr:
		of = x.Sel.Name
	case *ast.CallExpr:
		if g, ok := x.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"With", "Named", "WithOptions", "L", "S", "Sugar"}, g.Sel.Name) {
			of = "log"
		} else if ok {
			of = g.Sel.Name
		}
	}
	if of == "zap" {
		return f.Sel.Name == "NewStdLog" || strings.HasPrefix(f.Sel.Name, "RedirectStdLog")
	}
	_, isText := literalText(call)
	switch {
	case aLog.MatchString(of):
		return len(call.Args) > 0 && slices.Contains(loud, f.Sel.Name) || slices.Contains(louder, f.Sel.Name)
	default:
		return usesZap && isText && slices.Contains(loud, f.Sel.Name)
	}
}

// literalText is the first argument of a call, where that is a text.
func literalText(call *ast.CallExpr) (string, bool) {
	if len(call.Args) == 0 {
		return "", false
	}
	return literal(call.Args[0])
}

// selectorOf is the name of a selector with its package or variable, such as zap.Error; "" for others.
func selectorOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		if of := selectorOf(e.X); of != "" {
			return of + "." + e.Sel.Name
		}
	}
	return ""
}

// eachLogFile visits the parsed source of the agent and the stand-ins, but the vocabularies and tests.
func eachLogFile(t *testing.T, visit func(logFile)) {
	t.Helper()
	set := token.NewFileSet()
	eachSource(t, func(path, pkg string) {
		switch {
		case strings.HasSuffix(path, "_test.go"), !strings.HasPrefix(pkg, "internal/") && !strings.HasPrefix(pkg, "cmd/"),
			strings.HasPrefix(pkg, "internal/testtools"), strings.HasSuffix(pkg, "/logevent"):
			return
		}
		parsed, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			t.Error(err)
			return
		}
		visit(logFile{set: set, path: pkg, parsed: parsed})
	})
}
