package flush

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// disk counts syncs, and fails as the test has it.
type disk struct {
	atomicfile.OS
	fails  error
	failed string // the file whose sync fails
	syncs  atomic.Int64
	mu     sync.Mutex
	dirs   []string
	meet   chan struct{} // each sync waits for another one, when there is such a channel
}

type diskFile struct {
	atomicfile.File
	d    *disk
	name string
}

func (d *disk) OpenFile(name string, flag int, mode fs.FileMode) (atomicfile.File, error) {
	f, err := d.OS.OpenFile(name, flag, mode)
	return &diskFile{f, d, filepath.Base(name)}, err
}

func (f *diskFile) Sync() error {
	f.d.syncs.Add(1)
	if f.d.meet != nil {
		select {
		case f.d.meet <- struct{}{}:
		case <-f.d.meet:
		case <-time.After(time.Minute):
			return errors.New("no other sync came")
		}
	}
	if f.d.failed == f.name {
		return f.d.fails
	}
	return nil
}

func (d *disk) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dirs = append(d.dirs, dir)
	return nil
}

// wholeDisk is synced as a whole.
type wholeDisk struct{ *disk }

func (d wholeDisk) SyncFS(string) error {
	d.syncs.Add(1)
	return d.fails
}

// noting is a file that notes failures.
type noting struct {
	atomicfile.File
	noted error
}

func (f *noting) Do(do func(atomicfile.File) error) error {
	if err := do(f.File); err != nil {
		f.noted = err
	}
	return f.noted
}

