package retention

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// realFiles are the file systems of a run, and how large and how fast.
type realFiles struct {
	kinds []string
	mb    int64         // what the sizes below are multiples of, in bytes
	pace  time.Duration // how many seconds pass for the keeper in one
}

// The disks of these tests, in multiples of realFiles.mb.
const (
	diskSize     = 800
	diskReserve  = 100
	diskMissing  = 25
	segmentSize  = 10
	segmentCount = 40
)

// realDisk is a real store on a real disk with an agent's keeper, in real time or faster.
type realDisk struct {
	t *testing.T
	realFiles
	dir    string
	store  *segment.Store
	part   *health.Component // retention's of the stream
	disk   *health.Component // retention's of the disk
	later  atomic.Int64      // added to the uptime
	keys   []segment.Key
	few    int64 // how many segments suffice for what is missing, and one more
	cancel context.CancelFunc
	done   chan error
}

// newRealDisk records and fills the disk so that something is missing.
func newRealDisk(t *testing.T, files realFiles, kind string) *realDisk {
	t.Helper()
	d := &realDisk{t: t, realFiles: files, dir: testtools.Mounted(t, kind, diskSize*files.mb)}
	var err error
	if d.store, err = segment.Open(segment.Options{Dir: filepath.Join(d.dir, "recordings")}); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, segmentSize*d.mb)
	for i := range segmentCount {
		w, err := d.store.Create("door", mkv.Header{Start: begin.Add(time.Duration(i) * 10 * time.Second),
			Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.BeginFragment(0, true), w.WriteFrame(1, 0, true, [][]byte{frame}), w.Seal()); err != nil {
			t.Fatal(err)
		}
		d.keys = append(d.keys, w.Key())
	}
	d.fill((diskReserve - diskMissing) * d.mb)
	missing := diskReserve*d.mb - d.free() // some file systems take more for themselves than others
	if d.few = (missing+segmentSize*d.mb-1)/(segmentSize*d.mb) + 1; missing <= 0 || d.few > segmentCount/3 {
		t.Fatalf("%d bytes are missing, want about %d", missing, diskMissing*d.mb)
	}
	d.later.Store(int64(settleTime)) // a start waits, which is not the matter here
	return d
}

