package segment

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// TestWhatWasSetAsideCounts sets a file aside, starts again, and deletes it.
func TestWhatWasSetAsideCounts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	seal(t, begunWithFrame(t, s, 0))
	own := s.Usage("door").Bytes
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	garbled := bytes.Repeat([]byte("this is not Matroska data"), 4000)
	if err := os.WriteFile(filepath.Join(dir, "door", "20261127T080000.000Z.writing.mkv"), garbled, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, start := range []string{"the first", "the second"} {
		part := health.NewRegistry(time.Now).Component("", health.JobStore)
		s, err := Open(Options{Dir: dir, Health: part})
		if err != nil {
			t.Fatal(err)
		}
		if u := s.Usage("door"); u.Quarantine != int64(len(garbled)) || u.Bytes != own+u.Quarantine {
			t.Errorf("%s start: %+v", start, u)
		}
		list := part.Snapshot().Conditions
		if len(list) != 1 || list[0].Code != codeQuarantine || !strings.Contains(list[0].Text, "(100 kB,") {
			t.Errorf("%s start: %+v", start, list)
		}
		// It takes its part of the limit, but never all of it.
		for limit, room := range map[int64]int64{200_000: 200_000 - 200 - 100_000, 40_000: 40_000 - 40 - 30_000} {
			s.SetLimit("door", Limit{Bytes: limit, Ahead: limit / 16, Full: noRoom})
			if got := s.streams["door"].Room(); got != room {
				t.Errorf("%d bytes of %d are left, want %d", got, limit, room)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func begunWithFrame(t *testing.T, s *Store, after time.Duration) *Writer {
	t.Helper()
	w := beginSegment(t, s, after)
	if err := w.BeginFragment(0, true); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteFrame(1, 0, true, [][]byte{make([]byte, 1000)}); err != nil {
		t.Fatal(err)
	}
	return w
}
