package scheduler

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
)

// zoneFiles is a directory in the place of /etc and /usr/share/zoneinfo.
type zoneFiles struct {
	t    *testing.T
	dir  string
	env  map[string]string
	zone *systemZone
}

func newZoneFiles(t *testing.T) *zoneFiles {
	f := &zoneFiles{t: t, dir: t.TempDir(), env: map[string]string{}}
	f.zone = newSystemZone(zap.NewNop())
	f.zone.file = filepath.Join(f.dir, "localtime")
	f.zone.getenv = func(key string) (string, bool) { v, ok := f.env[key]; return v, ok }
	return f
}

// add writes the file of a zone whose offset is given by a rule, and returns its path.
func (f *zoneFiles) add(name, rule string) string {
	f.t.Helper()
	path := filepath.Join(f.dir, "zoneinfo", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, ruleData(rule), 0o644); err != nil {
		f.t.Fatal(err)
	}
	return path
}

// link makes /etc/localtime point to a file, in one step as timedatectl does.
func (f *zoneFiles) link(target string) {
	f.t.Helper()
	if err := os.Symlink(target, f.zone.file+".new"); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(f.zone.file+".new", f.zone.file); err != nil {
		f.t.Fatal(err)
	}
}

// is checks the zone's name and its hours east of UTC in summer.
func (f *zoneFiles) is(name string, summer int) {
	f.t.Helper()
	zone := f.zone.location()
	if zone != f.zone.location() {
		f.t.Error("asked twice without a change: got two zones")
	}
	_, offset := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC).In(zone).Zone()
	if zone.String() != name || offset != summer*3600 {
		f.t.Errorf("got zone %s at UTC%+d s, want %s at %+d h", zone, offset, name, summer)
	}
}

func TestTheSystemZoneFollowsItsFile(t *testing.T) {
	t.Parallel()
	f := newZoneFiles(t)
	f.is("UTC", 0) // no file
	berlin, tokyo := f.add("Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3"), f.add("Asia/Tokyo", "JST-9")
	f.link(berlin)
	f.is("Europe/Berlin", 2)
	f.link(tokyo)
	f.is("Asia/Tokyo", 9)
	f.add("Asia/Tokyo", "JST-10JDT,M3.5.0,M10.5.0") // a new edition of the database
	f.is("Asia/Tokyo", 11)
	if err := os.WriteFile(tokyo, []byte("broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	f.is("Asia/Tokyo", 11)
	if err := os.Remove(f.zone.file); err != nil {
		t.Fatal(err)
	}
	f.is("UTC", 0)
}

func TestTheSystemZoneFollowsTZ(t *testing.T) {
	t.Parallel()
	f := newZoneFiles(t)
	f.link(f.add("Asia/Tokyo", "JST-9"))
	for _, c := range []struct {
		tz, name string
		summer   int
	}{
		{"Europe/Berlin", "Europe/Berlin", 2},
		{":America/New_York", "America/New_York", -4},
		{"", "UTC", 0},
		{f.add("Africa/Cairo", "EET-2EEST,M4.5.5/0,M10.5.4/24"), "Africa/Cairo", 3},
		{"CET-1CEST,M3.5.0,M10.5.0/3", "CET-1CEST,M3.5.0,M10.5.0/3", 2},
		{"<+03>-3", "<+03>-3", 3},
		{"Nowhere/Atlantis", "<+03>-3", 3}, // the previous one stays
	} {
		f.env["TZ"] = c.tz
		f.is(c.name, c.summer)
	}
	delete(f.env, "TZ")
	f.is("Asia/Tokyo", 9)
}

func TestAnUnknownZoneAtTheStartIsUTC(t *testing.T) {
	t.Parallel()
	f := newZoneFiles(t)
	f.env["TZ"] = "Nowhere/Atlantis"
	f.is("UTC", 0)
}
