package figures

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Bug is a row of docs/track-record.md.
type Bug struct {
	Kind     string // the heading above it
	Seen     string
	Released []string // versions; empty if it was in no release, or not known
	Since    string   // the commit, or empty if not known
	Fixed    string   // the commit
	Date     string   // when it was fixed, as 2006-01-02
	Found    string   // one of Ways
	Held     bool     // a test holds it
}

// Kinds are the headings of docs/track-record.md.
var Kinds = []string{
	"Media lost", "Media twice", "Deleted or kept against the rules", "Crashes, power cuts and failing disks", "Wrong times",
	"Passwords and hostile input", "Hangs, crashes and floods", "Reports that were wrong",
}

// Ways are how bugs are found.
var Ways = []string{"attack", "fuzzing", "guides", "peers", "proof", "review", "test", "trial", "use", "not recorded"}

const (
	columns    = "| What was seen | Released in | Since | Fixed | Found by | Held by |\n|---|---|---|---|---|---|\n"
	noRelease  = "none"
	notKnown   = "not known"
	heldByNone = "no test"
)

var (
	sinceCell = regexp.MustCompile("^`([0-9a-f]{8})`$")
	fixedCell = regexp.MustCompile("^`([0-9a-f]{8})` (20[0-9]{2}-[01][0-9]-[0-3][0-9])$")
	heldCell  = regexp.MustCompile("^`[^`]+`(?:, `[^`]+`)*$")
)

// Record reads docs/track-record.md, and says what is wrong with its form.
func (s Sources) Record(page string) (bugs []Bug, faults []string) {
	var found []string
	for _, section := range strings.Split(page, "\n## ")[1:] {
		kind, body, _ := strings.Cut(section, "\n")
		_, rows, isTable := strings.Cut(body, columns)
		if !isTable {
			continue
		}
		found = append(found, kind)
		newer := ""
		for line := range strings.Lines(rows) {
			if !strings.HasPrefix(line, "|") {
				break
			}
			b, fault := s.bug(kind, line)
			if fault != "" {
				faults = append(faults, fmt.Sprintf("%s: %s: %s", kind, strings.TrimSpace(line), fault))
				continue
			}
			if newer != "" && b.Date > newer {
				faults = append(faults, fmt.Sprintf("%s: %s: the newest come first", kind, b.Seen))
			}
			newer = b.Date
			bugs = append(bugs, b)
		}
	}
	if !slices.Equal(found, Kinds) {
		faults = append(faults, fmt.Sprintf("the tables are under %q, want %q", found, Kinds))
	}
	return bugs, faults
}

// bug reads a row, or says what is wrong with it.
func (s Sources) bug(kind, line string) (b Bug, fault string) {
	cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
	if len(cells) != strings.Count(columns[:strings.IndexByte(columns, '\n')], "|")-1 {
		return b, fmt.Sprintf("it has %d cells", len(cells))
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	b = Bug{Kind: kind, Seen: cells[0], Found: cells[4], Held: cells[5] != heldByNone}
	if cells[1] != noRelease && cells[1] != notKnown {
		b.Released = strings.Split(cells[1], ", ")
	}
	since, fixed := sinceCell.FindStringSubmatch(cells[2]), fixedCell.FindStringSubmatch(cells[3])
	switch {
	case b.Seen == "":
		return b, "what was seen is missing"
	case slices.ContainsFunc(b.Released, func(v string) bool { return !slices.Contains(s.Versions, v) }):
		return b, fmt.Sprintf("released in is one of %q with commas, `%s` or `%s`", s.Versions, noRelease, notKnown)
	case since == nil && cells[2] != notKnown:
		return b, "since is a commit of 8 digits, or `" + notKnown + "`"
	case fixed == nil:
		return b, "fixed is a commit of 8 digits and a date"
	case !slices.Contains(Ways, b.Found):
		return b, fmt.Sprintf("found by is one of %q", Ways)
	case b.Held && !heldCell.MatchString(cells[5]):
		return b, "held by is tests or files, or `" + heldByNone + "`"
	}
	if since != nil {
		b.Since = since[1]
	}
	b.Fixed, b.Date = fixed[1], fixed[2]
	return b, ""
}

// Counts returns the generated part of docs/track-record.md.
func Counts(bugs []Bug) string {
	count := func(suits func(Bug) bool) (n int) {
		for _, b := range bugs {
			if suits(b) {
				n++
			}
		}
		return n
	}
	var b strings.Builder
	row := func(name string, suits func(Bug) bool) {
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", name, count(suits),
			count(func(b Bug) bool { return suits(b) && len(b.Released) > 0 }), count(func(b Bug) bool { return suits(b) && !b.Held }))
	}
	b.WriteString("\n| kind | bugs | known to be in a release | held by no test |\n|---|---:|---:|---:|\n")
	for _, kind := range Kinds {
		row(kind, func(b Bug) bool { return b.Kind == kind })
	}
	row("all", func(Bug) bool { return true })
	b.WriteString("\n| found by | bugs | known to be in a release | held by no test |\n|---|---:|---:|---:|\n")
	for _, way := range Ways {
		if suits := func(b Bug) bool { return b.Found == way }; count(suits) > 0 {
			row(way, suits)
		}
	}
	return b.String() + "\n"
}
