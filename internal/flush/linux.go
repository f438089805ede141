package flush

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// errNotWhole means that the disk cannot be synced as a whole now.
var errNotWhole = errors.New("not the disk of before")

// syncer syncs the complete disk of a directory by syncfs. The kernel reports a failure to each open file once that was opened before it
// happened, so the directory stays open.
type syncer struct {
	path string
	dir  *os.File // nil: the disk is not of our own, or the kernel does not report failures
	dev  uint64
}

func newSyncer(dir string) *syncer {
	s := &syncer{path: dir}
	if reports() && Own(dir) {
		s.open()
	}
	return s
}

func (s *syncer) open() {
	if f, err := os.Open(s.path); err == nil {
		s.dir, s.dev = f, device(s.path)
	}
}

func (s *syncer) close() error {
	if s.dir == nil {
		return nil
	}
	return s.dir.Close()
}

// usable reports whether the complete disk may be synced. After another disk was mounted, the next beat is the first that may: what was
// written before the directory was opened may have failed unseen.
func (s *syncer) usable() bool {
	if s.dir == nil {
		return false
	}
	if device(s.path) == s.dev {
		return true
	}
	_ = s.dir.Close()
	if s.dir = nil; Own(s.path) {
		s.open()
	}
	return false
}

// SyncFS implements Whole.
func (s *syncer) SyncFS(string) error {
	err := control(s.dir, func(fd int) error { return unix.Syncfs(fd) })
	if errors.Is(err, unix.ENOSYS) {
		return errNotWhole
	}
	if err != nil {
		return &fs.PathError{Op: "syncfs", Path: s.path, Err: err}
	}
	return nil
}

// covers reports whether an item lies on the disk that is synced. Another one may be mounted on a directory of it.
func (s *syncer) covers(it *Item) bool {
	if it.Dir != "" && device(it.Dir) != s.dev {
		return false
	}
	if it.File == nil {
		return true
	}
	on := false
	_ = noted(it.File, func(f atomicfile.File) error {
		if r, ok := realFile(f); ok {
			info, err := r.Stat()
			on = err == nil && deviceOf(info) == s.dev
		}
		return nil // a file that cannot be asked is synced by itself, which says why
	})
	return on
}

// reports reports whether syncfs reports failed writes: since Linux 5.8. Source: syncfs(2).
func reports() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	return atLeast(unix.ByteSliceToString(u.Release[:]), 5, 8)
}

// atLeast reports whether a release of the kernel is that version or a later one.
func atLeast(release string, major, minor int) bool {
	number := func(s string) int {
		n, _ := strconv.Atoi(s[:len(s)-len(strings.TrimLeft(s, "0123456789"))])
		return n
	}
	first, rest, _ := strings.Cut(release, ".")
	a, b := number(first), number(rest)
	return a > major || a == major && b >= minor
}

// Own reports whether the disk of a directory has nothing but that directory: a syncfs then writes nobody else's data. From the top of its
// file system down to dir nothing lies beside the way, but what file systems put there themselves. That is looked up where all of the file
// system is mounted: a directory that is mounted by itself does not show what lies beside it.
func Own(dir string) bool {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return false
	}
	mounts, err := Mounts()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(places(mounts, dir, device(dir)), func(p place) bool { return p.top != "/" && p.is(dir) && p.alone() })
}

// is reports whether a place is that of a directory, and not hidden by another mount.
func (p place) is(dir string) bool {
	here, err := os.Stat(dir)
	if err != nil {
		return false
	}
	there, err := os.Stat(p.dir)
	return err == nil && os.SameFile(here, there)
}

// alone reports whether nothing lies beside a place.
func (p place) alone() bool {
	for dir := p.dir; dir != p.top; dir = filepath.Dir(dir) {
		beside, err := os.ReadDir(filepath.Dir(dir))
		if err != nil {
			return false
		}
		for _, e := range beside {
			if e.Name() != filepath.Base(dir) && e.Name() != "lost+found" {
				return false
			}
		}
	}
	return true
}

// device returns the number of the disk that a directory is on; 0 when it is not known.
func device(dir string) uint64 {
	if info, err := os.Stat(dir); err == nil {
		return deviceOf(info)
	}
	return 0
}

func deviceOf(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev)
	}
	return 0
}

// rangeOut starts to write a file's data to the disk, or waits for that. File systems that cannot do it do it in the sync.
func rangeOut(f atomicfile.File, wait bool) error {
	r, ok := realFile(f)
	if !ok {
		return nil
	}
	flags := unix.SYNC_FILE_RANGE_WRITE
	if wait {
		flags |= unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	}
	err := control(r, func(fd int) error { return unix.SyncFileRange(fd, 0, 0, flags) })
	if err == nil || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ESPIPE) || errors.Is(err, unix.EPERM) {
		return nil
	}
	return failed("sync_file_range", r, err)
}

// fdatasync makes the data of a file durable, with its size.
func fdatasync(f *os.File) error {
	if err := control(f, unix.Fdatasync); err != nil {
		return failed("fdatasync", f, err)
	}
	return nil
}

func failed(op string, f *os.File, err error) error {
	if errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("%s: %w", op, err)
	}
	return &fs.PathError{Op: op, Path: f.Name(), Err: err}
}

// control calls do with the descriptor of a file, again when a signal interrupted it.
func control(f *os.File, do func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = c.Control(func(fd uintptr) {
		for {
			if result = do(int(fd)); !errors.Is(result, unix.EINTR) {
				return
			}
		}
	})
	if err != nil {
		return os.ErrClosed // the one reason, under a name that package os keeps for itself
	}
	return result
}
