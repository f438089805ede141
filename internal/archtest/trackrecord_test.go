package archtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/deploy/testing/figures"
)

// TestTheTestingPageIsRight compares the numbers of docs/testing.md with the sources, and looks for what it names.
func TestTheTestingPageIsRight(t *testing.T) {
	t.Parallel()
	s, page := readFigures(t, "docs/testing.md")
	for _, fault := range append(s.TableFaults(page), s.NameFaults(page)...) {
		t.Error("docs/testing.md: " + fault)
	}
}

// TestTheTrackRecordNamesWhatIsThere reads the rows of docs/track-record.md, and looks for the tests and files that they name.
func TestTheTrackRecordNamesWhatIsThere(t *testing.T) {
	t.Parallel()
	s, page := readFigures(t, "docs/track-record.md")
	bugs, faults := s.Record(page)
	for _, fault := range append(faults, s.NameFaults(page)...) {
		t.Error("docs/track-record.md: " + fault)
	}
	counts, err := figures.Generated(page)
	if err != nil {
		t.Fatal(err)
	}
	if counts != figures.Counts(bugs) {
		t.Error("docs/track-record.md: the counts are not those of the rows: run make docs")
	}
}

// TestFaultsOfTheTrackRecordAreFound plants one of each in the page.
func TestFaultsOfTheTrackRecordAreFound(t *testing.T) {
	t.Parallel()
	s, page := readFigures(t, "docs/track-record.md")
	const row = "| A recording of a Tuesday was lost | 0.1.0 | `0123abcd` | `89abcdef` 2099-12-31 | review | `internal/mkv.FuzzRecover` |\n"
	planted := func(from, to string) string {
		const table = "| What was seen | Released in | Since | Fixed | Found by | Held by |\n|---|---|---|---|---|---|\n"
		return strings.Replace(page, table, table+strings.Replace(row, from, to, 1), 1)
	}
	for name, c := range map[string]struct {
		page  string
		wrong bool
	}{
		"as it should be":         {planted("", ""), false},
		"a row of a test":         {planted("internal/mkv.FuzzRecover", "internal/recorder.TestRows/power-cut"), false},
		"nothing holds it":        {planted("`internal/mkv.FuzzRecover`", "no test"), false},
		"in no release":           {planted("0.1.0", "none"), false},
		"since when is not known": {planted("`0123abcd`", "not known"), false},
		"a test that is gone":     {planted("FuzzRecover", "FuzzRecovered"), true},
		"a test of another":       {planted("internal/mkv", "internal/mp4"), true},
		"a test without package":  {planted("internal/mkv.FuzzRecover", "FuzzRecover"), true},
		"a row that is gone":      {planted("internal/mkv.FuzzRecover", "internal/recorder.TestRows/gone"), true},
		"a file that is gone":     {planted("internal/mkv.FuzzRecover", "internal/mkv/gone.txt"), true},
		"a short commit":          {planted("0123abcd", "0123abc"), true},
		"no commit of the fix":    {planted("`89abcdef` ", ""), true},
		"an older one":            {planted("2099", "2020"), true},
		"no such version":         {planted("0.1.0", "0.0.9"), true},
		"found by nobody knows":   {planted("review", "chance"), true},
		"a cell too few":          {planted(" review |", ""), true},
		"without a word":          {planted("A recording of a Tuesday was lost", ""), true},
		"another heading":         {strings.Replace(page, "## Media twice", "## Media thrice", 1), true},
	} {
		_, faults := s.Record(c.page)
		if faults = append(faults, s.NameFaults(c.page)...); len(faults) > 0 != c.wrong {
			t.Errorf("%s: %q", name, faults)
		}
	}
}

// TestStaleNumbersAreFound reads tables with other numbers.
func TestStaleNumbersAreFound(t *testing.T) {
	t.Parallel()
	s, page := readFigures(t, "docs/testing.md")
	more := s
	more.Proofs, more.Scripts = 2*s.Proofs, s.Scripts+s.Scripts/10
	if faults := more.TableFaults(page); len(faults) != 1 {
		t.Errorf("twice as many proofs and a tenth more scripts: %q", faults)
	}
	less := s
	less.Scripts = 1
	if faults := less.TableFaults(page); len(faults) != 1 {
		t.Errorf("one script: %q", faults)
	}
	if faults := s.TableFaults(strings.Replace(page, "| fuzz targets |", "| targets |", 1)); len(faults) != 1 {
		t.Errorf("a row too few: %q", faults)
	}
	if faults := s.TableFaults("# Page\n"); len(faults) != 1 {
		t.Errorf("no table: %q", faults)
	}
}

// readFigures reads the module and a page of it.
func readFigures(t *testing.T, page string) (figures.Sources, string) {
	t.Helper()
	s, err := figures.Read(root)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	return s, string(text)
}
