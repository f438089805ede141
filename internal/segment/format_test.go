package segment

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

func TestAStoreOfANewerVersionIsRefusedAndStaysAsItIs(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"4\n":                        "have format 4, as a newer version of this program wrote them, and this version knows formats up to 3",
		"4 v9.1.0+dirty\nand more\n": "as a newer version (v9.1.0+dirty) of this program",
		"17 \x1b[2Jwhat\n":           "have format 17, as a newer version of this program",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, layout.FormatFileName), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(Options{Dir: dir})
		_, readErr := OpenReadOnly(Options{Dir: dir})
		for _, err := range []error{err, readErr} {
			var fault *health.Fault
			if !errors.As(err, &fault) || fault.Code != volume.CodeFormat || fault.Class != health.UserError || !strings.Contains(fault.Text, want) {
				t.Errorf("%q: %v, want %q", content, err, want)
			}
		}
		if got := files(t, dir); len(got) != 1 {
			t.Errorf("%q: something was written: %v", content, got)
		}
	}
}

func TestAStoreHasTheLeastFormatThatItNeeds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, layout.FormatFileName)
	s, err := Open(Options{Dir: dir, Version: "v1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	addSegment(t, s, "door", begin, 1)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a store that an earlier version understands has a format: %v", err)
	}
	s.mu.Lock()
	s.streams["door"].Catalog.SeeEpoch(1)
	s.mu.Unlock()
	k := addSegment(t, s, "door", begin.Add(-time.Hour), 1)
	if k.Epoch != 1 {
		t.Fatalf("%+v", k)
	}
	expect := func() {
		t.Helper()
		if data, err := os.ReadFile(path); err != nil || string(data) != "2 v1.2.3\n" {
			t.Errorf("%q %v", data, err)
		}
	}
	expect()
	if err := errors.Join(s.Close(), os.Remove(path)); err != nil {
		t.Fatal(err)
	}
	// A format that was lost comes back, and one that is known is not refused.
	for range 2 {
		if s, err = Open(Options{Dir: dir, Version: "v1.2.3"}); err != nil {
			t.Fatal(err)
		}
		expect()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAFormatThatSaysNothingStopsNothing has what a power cut may leave.
func TestAFormatThatSaysNothingStopsNothing(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "\n", "\x00\x00\x00", "two", "-5", "0", "1", "2", "2 old\n", strings.Repeat("9", 100)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, layout.FormatFileName), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		addSegment(t, open(t, dir), "door", begin, 1)
	}
}

// TestNoNameWithAnEpochIsWrittenBeforeTheFormat has the format fail.
func TestNoNameWithAnEpochIsWrittenBeforeTheFormat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	addSegment(t, s, "door", begin, 1)
	s.mu.Lock()
	s.streams["door"].Catalog.SeeEpoch(1)
	s.mu.Unlock()
	if err := os.MkdirAll(filepath.Join(dir, layout.FormatFileName, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create("door", headerAt(begin)); err == nil {
		t.Error("a segment was created")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "door", "e*")); len(left) > 0 {
		t.Errorf("%v", left)
	}
}
