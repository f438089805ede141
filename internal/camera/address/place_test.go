package address

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// textsOf are the string constants of a file, joined where they have several lines.
func textsOf(t *testing.T, path string) (texts []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var text func(ast.Expr) string
	text = func(e ast.Expr) string {
		switch e := e.(type) {
		case *ast.BasicLit:
			value, err := strconv.Unquote(e.Value)
			if err == nil && e.Kind == token.STRING {
				return value
			}
		case *ast.BinaryExpr:
			return text(e.X) + text(e.Y)
		}
		return ""
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok {
			if found := text(e); found != "" {
				texts = append(texts, found)
				return false
			}
		}
		return true
	})
	return texts
}

// TestEachSentenceNamesThePlaceOfTheURL finds the sentences of all sources in their code.
func TestEachSentenceNamesThePlaceOfTheURL(t *testing.T) {
	t.Parallel()
	const path = "/etc/streams.d/door.json"
	found := 0
	for _, dir := range []string{"..", "../../clip", "../../recorder"} {
		err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
			if filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || filepath.Base(name) == "place.go" {
				return err
			}
			for _, text := range textsOf(t, name) {
				if !strings.Contains(text, "secret ") && !strings.Contains(text, "secret's") && !strings.Contains(text, "MediaURI") ||
					!strings.Contains(text, " ") || strings.HasPrefix(text, "github.com/") {
					continue
				}
				found++
				if got := InFile(path).Text(text); strings.Contains(got, "secret") || !strings.Contains(got, path) {
					t.Errorf("%s: of a stream file it says %q", name, got)
				}
				if got := Argument().Text(text); strings.Contains(got, "secret") || strings.Contains(got, "MediaURI ") {
					t.Errorf("%s: of an argument it says %q", name, got)
				}
				if got := (Place{}).Text(text); got != text {
					t.Errorf("%s: of a secret it says %q", name, got)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 35 {
		t.Errorf("only %d sentences were found", found)
	}
}

func TestAFaultKeepsAllButItsSentence(t *testing.T) {
	t.Parallel()
	cause := errors.New("401")
	fault := health.UserFault("camera", cause, "It refuses the password: correct the secret's MediaURI.")
	for place, want := range map[*Place]string{
		{}:                     "It refuses the password: correct the secret's MediaURI.",
		new(InFile("/a.json")): "It refuses the password: correct the MediaURI in the stream file /a.json.",
		new(InFile("")):        "It refuses the password: correct the MediaURI in its stream file.",
	} {
		got := place.Fault(fault)
		if got.Text != want || got.Code != fault.Code || got.Class != fault.Class || !errors.Is(got, cause) {
			t.Errorf("%+v, want %q", got, want)
		}
	}
	if InFile("").Fault(nil) != nil {
		t.Error("nothing is a fault")
	}
}
