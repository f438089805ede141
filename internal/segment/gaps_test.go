package segment

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// recordPauses begins a segment with frames at 0 to 1, 4 to 5 in the same fragment, and 20 to 21 s in the next.
func recordPauses(t *testing.T, s *Store, start time.Time) *Writer {
	t.Helper()
	w := startSegment(t, s, "door", start, 1)
	add := func(from time.Duration) {
		for i := range 25 {
			at := from + time.Duration(i)*frameInterval
			if err := w.WriteFrame(1, at, i == 0, [][]byte{payload(i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, part := range []time.Duration{3 * time.Second, 20 * time.Second} {
		if err := w.BeginFragment(part, true); err != nil {
			t.Fatal(err)
		}
		add(part)
		if part < 10*time.Second {
			add(part + 4*time.Second)
		}
		if _, err := w.EndFragment(); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func gapsAt(start time.Time) []Gap {
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	return []Gap{{From: at(960), To: at(3000)}, {From: at(3960), To: at(7000)}, {From: at(7960), To: at(20_000)}}
}

// expectGaps compares what is known of a segment, and what its frames say, with what was recorded.
func expectGaps(t *testing.T, what string, s *Store, k Key, known bool) {
	t.Helper()
	want := gapsAt(k.StartTime())
	for _, info := range s.Segments("door", time.Time{}, time.Time{}) {
		if info.Key != k {
			continue
		}
		if info.GapsKnown != known {
			t.Errorf("%s: known %v", what, info.GapsKnown)
		}
		if diff := cmp.Diff(want, info.Gaps); known && diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	r, err := s.OpenSegment(k)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	got, err := r.Gaps()
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%s: its frames say (-want +got):\n%s%v", what, diff, err)
	}
}

func TestGapsWithinSegmentsAreKnown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	w := recordPauses(t, s, begin)
	k := w.Key()
	expectGaps(t, "being written", s, k, true)
	beside, err := OpenReadOnly(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	expectGaps(t, "being written, read beside", beside, k, false)
	torn := crash(t, dir)
	seal(t, w)
	expectGaps(t, "sealed", s, k, true)
	persistAll(t, s, k)
	if err := s.MarkUploaded(k); err != nil {
		t.Fatal(err)
	}
	expectGaps(t, "uploaded", s, k, true)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	expectGaps(t, "after a restart", open(t, dir), k, true)
	expectGaps(t, "recovered", open(t, torn), k, true)

	// What an earlier version recorded, and what it did beside the notes of a later one.
	if err := os.Remove(filepath.Join(dir, "door", layout.GapsFileName)); err != nil {
		t.Fatal(err)
	}
	if beside, err = OpenReadOnly(Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	expectGaps(t, "of an earlier version", beside, k, false)
}

func TestTheNotesOfGapsSurviveWhatPowerCutsDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	k := recordAndSealPauses(t, s, begin)
	path := filepath.Join(dir, "door", layout.GapsFileName)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A torn line is as if it had not been written, and swallows nothing that follows.
	if err := os.WriteFile(path, append(data, "20261121T04\x00\x00"...), 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	expectGaps(t, "torn", s, k, true)
	next := recordAndSealPauses(t, s, begin.Add(time.Hour))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	expectGaps(t, "behind a torn line", s, next, true)
	for _, k := range []Key{k, next} {
		if err := s.Delete(k); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// What is noted of segments that are gone is dropped when there is much of it.
	many := string(data) + strings.Repeat("20261121T042048.123Z 1 9\n", 256)
	if err := os.WriteFile(path, []byte(many), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if data, err = os.ReadFile(path); err != nil || !strings.HasPrefix(string(data), "since ") || strings.Count(string(data), "\n") != 1 {
		t.Errorf("%q %v", data, err)
	}
}

func recordAndSealPauses(t *testing.T, s *Store, start time.Time) Key {
	t.Helper()
	w := recordPauses(t, s, start)
	seal(t, w)
	return w.Key()
}

// BenchmarkReadGaps reads 5 minutes of 25 frames a second for gaps, names and heads in the page cache.
func BenchmarkReadGaps(b *testing.B) {
	dir := b.TempDir()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	w, err := s.Create("door", headerAt(begin))
	if err != nil {
		b.Fatal(err)
	}
	frame := make([]byte, 20_000)
	for i := range 300 * 25 {
		at := time.Duration(i) * frameInterval
		if i%50 == 0 {
			if err := w.BeginFragment(at, true); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.WriteFrame(1, at, i%50 == 0, [][]byte{frame}); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Seal(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r, err := s.OpenSegment(w.Key())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Gaps(); err != nil {
			b.Fatal(err)
		}
		_ = r.Close()
	}
}

// An earlier version that records in between does not note gaps, and leaves no sign in the notes: those that this version
// has made of before are not treated as complete.
func TestGapsAreNotDeniedAfterAnEarlierVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	w, err := s.Create("door", headerAt(begin))
	if err != nil {
		t.Fatal(err)
	}
	writeFragments(t, w, 0, 2)
	if err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s, dir)
	if !s.infoOf(w.Key()).GapsKnown {
		t.Error("what this version has recorded is not known")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, volume.LockFileName), []byte("4711\n"), 0o600); err != nil { // as an earlier version has it
		t.Fatal(err)
	}
	for _, how := range []func(Options) (*Store, error){OpenReadOnly, Open, Open} {
		s, err := how(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if s.infoOf(w.Key()).GapsKnown {
			t.Error("the notes are treated as complete")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