func items(t *testing.T, files atomicfile.FileSystem, n int) []Item {
	t.Helper()
	dir := t.TempDir()
	list := make([]Item, n)
	for i := range list {
		f, err := files.OpenFile(filepath.Join(dir, string(rune('a'+i))), os.O_CREATE|os.O_RDWR, 0o600)
		if err == nil {
			_, err = io.WriteString(f, "media")
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		list[i].File = &noting{File: f}
	}
	list[0].Dir = dir
	return list
}

func TestFilesAreSyncedAtTheSameTimeAndEachHasItsResult(t *testing.T) {
	t.Parallel()
	d := &disk{fails: syscall.EIO, failed: "b", meet: make(chan struct{})}
	list := items(t, d, 4)
	NewDisk(d, t.TempDir()).Sync(list)
	for i, it := range list {
		if failed := i == 1; (it.Err != nil) != failed || (it.File.(*noting).noted != nil) != failed {
			t.Errorf("file %d: %v", i, it.Err)
		}
	}
	if d.syncs.Load() != 4 || len(d.dirs) != 1 {
		t.Errorf("%d syncs of files, %d of directories", d.syncs.Load(), len(d.dirs))
	}
}

func TestAFailureOfTheCompleteDiskGivesUpEveryFile(t *testing.T) {
	t.Parallel()
	d := wholeDisk{&disk{}}
	list := items(t, d, 5)
	list[4].Idle = true
	NewDisk(d, t.TempDir()).Sync(list)
	for i, it := range list {
		if it.Err != nil {
			t.Errorf("file %d: %v", i, it.Err)
		}
	}
	if d.syncs.Load() != 1 || len(d.dirs) != 0 {
		t.Errorf("%d syncs, %d of directories, instead of one", d.syncs.Load(), len(d.dirs))
	}
	d.fails = syscall.EIO
	NewDisk(d, t.TempDir()).Sync(list)
	for i, it := range list {
		if !errors.Is(it.Err, syscall.EIO) || !errors.Is(it.File.(*noting).noted, syscall.EIO) {
			t.Errorf("file %d is believed: %v", i, it.Err)
		}
	}
}

// The kernel reports a failed write once: a sync that succeeds afterwards proves nothing. What is idle is not synced at all.
func TestWhatFailedBeforeStaysFailed(t *testing.T) {
	t.Parallel()
	d := &disk{}
	for name, c := range map[string]struct {
		files       atomicfile.FileSystem
		fails       error
		syncs, dirs int
	}{
		"each file":           {files: d, syncs: 1, dirs: 1},
		"as a whole":          {files: wholeDisk{d}, syncs: 1},
		"as a whole, failing": {files: wholeDisk{d}, fails: syscall.EIO, syncs: 1},
	} {
		d.fails, d.dirs = c.fails, nil
		d.syncs.Store(0)
		list := append(items(t, c.files, 3), Item{Dir: t.TempDir()})
		list[0].Dir, list[0].Err = "", syscall.ENOSPC
		list[1].Idle = true
		NewDisk(c.files, t.TempDir()).Sync(list)
		for i, want := range []error{syscall.ENOSPC, c.fails, c.fails, c.fails} {
			if !errors.Is(list[i].Err, want) {
				t.Errorf("%s: item %d: %v, want %v", name, i, list[i].Err, want)
			}
		}
		if n := int(d.syncs.Load()); n != c.syncs || len(d.dirs) != c.dirs {
			t.Errorf("%s: %d syncs, %d of directories; want %d, %d", name, n, len(d.dirs), c.syncs, c.dirs)
		}
	}
}

func TestNothingIsSyncedWhenNothingIsDue(t *testing.T) {
	t.Parallel()
	d := wholeDisk{&disk{}}
	list := items(t, d, 2)
	list[0].Idle, list[1].Idle = true, true
	NewDisk(d, t.TempDir()).Sync(list)
	NewShared(d).Sync(list)
	if d.syncs.Load() != 0 {
		t.Errorf("%d syncs", d.syncs.Load())
	}
}

func TestTheRealSystemSyncsFiles(t *testing.T) {
	t.Parallel()
	list := items(t, atomicfile.OS{}, 40)
	NewDisk(atomicfile.OS{}, t.TempDir()).Sync(list)
	for i, it := range list {
		if it.Err != nil {
			t.Errorf("file %d: %v", i, it.Err)
		}
	}
	closed := items(t, atomicfile.OS{}, 1)
	_ = closed[0].File.Close()
	if NewShared(atomicfile.OS{}).Sync(closed); !errors.Is(closed[0].Err, os.ErrClosed) {
		t.Errorf("of a closed file it says %v", closed[0].Err)
	}
}

// around is a file with another one in it, which must not be synced by anything but the calls of that.
type around struct{ atomicfile.File }

func (a around) Real() atomicfile.File { return a.File }
func (around) Sync() error             { return errors.New("a complete sync, where the data suffices") }

func TestAFileWithAnotherOneInItIsSyncedAsThatOne(t *testing.T) {
	t.Parallel()
	list := items(t, atomicfile.OS{}, 3)
	for i, it := range list {
		list[i].File = &noting{File: around{it.File.(*noting).File}}
	}
	NewShared(atomicfile.OS{}).Sync(list)
	for i, it := range list {
		if it.Err != nil {
			t.Errorf("file %d: %v", i, it.Err)
		}
	}
}

func TestADiskIsOfOurOwnWhenNothingElseIsOnIt(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("this machine does not let the test mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(root, unix.MNT_DETACH) })
	dir := filepath.Join(root, "hub", "recordings")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	if !Own(root) || !Own(dir) {
		t.Error("a disk with nothing but recordings is not of our own")
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil || !Own(link) {
		t.Errorf("behind a link it is not of our own: %v", err)
	}
	d := NewDisk(atomicfile.OS{}, dir)
	if reports() && !d.real.usable() {
		t.Error("it is not synced as a whole")
	}
	if err := d.real.SyncFS(""); reports() && err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(root, "hub", "database"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if Own(dir) {
		t.Error("a disk with the data of others is of our own")
	}
	if Own("/") || Own("/nowhere/at/all") {
		t.Error("the root, or nothing, is of our own")
	}
}

// A directory that is mounted by itself hides all others on its disk.
func TestADirectoryMountedByItselfIsJudgedByItsDisk(t *testing.T) {
	t.Parallel()
	root, bound := t.TempDir(), t.TempDir()
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("this machine does not let the test mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(root, unix.MNT_DETACH) })
	dir := filepath.Join(root, "recordings")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(dir, bound, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("this machine does not let the test mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(bound, unix.MNT_DETACH) })
	if !Own(bound) || !Own(dir) {
		t.Error("a disk with nothing but recordings is not of our own")
	}
	if err := os.WriteFile(filepath.Join(root, "database"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if Own(bound) || Own(dir) {
		t.Error("a disk with the data of others is of our own")
	}
	if err := unix.Unmount(root, unix.MNT_DETACH); err != nil || Own(bound) {
		t.Errorf("a disk of which nobody knows what it has is of our own (%v)", err)
	}
}

// The result of a sync of the complete disk says nothing about a file on another one.
func TestWhatLiesOnAnotherDiskHasAResultOfItsOwn(t *testing.T) {
	t.Parallel()
	list := items(t, atomicfile.OS{}, 3)
	fd, err := unix.MemfdCreate("media", 0) // a file system of its own
	if err != nil {
		t.Skip(err)
	}
	other := os.NewFile(uintptr(fd), "media")
	t.Cleanup(func() { _ = other.Close() })
	list[1].File = &noting{File: around{other}}
	list = append(list, Item{Dir: "/proc"}, Item{Dir: filepath.Join(list[0].Dir, "gone")})
	dir, err := os.Open(list[0].Dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = dir.Close() // so that syncing all fails
	d := &Disk{files: &disk{}, real: &syncer{path: list[0].Dir, dir: dir, dev: device(list[0].Dir)}}
	d.Sync(list)
	for i, it := range list {
		failed, want := errors.Is(it.Err, os.ErrClosed), i == 0 || i == 2
		if failed != want {
			t.Errorf("item %d: %v", i, it.Err)
		}
	}
	if dirs := d.files.(*disk).dirs; len(dirs) != 2 {
		t.Errorf("the directories on other disks are not synced: %v", dirs)
	}
}

func TestKernelsAreOldEnough(t *testing.T) {
	t.Parallel()
	for release, want := range map[string]bool{
		"5.8.0": true, "5.10.103-v7l+": true, "6.1.0-rpi4": true, "5.7.19": false, "4.19.66": false, "5.4.0-1": false, "": false, "6": true,
	} {
		if got := atLeast(release, 5, 8); got != want {
			t.Errorf("%q: %v", release, got)
		}
	}
}
