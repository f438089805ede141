package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	quoted   = regexp.MustCompile("`([^`]+)`")
	declared = regexp.MustCompile(`^([a-z][a-z/]*)\.([A-Za-z]\w*)$`)
)

// TestTheTablesOfTheArchitectureNameWhatIsThere looks for what the tables of docs/architecture.md send a reader to: files and
// packages below the root or internal, names that a package declares, tests, and targets of make.
func TestTheTablesOfTheArchitectureNameWhatIsThere(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder // its declarations, each behind its package
	eachFile(t, func(path, pkg string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		for _, m := range declaration.FindAllSubmatch(text, -1) {
			fmt.Fprintf(&code, "%s.%s\n", strings.TrimPrefix(pkg, "internal/"), m[1])
		}
	})
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for heading, column := range map[string]int{"Inside a recording": 3, "Where do I change X": 2} {
		_, section, _ := strings.Cut(string(page), "\n## "+heading+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		names := 0
		for line := range strings.Lines(section) {
			cells := strings.Split(line, "|")
			if !strings.HasPrefix(line, "| ") || len(cells) <= column {
				continue
			}
			for _, m := range quoted.FindAllStringSubmatch(cells[column], -1) {
				if names++; !isThere(m[1], code.String(), string(makefile)) {
					t.Errorf("docs/architecture.md, %s: there is no %s", heading, m[1])
				}
			}
		}
		if names < 5 {
			t.Errorf("docs/architecture.md, %s: %d names", heading, names)
		}
	}
}

// declaration is a name that a file declares, or a field or row of one.
var declaration = regexp.MustCompile(`(?m)^(?:func (?:\([^)]*\) )?|type |var |const |\t)([A-Za-z]\w*)`)

func isThere(name, code, makefile string) bool {
	for _, dir := range []string{"internal", "."} {
		if _, err := os.Stat(filepath.Join(root, dir, filepath.FromSlash(name))); err == nil {
			return true
		}
	}
	if target, ok := strings.CutPrefix(name, "make "); ok {
		return strings.Contains(makefile, "\n"+target+":")
	}
	if strings.HasPrefix(name, "Test") {
		return strings.Contains(code, "."+name+"\n")
	}
	return declared.MatchString(name) && strings.Contains(code, name+"\n")
}
