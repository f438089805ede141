package segment

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// synced is how many frames were on the disk for certain after that many operations.
type synced struct{ events, frames int }

// longFragments records GOPs of a second into fragments of several, and a GOP that is too long for that. It flushes and syncs as the
// recorder does, and returns the frames' data and what was synced when.
func longFragments(t *testing.T, j *journal) (frames [][]byte, marks []synced) {
	t.Helper()
	s, err := Open(Options{Dir: j.root, Files: j})
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Create("door", headerAt(begin))
	if err != nil {
		t.Fatal(err)
	}
	const perSecond = 5
	for gop, seconds := range []int{1, 1, 1, 1, 1, 1, 12, 1, 1} {
		at := time.Duration(len(frames)) * time.Second / perSecond
		if gop == 0 || gop == 7 {
			err = errors.Join(err, w.BeginFragment(at, true))
		}
		for n := range seconds * perSecond {
			if gop == 6 && n == 9*perSecond {
				_, moved, moveErr := w.MoveGOP(time.Second)
				if err = errors.Join(err, moveErr); !moved {
					t.Fatal("the GOP is not moved")
				}
			}
			data := payload(len(frames))
			err = errors.Join(err, w.WriteFrame(1, at+time.Duration(n)*time.Second/perSecond, n == 0, [][]byte{data}))
			if frames = append(frames, data); len(frames)%7 == 0 {
				err = errors.Join(err, w.Flush(), w.sync(0))
				marks = append(marks, synced{len(j.events), len(frames)})
			}
		}
	}
	if err := errors.Join(err, w.Seal(), s.Close()); err != nil {
		t.Fatal(err)
	}
	return frames, append(marks, synced{len(j.events), len(frames)})
}

// TestPowerCutsInLongFragmentsTakeNoSyncedFrame whatever GOP of a fragment they are in, and while one is moved.
func TestPowerCutsInLongFragmentsTakeNoSyncedFrame(t *testing.T) {
	t.Parallel()
	j := newJournal(t.TempDir())
	frames, marks := longFragments(t, j)
	variants := testtools.Proof(t, "powercuts", testtools.Sizes[int]{Short: 6, Middle: 16, Long: 200})
	for n := range len(j.events) + 1 {
		certain := 0
		for _, m := range marks {
			if m.events <= n {
				certain = m.frames
			}
		}
		for v := range variants {
			dir := j.cut(t, n, rand.New(rand.NewPCG(uint64(n), uint64(v))))
			counts := framesIn(t, dir, frames)
			for i, count := range counts {
				if count == 0 && i < certain {
					t.Fatalf("power cut after operation %d of %d, variant %d: frame %d is lost, and %d were synced", n, len(j.events), v, i, certain)
				}
				if count > 1 {
					t.Fatalf("power cut after operation %d of %d, variant %d: frame %d is there %d times", n, len(j.events), v, i, count)
				}
			}
		}
	}
}

// framesIn recovers a store, verifies it, and counts how often it has each frame.
func framesIn(t *testing.T, dir string, frames [][]byte) []int {
	t.Helper()
	s, err := Open(Options{Dir: dir, Files: unsyncedFiles{}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	counts := make([]int, len(frames))
	for _, info := range s.Segments("door", time.Time{}, time.Time{}) {
		r, err := s.OpenSegment(info.Key)
		if err != nil {
			t.Fatal(err)
		}
		m, err := mkv.Open(r, info.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		v, err := m.Verify(true)
		if err != nil || len(v.Damaged) > 0 {
			t.Errorf("the recovered file: %+v, %v", v.Damaged, err)
		}
		for _, f := range v.Fragments {
			for b, err := range m.Blocks(f) {
				if err != nil {
					t.Fatal(err)
				}
				for i, data := range frames {
					if bytes.Equal(b.Data[4:], data) {
						counts[i]++
					}
				}
			}
		}
		_ = r.Close()
	}
	return counts
}
