package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// decision is a record of docs/decisions.
type decision struct {
	file, title, status, date string
	number                    int
	links                     map[string][]int // by the verb of the status: "amends", "amended by" and others
}

var (
	decisionName   = regexp.MustCompile(`^(\d{4})-[a-z0-9]+(-[a-z0-9]+)*\.md$`)
	decisionTitle  = regexp.MustCompile(`^# (\d+)\. (\S.*\S)$`)
	decisionStatus = regexp.MustCompile(`^(holds|superseded by \[\d+\]\([^)]+\))\.`)
	decisionVerb   = regexp.MustCompile(`(?i)\b(amends|amended by|extends|extended by|supersedes|superseded by)` +
		`((?: and|,)? ?\[\d+\]\([^)]+\))+`)
	decisionLink = regexp.MustCompile(`\[(\d+)\]\((\d{4})-[^)]+\)`)
)

// decisionPairs are verbs of one record with that of the other.
var decisionPairs = map[string]string{
	"amends": "amended by", "amended by": "amends", "extends": "extended by", "extended by": "extends",
	"supersedes": "superseded by", "superseded by": "supersedes",
}

// decisionSections are those that a record has, in this order, with others between them or not.
var decisionSections = []string{"Context", "Decision", "Consequences"}

// parseDecision reads a record, and returns what is wrong with its form.
func parseDecision(file, text string) (d decision, faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, file+": "+fmt.Sprintf(format, args...)) }
	d = decision{file: file, links: make(map[string][]int)}
	name := decisionName.FindStringSubmatch(file)
	lines := strings.Split(text, "\n")
	title := decisionTitle.FindStringSubmatch(lines[0])
	switch {
	case name == nil:
		fault("the name is not NNNN-words-of-the-title.md")
		return d, faults
	case title == nil:
		fault("the first line is not `# N. Title`")
		return d, faults
	}
	d.number, _ = strconv.Atoi(name[1])
	d.title = title[2]
	if title[1] != strconv.Itoa(d.number) {
		fault("the title has the number %s", title[1])
	}
	head := append(slices.Clone(lines), "", "", "", "")[1:5]
	status, hasStatus := strings.CutPrefix(head[1], "- **Status:** ")
	date, hasDate := strings.CutPrefix(head[2], "- **Date:** ")
	if head[0] != "" || !hasStatus || !hasDate || head[3] != "" {
		fault("behind the title stand an empty line, `- **Status:** …`, `- **Date:** …` and an empty line")
		return d, faults
	}
	d.status, d.date = status, date
	if !decisionStatus.MatchString(status) {
		fault("the status %q does not begin with `holds.` or `superseded by [N](…).`", status)
	}
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		fault("the date is %q", date)
	}
	for _, m := range decisionVerb.FindAllStringSubmatch(status, -1) {
		for _, link := range decisionLink.FindAllStringSubmatch(m[0], -1) {
			n, _ := strconv.Atoi(link[1])
			verb := strings.ToLower(m[1])
			d.links[verb] = append(d.links[verb], n)
		}
	}
	return d, append(faults, sectionFaults(file, text)...)
}

// sectionFaults says which sections a record lacks, has in another order, or has without content.
func sectionFaults(file, text string) (faults []string) {
	var found []string
	for _, section := range strings.Split(text, "\n## ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		if slices.Contains(decisionSections, name) {
			found = append(found, name)
		}
		if strings.TrimSpace(body) == "" {
			faults = append(faults, file+": "+name+" is empty")
		}
	}
	if !slices.Equal(found, decisionSections) {
		faults = append(faults, fmt.Sprintf("%s: of %v it has %v", file, decisionSections, found))
	}
	return faults
}

// TestDecisionsHaveTheirForm reads all records, and the list of them.
func TestDecisionsHaveTheirForm(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(root, "docs", "decisions")
	files, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	var list []decision
	for _, path := range files {
		if filepath.Base(path) == "README.md" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		d, faults := parseDecision(filepath.Base(path), string(text))
		for _, fault := range faults {
			t.Error(fault)
		}
		list = append(list, d)
	}
	index, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range listFaults(list, string(index)) {
		t.Error(fault)
	}
}

