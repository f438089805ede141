package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// recordWithAGap writes a segment with frames of two seconds, and nothing for 20 s between them.
func recordWithAGap(t *testing.T, s *segment.Store, after time.Duration) {
	t.Helper()
	w := recordInto(t, s, after, 1, "sps")
	at := 21 * time.Second
	err := errors.Join(w.BeginFragment(at, true), w.WriteFrame(1, at, true, [][]byte{{1, 2, 3}}),
		w.WriteFrame(1, at+900*time.Millisecond, false, [][]byte{{4, 5, 6}}), w.Seal())
	if err != nil {
		t.Fatal(err)
	}
}

func TestGapsWithinARecordingAreListed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	recordWithAGap(t, s, 0)
	recordWithAGap(t, s, time.Minute)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// As it is noted, and as an earlier version left it.
	for _, what := range []string{"noted", "of an earlier version"} {
		got, err := command(newSegmentsCommand(), "--dir", dir)
		row := shown(900*time.Millisecond) + " " + shown(21*time.Second) + " 20.1 s -- nothing in it --"
		if err != nil || !strings.Contains(got, "gaps: 3\n") || strings.Contains(got, "--gaps") ||
			!strings.Contains(strings.Join(strings.Fields(got), " "), row) {
			t.Errorf("%s: %v\n%s", what, err, got)
		}
		got, err = command(newSegmentsCommand(), "--dir", dir, "--json")
		var list []storedSegment
		if err = errors.Join(err, json.Unmarshal([]byte(got), &list)); err != nil || len(list) != 2 {
			t.Fatalf("%s: %v\n%s", what, err, got)
		}
		for i, l := range list {
			if len(l.Gaps) != 1 || l.Gaps[0].Seconds != 20.1 || !l.Gaps[0].From.Equal(l.Start.Add(900*time.Millisecond)) || l.GapsUnknown {
				t.Errorf("%s: %d: %+v", what, i, l)
			}
		}
		_ = os.Remove(filepath.Join(dir, "door", ".gaps"))
	}
}

// TestManyRecordingsOfAnEarlierVersionAreReadForGapsOnRequest has more than are read without one.
func TestManyRecordingsOfAnEarlierVersionAreReadForGapsOnRequest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	for i := range readForGaps + 3 {
		recordWithAGap(t, s, time.Duration(i)*time.Minute)
	}
	if err := errors.Join(s.Close(), os.Remove(filepath.Join(dir, "door", ".gaps"))); err != nil {
		t.Fatal(err)
	}
	between := readForGaps + 2
	for _, tc := range []struct {
		args []string
		gaps int
		hint bool
	}{{nil, between + readForGaps, true}, {[]string{"--gaps"}, between + readForGaps + 3, false}} {
		got, err := command(newSegmentsCommand(), append([]string{"--dir", dir}, tc.args...)...)
		hint := strings.HasSuffix(got, "Gaps within 3 segments of an earlier version are not counted: --gaps.\n")
		if err != nil || !strings.Contains(got, fmt.Sprintf("gaps: %d\n", tc.gaps)) || hint != tc.hint {
			t.Errorf("%q: %v\n%s", tc.args, err, got)
		}
	}
}
