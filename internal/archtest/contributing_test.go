package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// recipes are those of CONTRIBUTING.md.
var recipes = []string{"A camera quirk", "An AWS error", "A setting", "A command", "A metric", "A field of status", "A condition"}

var (
	recipePath = regexp.MustCompile("`((?:internal|cmd|docs|deploy|bench|changelog|examples|\\.ci)/[^` ]*|[A-Z]+\\.md)`")
	goTest     = regexp.MustCompile("`go test ([^`]*)`")
)

// TestContributingNamesWhatIsThere looks for each file and each test that the recipes name.
func TestContributingNamesWhatIsThere(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range contributingFaults(string(page)) {
		t.Error(fault)
	}
}

func contributingFaults(page string) (faults []string) {
	_, text, _ := strings.Cut(page, "\n## Recipes\n")
	var found []string
	for _, recipe := range strings.Split(text, "\n### ")[1:] {
		name, body, _ := strings.Cut(recipe, "\n")
		found = append(found, name)
		if files := strings.Count(body, "\n| `"); files < 3 {
			faults = append(faults, fmt.Sprintf("%s: %d files are named", name, files))
		}
		if !goTest.MatchString(body) {
			faults = append(faults, name+": no test is named")
		}
	}
	if !slices.Equal(found, recipes) {
		faults = append(faults, fmt.Sprintf("the recipes are %q, want %q", found, recipes))
	}
	for _, m := range recipePath.FindAllStringSubmatch(page, -1) {
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			faults = append(faults, fmt.Sprintf("there is no %s", m[1]))
		}
	}
	for _, m := range goTest.FindAllStringSubmatch(page, -1) {
		faults = append(faults, goTestFaults(m[1])...)
	}
	return faults
}

// goTestFaults finds the packages and the functions of a command line of go test.
func goTestFaults(arguments string) (faults []string) {
	run := ""
	fields := strings.Fields(arguments)
	if i := slices.Index(fields, "-run"); i >= 0 && i+1 < len(fields) {
		run = strings.Trim(fields[i+1], "'")
		fields = slices.Delete(fields, i, i+2)
	}
	for _, dir := range fields {
		if strings.HasPrefix(dir, "-") {
			continue
		}
		names := testFunctions(filepath.Join(root, dir))
		if len(names) == 0 {
			faults = append(faults, fmt.Sprintf("%s has no tests", dir))
		}
		for _, pattern := range strings.Split(run, "|") {
			pattern, _, _ = strings.Cut(pattern, "/")
			if !slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, pattern) }) {
				faults = append(faults, fmt.Sprintf("go test -run %s finds nothing in %s", pattern, dir))
			}
		}
	}
	return faults
}

var testFunction = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// testFunctions are those of the test files in a directory.
func testFunctions(dir string) (names []string) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil
		}
		for _, m := range testFunction.FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
	}
	return names
}

// TestWhatContributingNamesWronglyIsFound plants one of each.
func TestWhatContributingNamesWronglyIsFound(t *testing.T) {
	t.Parallel()
	var right strings.Builder
	right.WriteString("# Contributing\n\n## Recipes\n")
	for _, recipe := range recipes {
		right.WriteString("\n### " + recipe + "\n\n| `go.mod` |\n| `internal/archtest` |\n| `README.md` |\n\n")
		right.WriteString("`go test -run Ceilings ./internal/archtest`\n")
	}
	for name, c := range map[string]struct {
		from, to string
		want     int
	}{
		"as it should be":     {"", "", 0},
		"a recipe too few":    {"### A metric", "## A metric", 1},
		"no file":             {"| `go.mod` |\n", "", 1},
		"a file that is gone": {"internal/archtest`", "internal/archtest/gone.go`", 1},
		"no test":             {"`go test -run Ceilings ./internal/archtest`", "", 1},
		"a test that is gone": {"-run Ceilings", "-run 'Ceilings|Gone/x$'", 1},
		"no package of tests": {"./internal/archtest`", "./docs`", 2},
	} {
		if faults := contributingFaults(strings.Replace(right.String(), c.from, c.to, 1)); len(faults) != c.want {
			t.Errorf("%s: %v", name, faults)
		}
	}
}
