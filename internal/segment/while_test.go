package segment

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// counting is a disk on which reading ends somebody's patience: with the given call of ReadAt, counted down.
type counting struct {
	atomicfile.OS
	left atomic.Int64
	end  atomic.Pointer[context.CancelFunc]
}

// OpenFile implements atomicfile.FileSystem.
func (d *counting) OpenFile(name string, flag int, mode fs.FileMode) (atomicfile.File, error) {
	f, err := d.OS.OpenFile(name, flag, mode)
	if err != nil || flag != os.O_RDONLY {
		return f, err
	}
	return countedFile{f, d}, nil
}

type countedFile struct {
	atomicfile.File
	disk *counting
}

func (f countedFile) ReadAt(p []byte, off int64) (int, error) {
	if end := f.disk.end.Load(); end != nil && f.disk.left.Add(-1) == 0 {
		(*end)()
	}
	return f.File.ReadAt(p, off)
}

// TestWhatIsNotReadIsNotDamaged ends a verification with each of its readings.
func TestWhatIsNotReadIsNotDamaged(t *testing.T) {
	t.Parallel()
	disk := new(counting)
	s, err := Open(Options{Dir: t.TempDir(), Files: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	k := addSegment(t, s, "door", begin, 5)
	readings := 0
	for whole := false; !whole; readings++ {
		ctx, end := context.WithCancel(t.Context())
		disk.left.Store(int64(readings + 1))
		disk.end.Store(&end)
		v, err := s.Verify(ctx, k)
		disk.end.Store(nil)
		// With the last reading all is read.
		whole = ctx.Err() == nil
		if end(); whole != (err == nil) || err != nil && !errors.Is(err, context.Canceled) || len(v.Damaged) > 0 {
			t.Fatalf("ended with reading %d: %+v, %v", readings+1, v, err)
		}
	}
	if err := s.Delete(k); err != nil {
		t.Errorf("it is kept from being deleted: %v", err)
	}
	if readings < 5 {
		t.Errorf("all is read in %d readings", readings)
	}
}
