package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
)

// TestProgramsAreWrittenInOnePlace finds tests that write a program with os.WriteFile: a process that another test starts in that
// moment has the file open for writing, and the kernel runs no such file.
func TestProgramsAreWrittenInOnePlace(t *testing.T) {
	t.Parallel()
	eachFile(t, func(path, _ string) {
		files := token.NewFileSet()
		parsed, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			t.Error(err)
			return
		}
		for _, place := range programsWritten(parsed) {
			t.Errorf("%s: os.WriteFile of a program: call testtools.WriteProgram", files.Position(place))
		}
	})
}

// programsWritten lists the calls of os.WriteFile whose mode has a right to execute.
func programsWritten(file *ast.File) (places []token.Pos) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || !isCall(call, "os", "WriteFile") || len(call.Args) != 3 {
			return true
		}
		if mode, ok := call.Args[2].(*ast.BasicLit); ok {
			if bits, err := strconv.ParseUint(mode.Value, 0, 32); err == nil && bits&0o111 != 0 {
				places = append(places, call.Pos())
			}
		}
		return true
	})
	return places
}

func TestAProgramThatIsWrittenIsFound(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]int{"0o755": 1, "0700": 1, "0o601": 1, "0o640": 0, "0o600": 0} {
		parsed, err := parser.ParseFile(token.NewFileSet(), "a.go", "package a\nfunc f() { os.WriteFile(`a`, nil, "+mode+") }", 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(programsWritten(parsed)); got != want {
			t.Errorf("%s: %d calls are found, want %d", mode, got, want)
		}
	}
}
