package archtest

import (
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// webMayKnow are the packages that what serves browsers may know beside its own: the local API, whose client it is, and tools.
var webMayKnow = []string{
	"internal/localapi", "internal/health", "internal/humanize", "internal/logevent", "internal/statefile",
}

// TestTheWebKnowsTheLocalAPIAlone: what browsers see is what every client of the local API sees.
func TestTheWebKnowsTheLocalAPIAlone(t *testing.T) {
	t.Parallel()
	files := 0
	eachSource(t, func(path, pkg string) {
		if !within("internal/web/...", pkg) {
			return
		}
		files++
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range importsOf(parsed) {
			target, ours := strings.CutPrefix(imported, module)
			if ours && !within("internal/web/...", target) && !slices.Contains(webMayKnow, target) {
				t.Errorf("%s imports %s: ask the local API instead", path, target)
			}
		}
	})
	if files == 0 {
		t.Error("no file of internal/web is found")
	}
}
