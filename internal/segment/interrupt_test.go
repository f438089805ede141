package segment

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// stopping is a disk that fails on request, and on which a reading of torn files, counted down, comes at the moment of a stop.
type stopping struct {
	refusing
	left   atomic.Int64
	stop   atomic.Pointer[context.CancelFunc]
	behind atomic.Int64 // readings that came after it
}

func (d *stopping) OpenFile(name string, flag int, mode fs.FileMode) (file, error) {
	f, err := d.refusing.OpenFile(name, flag, mode)
	if err == nil && strings.HasSuffix(name, layout.WritingSuffix) {
		f = stoppingFile{f, d}
	}
	return f, err
}

type stoppingFile struct {
	file
	disk *stopping
}

func (f stoppingFile) ReadAt(p []byte, off int64) (int, error) {
	switch left := f.disk.left.Add(-1); {
	case left == 0:
		(*f.disk.stop.Load())()
	case left < 0:
		f.disk.behind.Add(1)
	}
	return f.file.ReadAt(p, off)
}

// TestAStopInterruptsARepair stops with each reading of the repair of two segments: nothing more is read, the disk is not blamed, and in
// the end nothing is missing.
func TestAStopInterruptsARepair(t *testing.T) {
	t.Parallel()
	for name, resync := range map[string]bool{"torn files": false, "files of which a sync failed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := new(stopping)
			s := mustOpen(t, Options{Dir: t.TempDir(), Files: disk})
			var keys []Key
			for _, stream := range []string{"door", "yard"} {
				keys = append(keys, disk.detached(t, s, stream, resync))
			}
			stops := 0
			for whole := false; !whole; stops++ {
				ctx, stop := context.WithCancel(t.Context())
				disk.stop.Store(&stop)
				disk.left.Store(int64(stops + 1))
				disk.behind.Store(0)
				s.repairBroken(ctx)
				if whole = ctx.Err() == nil; !whole && disk.behind.Load() > 0 {
					t.Errorf("after a stop with reading %d, %d more follow", stops+1, disk.behind.Load())
				}
				stop()
				if worst, ok := s.health.Snapshot().Worst(); ok {
					t.Errorf("a stop with reading %d is reported: %+v", stops+1, worst)
				}
			}
			if stops < 5 {
				t.Errorf("all is read in %d readings", stops)
			}
			disk.left.Store(1 << 40)
			for _, k := range keys {
				if list := s.Segments(k.Stream, time.Time{}, time.Time{}); len(list) != 1 || list[0].State != Sealed {
					t.Fatalf("listed: %+v", list)
				}
				if list := fragmentsOf(t, s, k); len(list) != 3 {
					t.Errorf("%d fragments are left", len(list))
				}
				if v, err := s.Verify(t.Context(), k); err != nil || len(v.Damaged) > 0 {
					t.Errorf("verified: %+v, %v", v, err)
				}
			}
		})
	}
}

// detached returns a segment of three fragments that is to be repaired.
func (d *refusing) detached(t *testing.T, s *Store, stream string, resync bool) Key {
	t.Helper()
	w := startSegment(t, s, stream, begin, 3)
	if _, _, _, err := w.Due(); err != nil { // nothing stays in memory
		t.Error(err)
	}
	var eio error = &fs.PathError{Op: "write", Path: "x", Err: syscall.EIO}
	d.fail.Store(&eio)
	if resync {
		if err := w.file.Sync(); !errors.Is(err, syscall.EIO) {
			t.Errorf("a sync on a failing disk says %v", err)
		}
	}
	d.fail.Store(nil)
	if err := w.file.Close(); err != nil {
		t.Error(err)
	}
	w.detach()
	return w.Key()
}
