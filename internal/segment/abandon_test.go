package segment

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// noting is a disk that fails on request, and notes of which streams it opens media.
type noting struct {
	trouble
	mu     sync.Mutex
	opened []string
}

func (d *noting) OpenFile(name string, flag int, mode fs.FileMode) (file, error) {
	if strings.Contains(name, layout.WritingSuffix) {
		d.mu.Lock()
		d.opened = append(d.opened, filepath.Base(filepath.Dir(name)))
		d.mu.Unlock()
	}
	return d.trouble.OpenFile(name, flag, mode)
}

// streams returns the streams of which media was opened since it was last called.
func (d *noting) streams() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := slices.Compact(slices.Sorted(slices.Values(d.opened)))
	d.opened = nil
	return list
}

// TestACameraWaitsForItsOwnSmallFileOnly ends a segment while those of other cameras wait to be repaired: the camera is not read
// meanwhile.
func TestACameraWaitsForItsOwnSmallFileOnly(t *testing.T) {
	t.Parallel()
	seal, abandon := (*Writer).Seal, (*Writer).Abandon
	for name, c := range map[string]struct {
		large, failed bool
		end           func(*Writer) error
		repaired      bool // at once
	}{
		"a small file in doubt":      {false, true, seal, true},
		"a large file in doubt":      {true, true, seal, false},
		"a small file after a panic": {false, false, abandon, true},
		"a large file after a panic": {true, false, abandon, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := new(noting)
			s := mustOpen(t, Options{Dir: t.TempDir(), Files: disk})
			others := []*Writer{startSegment(t, s, "a", begin, 3), startSegment(t, s, "b", begin, 3)}
			w := startSegment(t, s, "door", begin, 3)
			if c.large {
				at := 3 * time.Second
				if err := errors.Join(w.BeginFragment(at, true), w.WriteFrame(1, at, true, [][]byte{make([]byte, maxRepairAtOnce)})); err != nil {
					t.Fatal(err)
				}
			}
			var eio error = &fs.PathError{Op: "write", Path: "x", Err: syscall.EIO}
			disk.fail.Store(&eio)
			for _, other := range others {
				if err := other.Seal(); !errors.Is(err, syscall.EIO) {
					t.Errorf("sealing on a failing disk says %v", err)
				}
			}
			if c.failed {
				if err := w.Synced(eio); !errors.Is(err, syscall.EIO) || w.file.Sync() == nil {
					t.Errorf("a failed sync says %v", err)
				}
			}
			disk.fail.Store(nil)
			disk.streams()
			err := c.end(w)
			if c.failed && (err == nil) != c.repaired {
				t.Errorf("it says %v", err)
			}
			if opened := disk.streams(); slices.ContainsFunc(opened, func(of string) bool { return of != "door" || !c.repaired }) {
				t.Errorf("the camera waits for files of %v", opened)
			}
			if got := len(s.Segments("door", time.Time{}, time.Time{})) == 1; got != c.repaired {
				t.Errorf("the segment is listed at once: %t, want %t", got, c.repaired)
			}
			if err := repairAll(t, s); err != nil {
				t.Error(err)
			}
			for _, w := range append(others, w) {
				if list := fragmentsOf(t, s, w.Key()); len(list) < 3 {
					t.Errorf("of stream %s %d fragments are left", w.Key().Stream, len(list))
				}
			}
		})
	}
}
