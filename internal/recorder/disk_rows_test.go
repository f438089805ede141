package recorder

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// The rows of disks: cameras are recorded to real files, on a disk that fails when the test says so.

// runStore runs a store, with its syncs and repairs as in an agent, until the test ends.
func runStore(t *testing.T, store *segment.Store) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { _ = store.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
}

// badDisk is a disk that fails on request, or that is slow, below one directory.
type badDisk struct {
	atomicfile.OS
	below string
	fault atomic.Pointer[syscall.Errno]
	room  bool          // only operations that take space fail
	slow  time.Duration // of each change
	slept atomic.Int64  // operations that were slow
}

// change is called for each change of a file or directory. It returns the error that it fails with.
func (d *badDisk) change(op, name string, takesRoom bool) error {
	if !strings.Contains(name, d.below) {
		return nil
	}
	if d.slow > 0 {
		d.slept.Add(1)
		<-time.After(d.slow)
	}
	if errno := d.fault.Load(); errno != nil && (takesRoom || !d.room) {
		return &fs.PathError{Op: op, Path: name, Err: *errno}
	}
	return nil
}

func (d *badDisk) OpenFile(name string, flag int, mode fs.FileMode) (atomicfile.File, error) {
	if flag&(os.O_WRONLY|os.O_RDWR) != 0 {
		if err := d.change("open", name, flag&os.O_CREATE != 0); err != nil {
			return nil, err
		}
	}
	f, err := d.OS.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	return badFile{f, d, name}, nil
}

func (d *badDisk) MkdirAll(dir string, mode fs.FileMode) error {
	if err := d.change("mkdir", dir, true); err != nil {
		return err
	}
	return d.OS.MkdirAll(dir, mode)
}

func (d *badDisk) Rename(from, to string) error {
	if err := d.change("rename", from, false); err != nil {
		return err
	}
	return d.OS.Rename(from, to)
}

func (d *badDisk) Remove(name string) error {
	if err := d.change("remove", name, false); err != nil {
		return err
	}
	return d.OS.Remove(name)
}

func (d *badDisk) SyncDir(dir string) error {
	if err := d.change("sync", dir, false); err != nil {
		return err
	}
	return d.OS.SyncDir(dir)
}

type badFile struct {
	atomicfile.File
	disk *badDisk
	name string
}

func (f badFile) Write(p []byte) (int, error) {
	if err := f.disk.change("write", f.name, true); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f badFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.disk.change("write", f.name, true); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f badFile) Truncate(size int64) error {
	if err := f.disk.change("truncate", f.name, false); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f badFile) Sync() error {
	if err := f.disk.change("sync", f.name, false); err != nil {
		return err
	}
	return f.File.Sync()
}

// twoStreams records two cameras into one store; the disk disturbs only the first stream.
func twoStreams(t *testing.T, disk *badDisk, segments time.Duration) (door, yard *rig) {
	t.Helper()
	dir := t.TempDir()
	disk.below = filepath.Join(dir, "door")
	store := openStore(t, segment.Options{Dir: dir, Files: disk, FlushInterval: 200 * time.Millisecond})
	runStore(t, store)
	short := func(o *Options) { o.SegmentDuration, o.FlushInterval = segments, 200*time.Millisecond }
	start := func(stream string) *rig {
		camera := startCamera(t, fakecam.Options{})
		return recordInto(t, store, dir, stream, camera, camera.URL(), short)
	}
	return start("door"), start("yard")
}

