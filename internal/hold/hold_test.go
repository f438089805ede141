package hold

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func some(id string) Hold {
	return Hold{ID: id, Stream: "door", From: noon, To: noon.Add(time.Hour), Reason: "theft", Source: "user ada (uid 1000)", Created: noon}
}

func TestCompleteRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(*Hold)
		says   string // "": accepted
	}{
		"a good one":         {func(*Hold) {}, ""},
		"with an end":        {func(h *Hold) { h.Until = noon.Add(time.Minute) }, ""},
		"an odd ID":          {func(h *Hold) { h.ID = "a b" }, "1 to 64 letters"},
		"a long ID":          {func(h *Hold) { h.ID = strings.Repeat("x", 65) }, "1 to 64 letters"},
		"no stream":          {func(h *Hold) { h.Stream = "" }, "the name of a stream"},
		"no start":           {func(h *Hold) { h.From = time.Time{} }, "a start that is before its end"},
		"end before start":   {func(h *Hold) { h.To = noon.Add(-time.Hour) }, "a start that is before its end"},
		"a time far ahead":   {func(h *Hold) { h.To = noon.AddDate(9000, 0, 0) }, "before the year 10000"},
		"no reason":          {func(h *Hold) { h.Reason = " \n" }, "needs a reason"},
		"an end that is now": {func(h *Hold) { h.Until = noon }, "--until must be after now"},
	} {
		h := some("one")
		row.change(&h)
		done, err := Complete(h, noon)
		var fault *health.Fault
		if row.says == "" && err != nil || row.says != "" && (!errors.As(err, &fault) || !strings.Contains(fault.Text, row.says)) {
			t.Errorf("%s: %v, %v", name, done, err)
		}
	}
	h := some("")
	h.From, h.Reason = noon.Add(123456789*time.Nanosecond), "a\x1b[2J  reason"
	done, err := Complete(h, noon)
	if err != nil || done.ID == "" || done.From.Nanosecond() != 123000000 || strings.Contains(done.Reason, "\x1b") {
		t.Errorf("%+v %v", done, err)
	}
}

func TestParseMax(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"": -1, "20GB": 20e9, "1GiB": 1 << 30, "25%": 25e10, "1TB": 90e10, "900TB": 90e10, "90%": 90e10, "91%": -1, "0%": -1, "20": -1, "x%": -1,
	} {
		m, err := ParseMax(text)
		if want < 0 && err == nil || want >= 0 && (err != nil || m.Of(1e12) != want) {
			t.Errorf("%q: %v, %v", text, m, err)
		}
		if again, err := ParseMax(m.String()); err != nil || again.Of(1e12) != m.Of(1e12) {
			t.Errorf("%v is read as %v, %v", m, again, err)
		}
	}
	if (Max{}).Of(4000) != 1000 {
		t.Error("the default is not a quarter")
	}
}

// must does what a file returned.
func must(t *testing.T, commit func(), err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if commit != nil {
		commit()
	}
}

func fileIn(t *testing.T, dir string) *File {
	t.Helper()
	f := NewFile(atomicfile.OS{}, filepath.Join(dir, ".holds"))
	f.Load()
	return f
}

func add(t *testing.T, f *File, ids ...string) {
	t.Helper()
	for _, id := range ids {
		commit, err := f.Add(some(id))
		must(t, commit, err)
	}
}

func remove(t *testing.T, f *File, id string) {
	t.Helper()
	commit, err := f.Remove(id, "somebody", noon)
	must(t, commit, err)
}

func ids(f *File) (list []string) {
	for _, h := range f.List() {
		list = append(list, h.ID)
	}
	return list
}

func TestAFileHasWhatWasAdded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := fileIn(t, dir)
	if f.Needed() || f.Len() != 0 {
		t.Error("a missing file has holds")
	}
	add(t, f, "one", "two", "three")
	remove(t, f, "two")
	again := fileIn(t, dir)
	if !slices.Equal(ids(again), []string{"one", "three"}) || again.Broken() != nil {
		t.Errorf("%v %v", ids(again), again.Broken())
	}
	if h, ok := again.Find("three"); !ok || h != some("three") {
		t.Errorf("%+v", h)
	}
	for range 3 * slack { // ended ones do not fill the file
		add(t, again, "passing")
		remove(t, again, "passing")
	}
	if info, err := os.Stat(again.Path()); err != nil || info.Size() > 2*slack*300 {
		t.Errorf("%v %v", info.Size(), err)
	}
	if err := os.Remove(again.Path()); err != nil {
		t.Fatal(err)
	}
	add(t, again, "four") // somebody removed the file: what it had is written again
	if got := ids(fileIn(t, dir)); !slices.Equal(got, []string{"one", "three", "four"}) {
		t.Errorf("%v", got)
	}
	if err := os.Remove(again.Path()); err != nil {
		t.Fatal(err)
	}
	commit, err := again.Keep()
	must(t, commit, err)
	if got := ids(fileIn(t, dir)); len(got) != 3 {
		t.Errorf("%v", got)
	}
}

