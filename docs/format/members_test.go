package format_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThePageNamesEveryMember finds what the agent's JSON files and lines consist of in docs/format.md.
func TestThePageNamesEveryMember(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../format.md")
	if err != nil {
		t.Fatal(err)
	}
	member := regexp.MustCompile("`json:\"([A-Za-z0-9]+)")
	word := regexp.MustCompile(`(?m)^\tline[A-Z]\w* += "(\w+)"`)
	suffix := regexp.MustCompile(`(?m)^\t\w+(?:Suffix|FileName|Name) += "([^"]+)"`)
	for path, form := range map[string]*regexp.Regexp{
		"segment/layout/streamfile.go": member,
		"segment/layout/clockfile.go":  member,
		"segment/layout/name.go":       suffix,
		"segment/progress/load.go":     word,
		"segment/volume/mark.go":       member,
		"retention/losses.go":          member,
		"retention/policies.go":        member,
		"statefile/statefile.go":       member,
	} {
		source, err := os.ReadFile(filepath.Join("../../internal", path))
		if err != nil {
			t.Fatal(err)
		}
		found := form.FindAllStringSubmatch(string(source), -1)
		if len(found) < 2 {
			t.Errorf("%d members are found in %s", len(found), path)
		}
		for _, m := range found {
			if !regexp.MustCompile("[`\".]" + regexp.QuoteMeta(strings.TrimPrefix(m[1], ".")) + "[`\" /]").Match(page) {
				t.Errorf("docs/format.md does not name %s of %s", m[1], path)
			}
		}
	}
}
