package retention

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// keeping is a disk that does not remove some of the files of deleted segments.
type keeping struct {
	atomicfile.OS
	removed int   // so many were to be removed
	keeps   []int // which of them stay
	names   []string
}

func (d *keeping) Remove(name string) error {
	if strings.HasSuffix(name, layout.GarbageSuffix) && !slices.Contains(d.names, name) {
		if slices.Contains(d.keeps, d.removed) {
			d.names = append(d.names, name)
		}
		d.removed++
	}
	if slices.Contains(d.names, name) {
		return &fs.PathError{Op: "unlink", Path: name, Err: syscall.EBUSY}
	}
	return os.Remove(name)
}

// A deleted file that cannot be removed keeps no other one on the disk, nor the loss of its media from being said, and is tried again.
func TestAFileThatStaysHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	const segments = 5
	for name, keeps := range map[string][]int{"none": nil, "the first": {0}, "two": {1, 2}, "all": {0, 1, 2, 3, 4}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := &keeping{keeps: keeps}
			y := newYardOn(t, disk)
			y.synced = true
			for i := range segments {
				y.add("door", time.Duration(i)*10*time.Second, 3000, false)
			}
			y.keeper.SetPolicy("door", Policy{MaxAge: time.Hour})
			y.elapse(2 * time.Hour)
			for passes := 0; y.store.Usage("door").Segments > 0; passes++ {
				if passes > segments {
					t.Fatalf("%d segments are left", y.store.Usage("door").Segments)
				}
				y.pass()
				y.accounts(segments - y.store.Usage("door").Segments)
			}
			y.leaves(disk, len(keeps))
			if y.pass(); len(keeps) > 0 {
				y.leaves(disk, len(keeps))
			}
			disk.names = nil // they can be removed now
			y.pass()
			y.leaves(disk, 0)
		})
	}
}

// accounts holds what is said of lost media against the number of segments that are listed no longer.
func (y *yard) accounts(gone int) {
	y.t.Helper()
	part := y.health.Component("door", health.JobRetention)
	deleted, lost := part.Counter(health.SegmentsDeleted).Load(), part.Counter(health.DeletedBeforeUpload).Load()
	if _, said := y.condition("door", codeLost); deleted != int64(gone) || lost != int64(gone) || !said {
		y.t.Errorf("%d segments are gone: %d are counted as deleted, %d as lost, it is said: %t", gone, deleted, lost, said)
	}
}

// leaves checks that so many files are left on the disk, and that they are reported.
func (y *yard) leaves(disk *keeping, want int) {
	y.t.Helper()
	dir, _, _ := y.store.Disk()
	files, err := filepath.Glob(filepath.Join(dir, "door", "*"+layout.GarbageSuffix))
	if err != nil || len(files) != want {
		y.t.Errorf("%d files are left instead of %d: %v, %v", len(files), want, disk.names, err)
	}
	if c, said := y.condition("door", segment.CodeDisk); said != (want > 0) {
		y.t.Errorf("%d files are left, and it is said: %q", want, c.Text)
	}
}

// TestAFileThatStaysStopsNoRecording fills a limit beside files of deleted segments that stay: their stream does not wait for room that
// nobody can free.
func TestAFileThatStaysStopsNoRecording(t *testing.T) {
	t.Parallel()
	for name, keeps := range map[string][]int{"none": nil, "the first": {0}, "two": {0, 3}, "five": {0, 1, 2, 3, 4}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := &keeping{keeps: keeps}
			f := newFillingOn(t, disk, rand.New(rand.NewPCG(1, 2)), 4_000_000, 100_000, fillRate, DeleteOldest)
			for n := range 100 * fillRate {
				f.keep(n)
				f.frame(n)
			}
			if f.seal(); f.lost > 0 {
				t.Errorf("%d frames are lost, %d recorded", f.lost, f.taken)
			}
			if len(disk.names) != len(keeps) {
				t.Errorf("%d files stay, want %d", len(disk.names), len(keeps))
			}
			if used := f.store.Usage("yard").Bytes; used > f.policy.MaxBytes {
				t.Errorf("%d bytes are listed, of %d", used, f.policy.MaxBytes)
			}
		})
	}
}
