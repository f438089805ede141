package segment

import (
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
