package segment

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// mount mounts a file system for the test, or skips it where that is not allowed.
func mount(t *testing.T, source, dir, kind string, flags uintptr, data string) {
	t.Helper()
	if err := unix.Mount(source, dir, kind, flags, data); err != nil {
		t.Skipf("this machine does not let the test mount %s: %v", kind, err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

func sentence(err error) string {
	var f *health.Fault
	if errors.As(err, &f) {
		return f.Text
	}
	return ""
}

// fillUp records fragments until the disk refuses one, and returns how many were completed.
func fillUp(t *testing.T, w *Writer) (completed int, err error) {
	t.Helper()
	frame := [][]byte{make([]byte, 100_000)}
	for i := range 1000 {
		at := time.Duration(i) * time.Second
		err = errors.Join(w.BeginFragment(at, true), w.WriteFrame(1, at, true, frame), w.WriteFrame(1, at+time.Second/2, false, frame))
		if err == nil {
			_, err = w.EndFragment()
		}
		if err != nil {
			return i, err
		}
	}
	t.Fatal("the disk never got full")
	return 0, nil
}

func TestAFileInTheWayOfADirectoryIsNamed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{path, filepath.Join(path, "recordings")} {
		if _, err := Open(Options{Dir: dir}); !strings.HasPrefix(sentence(err), dir+" cannot be a directory, as a file is in its way: ") {
			t.Errorf("of %s it says %v", dir, err)
		}
	}
	memory := filepath.Join(path, "memory")
	if _, err := Open(Options{Dir: t.TempDir(), VolumeMemory: memory}); !errors.Is(err, ErrVolumeMemory) {
		t.Errorf("of the memory in %s it says %v", memory, err)
	}
}

func TestAFullDiskLosesOnlyWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount(t, "tmpfs", dir, "tmpfs", 0, "size=3m")
	s := open(t, dir)
	old := addSegment(t, s, "door", begin, 20)
	w, err := s.Create("door", headerAt(begin.Add(time.Minute)))
	if err != nil {
		t.Fatal(err)
	}
	completed, err := fillUp(t, w)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(sentence(err), "is full") {
		t.Errorf("the disk is full, and the writer says %v", err)
	}
	if err := w.Seal(); err == nil {
		t.Error("sealing does not tell that the disk failed")
	}
	if _, err := s.Create("yard", headerAt(begin)); err == nil {
		// There was room again after the tail was cut: fine as well.
		t.Log("a further segment still fits")
	}
	if err := s.Delete(old); err != nil {
		t.Fatal(err)
	}
	if err := repairAll(t, s); err != nil {
		t.Fatal(err)
	}
	if got := len(fragmentsOf(t, s, w.Key())); got < completed {
		t.Errorf("%d fragments are left of %d", got, completed)
	}
	addSegment(t, s, "door", begin.Add(time.Hour), 1)
}

func TestAnAgentStartsOnAFullDiskAndRecoversWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	old := addSegment(t, s, "door", begin, 20)
	w := startSegment(t, s, "door", begin.Add(time.Minute), 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "door", layout.WritingName(w.Key().ID()))
	failing := &trouble{}
	var full error = &fs.PathError{Op: "write", Path: path, Err: syscall.ENOSPC}
	failing.fail.Store(&full)
	s, err := Open(Options{Dir: dir, Files: failing})
	if err != nil {
		t.Fatalf("the agent does not start: %v", err)
	}
	defer func() { _ = s.Close() }()
	if list := s.Segments("door", time.Time{}, time.Time{}); len(list) != 1 || list[0].Key != old {
		t.Errorf("%v", list)
	}
	if _, err := s.Create("door", headerAt(begin.Add(time.Minute+time.Second))); !errors.Is(err, ErrOverlap) {
		t.Errorf("what is not recovered yet may be overlapped: %v", err)
	}
	failing.fail.Store(nil)
	if err := s.Delete(old); err != nil {
		t.Fatal(err)
	}
	if err := repairAll(t, s); err != nil {
		t.Fatal(err)
	}
	if got := len(fragmentsOf(t, s, w.Key())); got != 3 {
		t.Errorf("%d fragments", got)
	}
}

func TestAReadOnlyDiskHealsWithoutARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount(t, "tmpfs", dir, "tmpfs", 0, "size=8m")
	s := open(t, dir)
	k := addSegment(t, s, "door", begin, 3)
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, "size=8m"); err != nil {
		t.Skipf("cannot remount: %v", err)
	}
	_, err := s.Create("door", headerAt(begin.Add(time.Minute)))
	if !strings.Contains(sentence(err), "read-only") {
		t.Errorf("recording on a read-only disk says %v", err)
	}
	if err := s.Delete(k); !strings.Contains(sentence(err), "read-only") {
		t.Errorf("deleting on a read-only disk says %v", err)
	}
	if got := len(fragmentsOf(t, s, k)); got != 3 {
		t.Errorf("%d fragments can be read", got)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=8m"); err != nil {
		t.Fatal(err)
	}
	addSegment(t, s, "door", begin.Add(time.Minute), 1)
	if err := s.Delete(k); err != nil {
		t.Error(err)
	}
}

func TestAVanishedDiskIsNeverReplacedByTheOneBelow(t *testing.T) {
	t.Parallel()
	disk, dir, memory := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "volume")
	// A disk of its own, which can be mounted again with what is on it.
	mount(t, "tmpfs", disk, "tmpfs", 0, "size=8m")
	mount(t, disk, dir, "", unix.MS_BIND, "")
	s, err := Open(Options{Dir: dir, VolumeMemory: memory})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	k := addSegment(t, s, "door", begin, 3)
	w := startSegment(t, s, "door", begin.Add(time.Minute), 2)
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	if err := w.Seal(); err == nil {
		t.Error("a segment was sealed on a disk that is gone")
	}
	for what, try := range map[string]func() error{
		"recording":                 func() error { _, err := s.Create("door", headerAt(begin.Add(time.Hour))); return err },
		"deleting":                  func() error { return s.Delete(k) },
		"asking for the free space": func() error { _, _, err := s.DiskFree(); return err },
	} {
		if err := try(); !strings.Contains(sentence(err), "mount") {
			t.Errorf("%s says %v", what, err)
		}
	}
	if _, err := Open(Options{Dir: dir, VolumeMemory: memory}); !strings.Contains(sentence(err), "not mounted") {
		t.Errorf("an agent that starts without its disk says %v", err)
	}
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("%v was written to the disk below", left)
	}
	mount(t, disk, dir, "", unix.MS_BIND, "")
	if err := repairAll(t, s); err != nil {
		t.Fatal(err)
	}
	if a, b := len(fragmentsOf(t, s, k)), len(fragmentsOf(t, s, w.Key())); a != 3 || b != 2 {
		t.Errorf("%d and %d fragments are there again, want 3 and 2", a, b)
	}
	addSegment(t, s, "door", begin.Add(time.Hour), 1)
}

func TestAnEmptyMarkBeginsANewVolume(t *testing.T) {
	t.Parallel()
	dir, memory := t.TempDir(), filepath.Join(t.TempDir(), "state", "volume")
	data := `{"directory":"` + dir + `","volume":"abc","mountPoint":"` + dir + `"}`
	if err := errors.Join(os.Mkdir(filepath.Dir(memory), 0o750), os.WriteFile(memory, []byte(data), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir, VolumeMemory: memory}); !strings.Contains(sentence(err), volume.MarkFileName) {
		t.Errorf("it does not say how to continue: %v", err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir, VolumeMemory: memory}); !strings.Contains(sentence(err), "not mounted") {
		t.Errorf("a mount point that went with its disk: %v", err)
	}
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, volume.MarkFileName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Dir: dir, VolumeMemory: memory})
	if err != nil {
		t.Fatal(err)
	}
	addSegment(t, s, "door", begin, 1)
	_ = s.Close()
}