// fill has others write until so much is free.
func (d *realDisk) fill(free int64) {
	d.t.Helper()
	other, err := os.Create(filepath.Join(d.dir, "other"))
	if err != nil {
		d.t.Fatal(err)
	}
	for range 10 { // what the file system needs for itself is not in the first
		if more := d.free() - free; more > 0 {
			info, err := other.Stat()
			if err == nil {
				err = unix.Fallocate(int(other.Fd()), 0, info.Size(), more)
			}
			if err = errors.Join(err, other.Sync(), d.store.Commit()); err != nil {
				d.t.Fatal(err)
			}
		}
	}
	if err := other.Close(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *realDisk) free() int64 {
	d.t.Helper()
	free, _, err := d.store.DiskFree()
	if err != nil {
		d.t.Fatal(err)
	}
	return int64(free)
}

// run starts the keeper.
func (d *realDisk) run() {
	registry := health.NewRegistry(time.Now)
	d.part, d.disk = registry.Component("door", health.JobRetention), registry.Component("", health.JobRetention)
	started := time.Now()
	k := New(Options{
		Store: d.store, Health: registry, MinFree: func(uint64) uint64 { return uint64(diskReserve * d.mb) },
		Uptime:   func() time.Duration { return time.Since(started)*d.pace + time.Duration(d.later.Load()) },
		Interval: DefaultInterval / d.pace,
	})
	ctx, cancel := context.WithCancel(d.t.Context())
	d.cancel, d.done = cancel, make(chan error, 1)
	go func() { d.done <- k.Run(ctx) }()
	d.t.Cleanup(func() {
		cancel()
		<-d.done
		_ = d.store.Close()
	})
}

func (d *realDisk) deleted() int64 { return d.part.Value(health.DeletedBeforeUpload) }

// watch polls for that time of the keeper's, until stop returns true, and returns whether it did.
func (d *realDisk) watch(most time.Duration, stop func() bool) bool {
	end := time.After(most / d.pace)
	tick := time.NewTicker(time.Second / d.pace)
	defer tick.Stop()
	for !stop() {
		select {
		case <-tick.C:
		case <-end:
			return stop()
		}
	}
	return true
}

// served reports whether the reserve is free.
func (d *realDisk) served() bool { return d.free() >= diskReserve*d.mb }

// TestRealFileSystems has an agent's keeper reclaim space on file systems that free at once, in the background, and
// with the next commit; with nobody who reads, and with a reader that has the oldest open.
func TestRealFileSystems(t *testing.T) {
	t.Parallel()
	files := testtools.Proof(t, "filesystems", testtools.Sizes[realFiles]{
		Short:  realFiles{[]string{"tmpfs"}, 1 << 17, 60}, // too fast and too small for the others
		Middle: realFiles{[]string{"tmpfs", "ext4"}, 1 << 20, 2},
		Long:   realFiles{[]string{"tmpfs", "ext4", "xfs", "btrfs"}, 1 << 20, 1},
	})
	for _, kind := range files.kinds {
		t.Run(kind+"/nobody reads", func(t *testing.T) {
			t.Parallel()
			d := newRealDisk(t, files, kind)
			d.run()
			if !d.watch(90*time.Second, d.served) {
				t.Errorf("%d MB are free", d.free()>>20)
			}
			d.watch(70*time.Second, func() bool { return d.deleted() > d.few })
			if n := d.deleted(); n > d.few || n < 1 {
				t.Errorf("%d of %d segments are deleted, %d would have been too many", n, segmentCount, d.few)
			}
			t.Logf("%d of %d segments of %d bytes are deleted, %d suffice", d.deleted(), segmentCount, segmentSize*d.mb, d.few-1)
		})
		t.Run(kind+"/a reader", func(t *testing.T) {
			t.Parallel()
			d := newRealDisk(t, files, kind)
			reader := d.read(30)
			d.run()
			if d.watch(70*time.Second, func() bool { return d.deleted() > 0 }) {
				t.Fatalf("%d segments are deleted while a reader has the oldest open", d.deleted())
			}
			d.expect(codeHeld)
			for range 3 {
				d.later.Add(int64(passOver / 3))
				d.watch(2*DefaultInterval, func() bool { return false })
			}
			if !d.watch(time.Minute, func() bool { return d.deleted() > 0 }) {
				t.Error("nothing is deleted after ten minutes")
			}
			if d.watch(70*time.Second, func() bool { return d.deleted() > d.few }) {
				t.Errorf("%d segments are deleted in the stead of those that a reader has open", d.deleted())
			}
			reader()
			if !d.watch(90*time.Second, d.served) {
				t.Errorf("%d MB are free after the reader has gone", d.free()>>20)
			}
			d.watch(70*time.Second, func() bool { return d.deleted() > d.few })
			if n := d.deleted(); n > d.few {
				t.Errorf("%d segments are deleted", n)
			}
			t.Logf("%d of %d segments are deleted, after ten minutes of a reader", d.deleted(), segmentCount)
		})
	}
}

// read opens the oldest files, as an export does, and returns how to close them.
func (d *realDisk) read(count int) (stop func()) {
	d.t.Helper()
	names, err := filepath.Glob(filepath.Join(d.dir, "recordings", "door", "*.mkv"))
	if err != nil || len(names) < count {
		d.t.Fatal(len(names), err)
	}
	var files []*os.File
	for _, name := range names[:count] {
		f, err := os.Open(name)
		if err != nil {
			d.t.Fatal(err)
		}
		files = append(files, f)
	}
	stop = func() {
		for _, f := range files {
			_ = f.Close()
		}
	}
	d.t.Cleanup(stop)
	return stop
}

// expect looks for a condition of the disk.
func (d *realDisk) expect(code string) {
	d.t.Helper()
	for _, c := range d.disk.Snapshot().Conditions {
		if c.Code == code {
			return
		}
	}
	d.t.Errorf("the condition %s is missing", code)
}