// failingDisk has a disk that fails one stream in the middle of a segment, and recovers.
func failingDisk(t *testing.T, errno syscall.Errno, onlyRoom bool, says string) {
	t.Helper()
	disk := &badDisk{room: onlyRoom}
	door, yard := twoStreams(t, disk, 2*time.Second)
	door.awaitFrames(40)
	yard.awaitFrames(40)
	disk.fault.Store(&errno)
	// While the present segment still takes what comes, it is only degraded.
	door.await("a failure with "+says, func() bool {
		return slices.ContainsFunc(door.part.Snapshot().Conditions, func(c health.Condition) bool {
			return strings.Contains(c.Text, says) && c.Severity == health.Failed && c.Class == health.SystemError
		})
	})
	yard.awaitFrames(yard.number(health.FramesRecorded) + 50)
	if n := door.logged("recording", "") - door.logged("recording", "keeps growing"); n != 1 {
		t.Errorf("%d log lines for one failing disk", n)
	}
	disk.fault.Store(nil)
	door.awaitFrames(door.number(health.FramesRecorded) + 50)
	if got := door.part.Snapshot(); len(got.Conditions) > 0 || got.State != stateRecording {
		t.Errorf("after it recovered: %+v", got)
	}
	if door.number(health.FramesLost) == 0 || door.number(health.Gaps) == 0 {
		t.Error("no frame is reported as lost")
	}
	yard.settle()
	yard.expectAll()
	if n := yard.number(health.FramesLost); n != 0 {
		t.Errorf("the other stream lost %d frames", n)
	}
	door.settle()
	door.await("its files to be finished", func() bool {
		left, err := filepath.Glob(filepath.Join(door.dir, "door", "*.writing*"))
		return err == nil && len(left) == 0
	})
	// Nothing is recorded twice or in the wrong order, and no GOP has a gap.
	frames := door.frames()
	for i := 1; i < len(frames); i++ {
		if frames[i].counter <= frames[i-1].counter || frames[i].counter != frames[i-1].counter+1 && !frames[i].keyframe {
			t.Errorf("frame %d comes after %d, keyframe %v", frames[i].counter, frames[i-1].counter, frames[i].keyframe)
		}
	}
	door.mustMux()
}

func diskFull(t *testing.T) { failingDisk(t, syscall.ENOSPC, true, "is full") }

func diskReadOnly(t *testing.T) { failingDisk(t, syscall.EROFS, false, "is read-only") }

// diskGone has a disk that was unplugged, but is still mounted.
func diskGone(t *testing.T) { failingDisk(t, syscall.EIO, false, "read or write errors") }

// diskSlow has writes that take 100 ms each. No frame is lost.
func diskSlow(t *testing.T) {
	disk := &badDisk{slow: 100 * time.Millisecond}
	door, yard := twoStreams(t, disk, 3*time.Second)
	for _, r := range []*rig{door, yard} {
		r.awaitFrames(100)
		r.settle()
		r.expectSteps(r.expectAll(), tick)
		if lost := r.number(health.FramesLost); lost != 0 || len(r.camera.Sessions()) != 1 {
			t.Errorf("%s lost %d frames, in %d sessions", r.stream, lost, len(r.camera.Sessions()))
		}
	}
	door.mustMux()
	if n := disk.slept.Load(); n < 20 {
		t.Errorf("the disk was slow %d times only", n)
	}
}

// mount mounts a file system for the test, or skips the test where that is not allowed.
func mount(t *testing.T, source, dir, kind string, flags uintptr) {
	t.Helper()
	if err := unix.Mount(source, dir, kind, flags, ""); err != nil {
		t.Skipf("this machine does not let the test mount %s: %v", kind, err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

func volumeUnmounted(t *testing.T) {
	disk, dir, memory := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "volume")
	mount(t, "tmpfs", disk, "tmpfs", 0)
	mount(t, disk, dir, "", unix.MS_BIND)
	store := openStore(t, segment.Options{Dir: dir, VolumeMemory: memory, FlushInterval: 200 * time.Millisecond})
	runStore(t, store)
	camera := startCamera(t, fakecam.Options{})
	r := recordInto(t, store, dir, "door", camera, camera.URL(), func(o *Options) { o.SegmentDuration = time.Second })
	r.awaitFrames(40)
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	r.awaitCondition("mount")
	more := sent(camera) + 50
	r.await("frames that cannot be recorded", func() bool { return sent(camera) >= more })
	if below, err := os.ReadDir(dir); err != nil || len(below) > 0 {
		t.Errorf("written to the disk below: %v, %v", below, err)
	}
	mount(t, disk, dir, "", unix.MS_BIND)
	r.awaitFrames(r.number(health.FramesRecorded) + 50)
	if got := r.part.Snapshot(); len(got.Conditions) > 0 || got.State != stateRecording {
		t.Errorf("mounted again: %+v", got)
	}
	r.settle()
	if got := r.frames(); len(got) < 90 || r.number(health.FramesLost) == 0 {
		t.Errorf("%d frames are recorded, %d reported as lost", len(got), r.number(health.FramesLost))
	}
	r.mustMux()
}

// powered is a disk that forgets all that was not synced when its power is cut.
type powered struct {
	atomicfile.OS
	root    string
	cameras []*fakecam.Camera

	mu     sync.Mutex
	synced map[string][]byte // by name
	worst  []moment          // just before each sync

	slowest time.Duration // of all syncs; it stands for the disk's writes too
}

func (d *powered) OpenFile(name string, flag int, mode fs.FileMode) (atomicfile.File, error) {
	f, err := d.OS.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	return &poweredFile{f, d, name}, nil
}

func (d *powered) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.OS.Rename(from, to)
	if data, ok := d.synced[from]; ok && err == nil {
		d.synced[to] = data
		delete(d.synced, from)
	}
	return err
}

func (d *powered) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.synced, name)
	return d.OS.Remove(name)
}

