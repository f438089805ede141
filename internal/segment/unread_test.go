package segment

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// unreadable is a disk that cannot read torn files from an offset on, for as many bytes, and takes its time to find out.
type unreadable struct {
	refusing
	from, size atomic.Int64
	why        syscall.Errno
	takes      time.Duration
	tries      atomic.Int64
}

func (d *unreadable) OpenFile(name string, flag int, mode fs.FileMode) (file, error) {
	f, err := d.refusing.OpenFile(name, flag, mode)
	if err == nil && strings.HasSuffix(name, layout.WritingSuffix) {
		f = unreadableFile{f, d}
	}
	return f, err
}

// Rename implements atomicfile.FileSystem: what takes the place of the file lies elsewhere on the disk.
func (d *unreadable) Rename(from, to string) error {
	if strings.HasSuffix(to, layout.WritingSuffix) {
		d.size.Store(0)
	}
	return d.refusing.Rename(from, to)
}

type unreadableFile struct {
	file
	disk *unreadable
}

func (f unreadableFile) ReadAt(p []byte, off int64) (int, error) {
	from, size := f.disk.from.Load(), f.disk.size.Load()
	if size == 0 || off >= from+size || off+int64(len(p)) <= from {
		return f.file.ReadAt(p, off)
	}
	f.disk.tries.Add(1)
	<-time.After(f.disk.takes)
	return 0, &fs.PathError{Op: "read", Path: "x", Err: f.disk.why}
}

// TestADiskIsNotKeptBusyWithWhatItCannotRead has a file that waits to be repaired, of which the disk does not give a part for a while.
func TestADiskIsNotKeptBusyWithWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		resync bool
		takes  time.Duration
		tries  int64 // at most, in a minute
	}{
		"a torn file":                         {false, 500 * time.Millisecond, 10},
		"a file of which a sync failed":       {true, 500 * time.Millisecond, 10},
		"a torn file, and the disk says so":   {false, 0, 30},
		"a disk that takes long to say so":    {false, 4 * time.Second, 2},
		"the same, of which a sync failed":    {true, 4 * time.Second, 2},
		"a failed sync, and the disk says so": {true, 0, 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				disk := &unreadable{why: syscall.ETIMEDOUT, takes: c.takes}
				s := mustOpen(t, Options{Dir: t.TempDir(), Files: disk})
				k := disk.detached(t, s, "door", c.resync)
				disk.from.Store(2000)
				disk.size.Store(1)
				for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(2 * time.Second) {
					s.repairBroken(t.Context())
					if worst, ok := s.health.Snapshot().Worst(); !ok || worst.Code != CodeDisk || !strings.Contains(worst.Text, "timed out") {
						t.Fatalf("the segment is not repaired, and reported is %+v", worst)
					}
				}
				if got := disk.tries.Load(); got < 2 || got > c.tries {
					t.Errorf("in a minute it was tried %d times, want 2 to %d", got, c.tries)
				}
				disk.size.Store(0)
				time.Sleep(time.Minute)
				s.repairBroken(t.Context())
				if worst, ok := s.health.Snapshot().Worst(); ok {
					t.Errorf("reported in the end: %+v", worst)
				}
				if list := fragmentsOf(t, s, k); len(list) != 3 {
					t.Errorf("%d fragments are left", len(list))
				}
			})
		})
	}
}

// TestWhatCanBeReadOfAFileIsKept has sectors that the disk never reads again, and a disk that only was away for a while: then nothing is
// missing.
func TestWhatCanBeReadOfAFileIsKept(t *testing.T) {
	t.Parallel()
	const frames, frame = 50, 10_000 // a fragment each
	for name, c := range map[string]struct {
		resync     bool
		from, size int64
		back       int // the repair, counted from 1, before which the disk reads all again
		left       int // fragments
	}{
		"a sector of a torn file":           {false, 123_456, 512, 0, frames - 1},
		"a sector, after a failed sync":     {true, 123_456, 512, 0, frames - 1},
		"many sectors":                      {false, 123_456, 5 * frame, 0, frames - 7},
		"a disk that is back after a while": {false, 123_456, 512, 3, frames},
		"the disk does not read half of it": {false, 0, 300_000, 30, frames},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := &unreadable{why: syscall.EIO}
			s := mustOpen(t, Options{Dir: t.TempDir(), Files: disk})
			w, err := s.Create("door", headerAt(begin))
			if err != nil {
				t.Fatal(err)
			}
			for i := range frames {
				at := time.Duration(i) * time.Second
				data := [][]byte{bytes.Repeat([]byte{byte(i + 1)}, frame)}
				if err := errors.Join(w.BeginFragment(at, true), w.WriteFrame(1, at, true, data)); err != nil {
					t.Fatal(err)
				}
				if _, err := w.EndFragment(); err != nil {
					t.Fatal(err)
				}
			}
			disk.detach(t, w, c.resync)
			disk.from.Store(c.from)
			disk.size.Store(c.size)
			repairs := 1
			for ; repairs <= 40; repairs++ {
				if repairs == c.back {
					disk.size.Store(0)
				}
				if err := s.repairNow(); err == nil {
					break
				} else if !errors.Is(err, syscall.EIO) {
					t.Errorf("a file that cannot be read is reported as %v", err)
				}
			}
			if c.back > 0 && repairs != c.back || c.back == 0 && repairs != 4 {
				t.Errorf("it is repaired with try %d", repairs)
			}
			disk.size.Store(0)
			if list := fragmentsOf(t, s, w.Key()); len(list) != c.left {
				t.Errorf("%d fragments are left, want %d", len(list), c.left)
			}
			if v, err := s.Verify(t.Context(), w.Key()); err != nil || len(v.Damaged) > 0 && c.left == frames {
				t.Errorf("verified: %+v, %v", v, err)
			}
		})
	}
}