// listFaults says what is wrong among records that are sorted by name, and with the index of them.
func listFaults(list []decision, index string) (faults []string) {
	var rows []string
	for i, d := range list {
		if d.number != i+1 {
			faults = append(faults, fmt.Sprintf("%s: number %d is missing, or one is there twice", d.file, i+1))
		}
		rows = append(rows, fmt.Sprintf("| [%d](%s) | %s | %s |", d.number, d.file, d.title, d.date))
		for verb, numbers := range d.links {
			for _, n := range numbers {
				if n < 1 || n > len(list) || !slices.Contains(list[n-1].links[decisionPairs[verb]], d.number) {
					faults = append(faults, fmt.Sprintf("%s: it says `%s [%d]`, and decision %d does not say `%s [%d]`",
						d.file, verb, n, n, decisionPairs[verb], d.number))
				}
			}
		}
	}
	var got []string
	for line := range strings.Lines(index) {
		if strings.HasPrefix(line, "| [") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if !slices.Equal(got, rows) {
		faults = append(faults, fmt.Sprintf("the rows of docs/decisions/README.md are not\n%s", strings.Join(rows, "\n")))
	}
	return faults
}

// TestDecisionsOfAnotherFormAreFound plants one of each.
func TestDecisionsOfAnotherFormAreFound(t *testing.T) {
	t.Parallel()
	const file = "0002-two.md"
	right := "# 2. Two\n\n- **Status:** holds. Amends [1](0001-one.md).\n- **Date:** 2026-11-21\n\n## Context\nc\n\n## Decision\nd\n\n" +
		"## Measured\nm\n\n## Consequences\ne\n"
	replace := func(from, to string) string { return strings.Replace(right, from, to, 1) }
	for name, c := range map[string]struct {
		file, text string
		want       int
	}{
		"as it should be":            {file, right, 0},
		"superseded":                 {file, replace("holds.", "superseded by [1](0001-one.md)."), 0},
		"another name":               {"two.md", right, 1},
		"another number":             {file, replace("# 2.", "# 3."), 1},
		"no title":                   {file, replace("# 2. Two", "Two"), 1},
		"no status":                  {file, replace("- **Status:** holds. Amends [1](0001-one.md).\n", ""), 1},
		"a status that nobody knows": {file, replace("holds.", "perhaps."), 1},
		"no date":                    {file, replace("2026-11-21", "November"), 1},
		"an empty section":           {file, replace("d\n", "\n"), 1},
		"a section too few":          {file, replace("## Context\n", ""), 1},
		"another order":              {file, replace("## Context", "## Consequences"), 1},
		"an empty file":              {file, "", 1},
	} {
		if _, faults := parseDecision(c.file, c.text); len(faults) != c.want {
			t.Errorf("%s: %v", name, faults)
		}
	}
	one := decision{file: "0001-one.md", title: "One", date: "2026-11-21", number: 1, links: map[string][]int{"amended by": {2}}}
	two, _ := parseDecision(file, right)
	index := "| [1](0001-one.md) | One | 2026-11-21 |\n| [2](0002-two.md) | Two | 2026-11-21 |\n"
	if faults := listFaults([]decision{one, two}, index); len(faults) != 0 {
		t.Error(faults)
	}
	for name, c := range map[string]struct {
		list  []decision
		index string
	}{
		"a gap":              {[]decision{two}, "| [2](0002-two.md) | Two | 2026-11-21 |\n"},
		"a missing row":      {[]decision{one, two}, "| [1](0001-one.md) | One | 2026-11-21 |\n"},
		"a link of one only": {[]decision{{file: "0001-one.md", title: "One", date: "2026-11-21", number: 1}, two}, index},
		"a link to where none": {
			[]decision{{file: "0001-one.md", title: "One", number: 1, links: map[string][]int{"amends": {7}}}},
			"| [1](0001-one.md) | One |  |\n",
		},
	} {
		if faults := listFaults(c.list, c.index); len(faults) == 0 {
			t.Errorf("%s is not found", name)
		}
	}
}
