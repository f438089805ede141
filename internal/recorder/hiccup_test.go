package recorder

import (
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// hiccup is a disk of which some operations of one kind fail.
type hiccup struct {
	atomicfile.OS
	op    string
	errno syscall.Errno
	fails atomic.Int64 // how many more operations fail
	seen  atomic.Int64
}

func (d *hiccup) step(op, name string) error {
	if op != d.op || d.fails.Load() <= 0 {
		return nil
	}
	d.fails.Add(-1)
	d.seen.Add(1)
	return &fs.PathError{Op: op, Path: name, Err: d.errno}
}

func (d *hiccup) OpenFile(name string, flag int, mode fs.FileMode) (atomicfile.File, error) {
	if flag&os.O_CREATE != 0 && strings.HasSuffix(name, ".mkv") {
		if err := d.step("create", name); err != nil {
			return nil, err
		}
	}
	f, err := d.OS.OpenFile(name, flag, mode)
	return hiccupFile{f, d, name}, err
}

func (d *hiccup) Rename(from, to string) error {
	if err := d.step("rename", from); err != nil {
		return err
	}
	return d.OS.Rename(from, to)
}

func (d *hiccup) SyncDir(dir string) error {
	if err := d.step("sync of the directory", dir); err != nil {
		return err
	}
	return d.OS.SyncDir(dir)
}

type hiccupFile struct {
	atomicfile.File
	disk *hiccup
	name string
}

func (f hiccupFile) Write(p []byte) (int, error) {
	if err := f.disk.step("write", f.name); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f hiccupFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.disk.step("write at", f.name); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f hiccupFile) Sync() error {
	if err := f.disk.step("sync", f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

// hiccupFeed is a recorder with segments of a second and a keyframe every 10 frames.
type hiccupFeed struct {
	t      *testing.T
	disk   *hiccup
	store  *segment.Store
	r      *Recorder
	v      *supervisor
	frames int
}

func newHiccupFeed(t *testing.T, disk *hiccup) *hiccupFeed {
	f := &hiccupFeed{t: t, disk: disk, store: openStore(t, segment.Options{Dir: t.TempDir(), Files: disk})}
	f.r = New(Options{
		Stream: "door", Store: f.store, Log: zap.NewNop(), SegmentDuration: time.Second,
		Health: health.NewRegistry(time.Now).Component("door", health.JobRecorder),
	})
	f.v = newSupervisor(&f.r.o)
	f.v.Begin(accessunit.H264, 90_000, [][]byte{realSPS, realPPS}, nil)
	return f
}

func (f *hiccupFeed) play(n int) {
	for range n {
		nal, at := slice1, time.Duration(f.frames)*tick
		if f.frames%10 == 0 {
			nal = idr
		}
		f.v.AccessUnit([][]byte{[]byte(nal)}, uint32(at*9/100_000), noon.Add(at))
		f.frames++
	}
}

// expectHealthy checks the state and the conditions of a recorder that is recording.
func (f *hiccupFeed) expectHealthy() {
	f.t.Helper()
	if got := f.r.o.Health.Snapshot(); got.State != stateRecording || len(got.Conditions) > 0 {
		f.t.Errorf("state %q, conditions %+v", got.State, got.Conditions)
	}
}

// Whatever failed, and however often, the next recorded frame reports that recording works.
func TestTheNextFrameEndsWhatADiskFailed(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"create", "rename", "sync of the directory", "write", "write at", "sync"} {
		for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EMFILE, syscall.EINTR} {
			for _, times := range []int64{1, 2, 5} {
				t.Run(op+" "+errno.Error(), func(t *testing.T) {
					t.Parallel()
					disk := &hiccup{op: op, errno: errno}
					f := newHiccupFeed(t, disk)
					f.play(15)
					disk.fails.Store(times)
					for range 20 { // until all have failed
						f.play(25)
					}
					if disk.fails.Load() > 0 {
						t.Fatalf("%d have not failed", disk.fails.Load())
					}
					f.play(60)
					f.expectHealthy()
					if err := f.v.seal(); err != nil {
						t.Error(err)
					}
					n := f.r.o.numbers
					if got := n.frames.Load() + n.lost.Load(); got != int64(f.frames) {
						t.Errorf("%d recorded and %d lost of %d", n.frames.Load(), n.lost.Load(), f.frames)
					}
				})
			}
		}
	}
}

// While no segment can be created the previous one continues, without a lost frame, and reports why it grows.
func TestASegmentGoesOnForWantOfANextOne(t *testing.T) {
	t.Parallel()
	disk := &hiccup{op: "create", errno: syscall.EMFILE}
	f := newHiccupFeed(t, disk)
	f.play(20)
	disk.fails.Store(1 << 40)
	f.play(100)
	got := f.r.o.Health.Snapshot()
	if got.State != stateRecording || len(got.Conditions) != 1 || got.Conditions[0].Severity != health.Degraded ||
		got.Conditions[0].Code != codeStore {
		t.Errorf("while none can be created: %q, %+v", got.State, got.Conditions)
	}
	disk.fails.Store(0)
	f.play(60)
	f.expectHealthy()
	if err := f.v.seal(); err != nil {
		t.Fatal(err)
	}
	n := f.r.o.numbers
	if n.frames.Load() != int64(f.frames) || n.lost.Load() != 0 || n.gaps.Load() != 0 {
		t.Errorf("%d of %d frames recorded, %d lost, %d gaps", n.frames.Load(), f.frames, n.lost.Load(), n.gaps.Load())
	}
	list := f.store.Segments("door", time.Time{}, time.Time{})
	if first := list[0]; first.End.Sub(first.StartTime()) < 4*time.Second {
		t.Errorf("the first of %d segments lasts %s", len(list), first.End.Sub(first.StartTime()))
	}
}

// The growth has a limit, and a segment is not continued with media that must not be in the same file.
func TestASegmentThatMustEndEnds(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*hiccupFeed){
		"too large": func(f *hiccupFeed) { f.r.o.MaxSegmentBytes = func() int64 { return 100 } },
		"cut":       func(f *hiccupFeed) { f.v.segmenter.newSegmentDue = true },
		"far too long": func(f *hiccupFeed) {
			s := &f.v.segmenter.recording.segment
			s.start = s.start.Add(-longestStay - time.Minute)
		},
		"the disk is gone": func(f *hiccupFeed) { f.disk.errno = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := &hiccup{op: "create", errno: syscall.EMFILE}
			f := newHiccupFeed(t, disk)
			f.play(24)
			disk.fails.Store(1 << 40)
			change(f)
			if disk.errno == 0 {
				disk.fails.Store(0)
				f.r.o.Store = goneStore{f.r.o.Store}
			}
			f.play(20)
			if got := f.r.o.Health.Snapshot(); got.State != statePaused || len(got.Conditions) == 0 || got.Conditions[0].Severity != health.Failed {
				t.Errorf("%q, %+v", got.State, got.Conditions)
			}
		})
	}
}

// goneStore is a store whose disk has disappeared.
type goneStore struct{ Store }

func (goneStore) Create(string, mkv.Header) (*segment.Writer, error) {
	return nil, health.SystemFault(segment.CodeDisk, segment.ErrDiskGone, "The disk is gone.")
}