// trouble is a disk that fails or hangs on request.
type trouble struct {
	unsyncedFiles
	fail    atomic.Pointer[error]
	hold    chan struct{} // while open, files with held in their path are not created
	held    string
	started chan struct{}
}

func (d *trouble) OpenFile(name string, flag int, mode fs.FileMode) (file, error) {
	if d.hold != nil && strings.Contains(name, d.held) && flag&os.O_CREATE != 0 && !strings.Contains(name, layout.StreamFileName) {
		d.started <- struct{}{}
		<-d.hold
	}
	f, err := d.unsyncedFiles.OpenFile(name, flag, mode)
	return troubled{f, d}, err
}

type troubled struct {
	file
	disk *trouble
}

func (f troubled) Sync() error {
	if err := f.disk.fail.Load(); err != nil {
		return *err
	}
	return nil
}

func (f troubled) Write(p []byte) (int, error) {
	if err := f.disk.fail.Load(); err != nil {
		return 0, *err
	}
	return f.file.Write(p)
}

func TestASlowDiskHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	disk := &trouble{hold: make(chan struct{}), held: "slow", started: make(chan struct{})}
	s, err := Open(Options{Dir: t.TempDir(), Files: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	created := make(chan error)
	go func() {
		w, err := s.Create("slow", headerAt(begin))
		if err == nil {
			err = w.Seal()
		}
		created <- err
	}()
	<-disk.started
	// It hangs. All others continue, and a second one of the same stream gets an error.
	k := addSegment(t, s, "door", begin, 2)
	persistAll(t, s, k)
	if err := s.MarkUploaded(k); err != nil {
		t.Error(err)
	}
	if _, err := s.Create("slow", headerAt(begin.Add(time.Minute))); !errors.Is(err, ErrOverlap) {
		t.Errorf("two segments of a stream at a time: %v", err)
	}
	if got := s.Segments("slow", time.Time{}, time.Time{}); len(got) != 0 {
		t.Errorf("a segment is listed before it is there: %v", got)
	}
	close(disk.hold)
	if err := <-created; err != nil {
		t.Error(err)
	}
}

func TestASlowAcknowledgementHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	disk := &trouble{hold: make(chan struct{}), held: layout.ProgressSuffix, started: make(chan struct{})}
	s, err := Open(Options{Dir: t.TempDir(), Files: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	k := addSegment(t, s, "door", begin, 1)
	noted := make(chan error)
	go func() { noted <- s.MarkPersisted(k, fragmentsOf(t, s, k)[0]) }()
	<-disk.started
	addSegment(t, s, "yard", begin, 1)
	if u := s.Usage("door"); u.PendingBytes != 0 {
		t.Errorf("what is acknowledged is still pending: %+v", u)
	}
	close(disk.hold)
	if err := errors.Join(<-noted, s.MarkUploaded(k)); err != nil {
		t.Error(err)
	}
}

func TestReadAndWriteErrorsHealByThemselves(t *testing.T) {
	t.Parallel()
	disk := &trouble{}
	s, err := Open(Options{Dir: t.TempDir(), Files: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	w := startSegment(t, s, "door", begin, 3)
	var eio error = &fs.PathError{Op: "write", Path: "x", Err: syscall.EIO}
	disk.fail.Store(&eio)
	if err := w.sync(0); !errors.Is(err, syscall.EIO) {
		t.Errorf("a failed sync says %v", err)
	}
	if err := w.Seal(); !strings.Contains(sentence(err), "read or write errors") {
		t.Errorf("sealing says %v", err)
	}
	if _, err := s.Create("door", headerAt(begin.Add(time.Second))); !errors.Is(err, ErrOverlap) {
		t.Errorf("what waits to be finished may be overlapped: %v", err)
	}
	if err := repairAll(t, s); !errors.Is(err, syscall.EIO) {
		t.Errorf("finishing on a failing disk says %v", err)
	}
	disk.fail.Store(nil)
	if err := repairAll(t, s); err != nil {
		t.Fatal(err)
	}
	if got := len(fragmentsOf(t, s, w.Key())); got != 3 {
		t.Errorf("%d fragments", got)
	}
	addSegment(t, s, "door", begin.Add(time.Minute), 1)
}

// unlisted is a disk that refuses to list some directories.
type unlisted struct {
	unsyncedFiles
	ending atomic.Pointer[string] // of their names
}

func (d *unlisted) ReadDir(dir string) ([]fs.DirEntry, error) {
	if ending := d.ending.Load(); ending != nil && strings.HasSuffix(dir, *ending) {
		return nil, &fs.PathError{Op: "readdirent", Path: dir, Err: syscall.EIO}
	}
	return d.unsyncedFiles.ReadDir(dir)
}

func TestADirectoryThatCannotBeReadHoldsUpNoOtherStreamAndHeals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	addSegment(t, s, "door", begin, 1)
	lost := addSegment(t, s, "yard", begin, 3)
	if err := errors.Join(s.MarkPersisted(lost, fragmentsOf(t, s, lost)[0]), s.Close()); err != nil {
		t.Fatal(err)
	}
	ending := "/yard"
	disk := &unlisted{}
	disk.ending.Store(&ending)
	part := health.NewRegistry(time.Now).Component("", health.JobStore)
	s, err := Open(Options{Dir: dir, Files: disk, Health: part, FlushInterval: time.Millisecond})
	if err != nil {
		t.Fatalf("one directory keeps the agent from starting: %v", err)
	}
	defer func() { _ = s.Close() }()
	if worst, _ := part.Snapshot().Worst(); worst.Code != volume.CodeUnread || worst.Severity != health.Failed ||
		!strings.Contains(worst.Text, "yard") {
		t.Errorf("the store says %+v", worst)
	}
	addSegment(t, s, "door", begin.Add(time.Hour), 1)
	if got := s.Streams(); len(got) != 1 || got[0] != "door" {
		t.Errorf("listed are %v", got)
	}
	later := headerAt(begin.Add(time.Hour))
	if _, err := s.Create("yard", later); !errors.Is(err, syscall.EIO) || !strings.Contains(sentence(err), "replace it") {
		t.Errorf("recording to it says %v", err)
	}
	if err := s.DeleteStream(t.Context(), "yard"); !errors.Is(err, syscall.EIO) {
		t.Errorf("deleting it says %v", err)
	}
	if _, err := s.OpenSegment(lost); !errors.Is(err, ErrNotFound) {
		t.Errorf("reading of it says %v", err)
	}
	s.loadUnread()
	if len(s.Segments("yard", time.Time{}, time.Time{})) != 0 {
		t.Error("what cannot be read is listed")
	}

	changes, stop := s.Changes("yard")
	defer stop()
	why := health.SystemFault("test", nil, "The stream is paused.")
	s.Pause("yard", why)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error)
	go func() { ran <- s.Run(ctx) }()
	disk.ending.Store(nil)
	<-changes
	if u := s.Usage("yard"); u.Segments != 1 || u.PendingDuration >= 3*time.Second {
		t.Errorf("it comes back as %+v", u)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	s.loadUnread() // Run may have been stopped in between
	if n := len(part.Snapshot().Conditions); n != 0 {
		t.Errorf("%d conditions are left", n)
	}
	if _, err := s.Create("yard", later); !errors.Is(err, ErrPaused) {
		t.Errorf("the pause of before is forgotten: %v", err)
	}
	s.Resume("yard")
	if _, err := s.Create("yard", headerAt(begin.Add(time.Second))); !errors.Is(err, ErrOverlap) {
		t.Errorf("what is there again may be overlapped: %v", err)
	}
	addSegment(t, s, "yard", later.Start, 1)
}

func TestADirectoryThatGoesBeforeItWasReadIsForgotten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	addSegment(t, s, "yard", begin, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ending := "/yard"
	disk := &unlisted{}
	disk.ending.Store(&ending)
	s, err := Open(Options{Dir: dir, Files: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := os.RemoveAll(filepath.Join(dir, "yard")); err != nil {
		t.Fatal(err)
	}
	disk.ending.Store(nil)
	s.loadUnread()
	addSegment(t, s, "yard", begin, 1)
	if _, err := OpenReadOnly(Options{Dir: dir, Files: disk}); err != nil {
		t.Error(err)
	}
	disk.ending.Store(&ending)
	if _, err := OpenReadOnly(Options{Dir: dir, Files: disk}); !errors.Is(err, syscall.EIO) {
		t.Errorf("a command that reads the directory says %v", err)
	}
}

// replug has a disk come back as another device, with what it had. The agent still has files of the first one open.
func replug(t *testing.T, dir string) {
	t.Helper()
	next := t.TempDir()
	mount(t, "tmpfs", next, "tmpfs", 0, "size=4m")
	if err := errors.Join(os.CopyFS(next, os.DirFS(dir)), unix.Unmount(dir, unix.MNT_DETACH)); err != nil {
		t.Fatal(err)
	}
	mount(t, next, dir, "", unix.MS_BIND, "")
}

// A disk that comes back as another device is the same disk for everything that the store does.
func TestADiskThatComesBackAsAnotherDeviceIsTheSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount(t, "tmpfs", dir, "tmpfs", 0, "size=4m")
	own := filepath.Join(dir, "own")
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, Options{Dir: dir})
	addSegment(t, s, "door", begin, 1)
	for i := range 2 {
		replug(t, dir)
		addSegment(t, s, "door", begin.Add(time.Duration(i+1)*time.Hour), 1)
		if err := s.BeginEpoch("door", time.Time{}, time.Time{}, 0, begin); err != nil {
			t.Errorf("a new epoch: %v", err)
		}
		if err := s.Delete(s.Segments("door", time.Time{}, time.Time{})[0].Key); err != nil {
			t.Errorf("a deletion: %v", err)
		}
		mount(t, "tmpfs", own, "tmpfs", 0, "size=4m")
		at := begin.Add(time.Duration(i) * time.Hour)
		addSegment(t, s, "own", at, 1)
		replug(t, own)
		addSegment(t, s, "own", at.Add(time.Minute), 1)
		if err := s.DeleteStream(t.Context(), "own"); err != nil {
			t.Errorf("the deletion of a stream with a disk of its own: %v", err)
		}
		_, _ = unix.Unmount(own, unix.MNT_DETACH), unix.Unmount(own, unix.MNT_DETACH)
		if addSegment(t, s, "yard", at, 1); !s.SameDisk("door") || !s.SameDisk("yard") {
			t.Error("a stream is on another disk than the recordings")
		}
	}
	if err := s.DeleteStream(t.Context(), "door"); err != nil {
		t.Errorf("the deletion of a stream: %v", err)
	}
}

// misread is a disk that cannot list some directories.
type misread struct {
	atomicfile.OS
	dir atomic.Value // string: the name of one
}

func (d *misread) ReadDir(name string) ([]fs.DirEntry, error) {
	if filepath.Base(name) == d.dir.Load() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: syscall.EIO}
	}
	return d.OS.ReadDir(name)
}

// A stream that could be read only after its disk came back as another device lies on that disk, too.
func TestAStreamThatIsReadLaterIsOnTheSameDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount(t, "tmpfs", dir, "tmpfs", 0, "size=4m")
	s := mustOpen(t, Options{Dir: dir})
	addSegment(t, s, "door", begin, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	disk := new(misread)
	disk.dir.Store("door")
	s = mustOpen(t, Options{Dir: dir, Files: disk})
	replug(t, dir)
	addSegment(t, s, "yard", begin, 1) // which notices that
	disk.dir.Store("")
	s.loadUnread()
	if !s.SameDisk("door") {
		t.Error("the stream is on another disk than the recordings")
	}
	if err := errors.Join(s.BeginEpoch("door", time.Time{}, time.Time{}, 0, begin), s.DeleteStream(t.Context(), "door")); err != nil {
		t.Errorf("a new epoch and the deletion: %v", err)
	}
}