// A record that was written in part is dropped, and no other; and the next one does not join it.
func TestATornTailIsDropped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := fileIn(t, dir)
	add(t, f, "one")
	whole, err := os.ReadFile(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	add(t, f, "two")
	both, err := os.ReadFile(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	for n := len(whole); n <= len(both); n++ {
		for _, zeros := range []int{0, 7, len(both) - n} {
			data := append(slices.Clone(both[:n]), make([]byte, zeros)...)
			want := []string{"one"}
			if n >= len(both)-1 && zeros <= 1 || n == len(both) { // only its line feed is missing
				want = []string{"one", "two"}
			}
			c, err := parse(data)
			if err != nil || len(c.live) != len(want) {
				t.Fatalf("%d of %d bytes and %d zeros: %v, %v", n, len(both), zeros, c.live, err)
			}
			if n%16 != 0 && n < len(both)-2 { // what follows is slow, as it syncs
				continue
			}
			if err := os.WriteFile(f.Path(), data, 0o600); err != nil {
				t.Fatal(err)
			}
			torn := fileIn(t, dir)
			if torn.Broken() != nil || !slices.Equal(ids(torn), want) {
				t.Fatalf("%d of %d bytes and %d zeros: %v, %v", n, len(both), zeros, ids(torn), torn.Broken())
			}
			add(t, torn, "three")
			if got := ids(fileIn(t, dir)); !slices.Equal(got, append(want, "three")) {
				t.Fatalf("%d of %d bytes: %v", n, len(both), got)
			}
		}
	}
}

// TestEveryFlippedBitIsNoticed has a file of which one bit is wrong: it has all holds, or cannot be read, so that everything is held.
func TestEveryFlippedBitIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := fileIn(t, dir)
	add(t, f, "one", "two")
	good, err := os.ReadFile(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(good) * 8 {
		data := slices.Clone(good)
		data[bit/8] ^= 1 << (bit % 8)
		c, err := parse(data)
		if err == nil && len(c.live) != 2 {
			t.Fatalf("bit %d of byte %d (%q): %d holds are left", bit%8, bit/8, good[bit/8], len(c.live))
		}
	}
}

func TestAFileThatCannotBeReadSaysSoAndIsNotChanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := fileIn(t, dir)
	add(t, f, "one", "two")
	good, err := os.ReadFile(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	bad := slices.Clone(good)
	bad[20] ^= 1
	if err := os.WriteFile(f.Path(), bad, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := fileIn(t, dir)
	if broken.Broken() == nil || !broken.Needed() {
		t.Error("it can be read")
	}
	if _, err := broken.Add(some("three")); err == nil {
		t.Error("a hold was added")
	}
	if _, err := broken.Remove("two", "", noon); err == nil {
		t.Error("a hold was removed")
	}
	if commit, err := broken.Keep(); commit != nil || err != nil {
		t.Errorf("%v", err)
	}
	if now, _ := os.ReadFile(f.Path()); !slices.Equal(now, bad) {
		t.Error("the file was changed")
	}
	if err := os.WriteFile(f.Path(), good, 0o600); err != nil {
		t.Fatal(err)
	}
	commit, err := broken.Keep()
	must(t, commit, err)
	if broken.Broken() != nil || broken.Len() != 2 {
		t.Errorf("%v %v", ids(broken), broken.Broken())
	}
}

func FuzzParse(f *testing.F) {
	line, err := record{Add: &Hold{ID: "one", Stream: "door", From: noon, To: noon.Add(time.Hour), Reason: "theft"}}.line()
	if err != nil {
		f.Fatal(err)
	}
	end, err := record{Remove: &removal{ID: "one", By: "somebody", At: noon}}.line()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{
		nil, {'\n'}, line, append(slices.Clone(line), end...), line[:20], make([]byte, 600), append(slices.Clone(line), 0, 0),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parse(data)
		if err != nil {
			return
		}
		again, err := encode(c.live)
		if err != nil {
			t.Fatal(err)
		}
		same, err := parse(again)
		if err != nil || len(same.live) != len(c.live) {
			t.Fatalf("%d holds are %d when they are written again: %v", len(c.live), len(same.live), err)
		}
	})
}

// TestALinkThatLeadsNowhereIsNotTakenForNoHolds: the disk with the file may be missing.
func TestALinkThatLeadsNowhereIsNotTakenForNoHolds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	elsewhere := filepath.Join(t.TempDir(), "holds")
	if err := os.Symlink(elsewhere, fileIn(t, dir).Path()); err != nil {
		t.Fatal(err)
	}
	f := fileIn(t, dir)
	if f.Broken() == nil || !f.Needed() || !strings.Contains(f.Broken().Error(), "symbolic link that leads nowhere") {
		t.Errorf("it is taken for no holds: %v", f.Broken())
	}
	if _, err := f.Add(some("one")); err == nil {
		t.Error("a hold was added")
	}
	if commit, err := f.Keep(); commit != nil || err != nil {
		t.Errorf("it can be read: %v", err)
	}
	add(t, fileIn(t, filepath.Dir(elsewhere)), "two")
	if err := os.Rename(fileIn(t, filepath.Dir(elsewhere)).Path(), elsewhere); err != nil {
		t.Fatal(err)
	}
	commit, err := f.Keep()
	if commit == nil || err != nil {
		t.Fatalf("it cannot be read: %v", err)
	}
	if commit(); f.Broken() != nil || f.Len() != 1 {
		t.Errorf("%d holds, %v", f.Len(), f.Broken())
	}
}
