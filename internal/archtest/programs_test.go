package archtest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
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

// TestNoProgramIsCommitted finds what `go build` leaves where it is called, and `git add` takes along.
func TestNoProgramIsCommitted(t *testing.T) {
	t.Parallel()
	list, err := exec.Command("git", "-C", root, "ls-files", "-z").Output()
	if err != nil {
		t.Skipf("the files of a clone are not known: %v", err)
	}
	for name := range bytes.SplitSeq(bytes.TrimSuffix(list, []byte{0}), []byte{0}) {
		isProgram, err := startsWith(filepath.Join(root, string(name)), "\x7fELF")
		if err != nil && !os.IsNotExist(err) { // removed, and not committed yet
			t.Error(err)
		}
		if isProgram {
			t.Errorf("%s is a program: remove it, and name it in .gitignore", name)
		}
	}
}

func startsWith(path, magic string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false, err
	}
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(f, head); err != nil {
		return false, nil // it is shorter
	}
	return string(head) == magic, nil
}

func TestAProgramIsRecognized(t *testing.T) {
	t.Parallel()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{own: true, "programs_test.go": false, ".": false} {
		if got, err := startsWith(path, "\x7fELF"); err != nil || got != want {
			t.Errorf("%s: %v, %v", path, got, err)
		}
	}
}