// moment is one at which the power may be cut.
type moment struct {
	synced map[string][]byte // by name: the content after a power cut at this moment
	sent   []int64           // frames so far, by camera
}

// now notes what would remain after a power cut now.
func (d *powered) now() moment {
	m := moment{sent: make([]int64, len(d.cameras))}
	for i, camera := range d.cameras {
		m.sent[i] = sent(camera)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	m.synced = maps.Clone(d.synced)
	return m
}

// left returns a directory with what remains after a power cut at a moment.
func (d *powered) left(t *testing.T, m moment) string {
	t.Helper()
	to := t.TempDir()
	for name, data := range m.synced {
		rel, err := filepath.Rel(d.root, name)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(to, rel)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

type poweredFile struct {
	atomicfile.File
	disk *powered
	name string
}

func (f *poweredFile) Sync() error {
	began := time.Now()
	before := f.disk.now()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	f.disk.mu.Lock() // no file is renamed before its sync is noted
	defer f.disk.mu.Unlock()
	data, err := os.ReadFile(f.name)
	if err != nil { // renamed in between: the sync is that of the new name
		return f.File.Sync()
	}
	f.disk.worst = append(f.disk.worst, before)
	f.disk.synced[f.name] = data[:min(int64(len(data)), info.Size())]
	f.disk.slowest = max(f.disk.slowest, time.Since(began))
	return nil
}

// powerCut cuts the power at the worst moments: just before a sync. The next start finds everything but the
// last 2 s that each camera had sent until then, and continues recording after it.
func powerCut(t *testing.T) {
	late := testtools.SchedulingDelay(t)
	dir := t.TempDir()
	disk := &powered{root: dir, synced: make(map[string][]byte)}
	for range 2 {
		disk.cameras = append(disk.cameras, startCamera(t, fakecam.Options{}))
	}
	store := openStore(t, segment.Options{Dir: dir, Files: disk})
	runStore(t, store)
	var rigs []*rig
	for i, stream := range []string{"door", "yard"} {
		rigs = append(rigs,
			recordInto(t, store, dir, stream, disk.cameras[i], disk.cameras[i].URL(), func(o *Options) { o.SegmentDuration = 3 * time.Second }))
	}
	for _, r := range rigs {
		r.awaitFrames(250)
	}
	for _, r := range rigs {
		r.finish()
	}
	const fps = 25
	// A frame waits at four places on its way from the camera to the disk: camera, socket, flush, sync.
	most := int64(((2*time.Second + 4*late() + 4*disk.slowest) * fps).Seconds())
	var last string
	worst := int64(0)
	for _, m := range disk.worst {
		last = disk.left(t, m)
		after := openStore(t, segment.Options{Dir: last})
		for i, r := range rigs {
			left := (&rig{t: t, stream: r.stream, store: after}).frames()
			for n, f := range left {
				if f.counter != uint64(n) {
					t.Fatalf("frame %d is number %d", n, f.counter)
				}
			}
			worst = max(worst, m.sent[i]-int64(len(left)))
		}
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d power cuts, which took %d frames at most, and may take %d", len(disk.worst), worst, most)
	if worst > most {
		t.Errorf("a power cut took %d frames, %.1f s", worst, float64(worst)/fps)
	}
	camera := startCamera(t, fakecam.Options{})
	r := recordInto(t, openStore(t, segment.Options{Dir: last}), last, "door", camera, camera.URL())
	r.awaitFrames(30)
	r.settle()
	r.frames() // fails if times do not increase
	r.mustMux()
}
