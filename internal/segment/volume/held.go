package volume

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Held reports whether deleting a file would free nothing now: another process has it open (an export, a player, a backup),
// or the file has another name (a snapshot of hard links). known is false when that cannot be determined: the file system
// has no leases, the file is another user's, or this process reads it; and when it is renamed or deleted meanwhile. Source:
// fcntl(2), F_SETLEASE: a write lease is granted only while nobody else has the file open.
func Held(path string) (held, known bool) {
	// O_NONBLOCK: not to wait for the lease of another process.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false, false
	}
	defer func() { _ = f.Close() }() // ends the lease too
	if info, err := f.Stat(); err != nil {
		return false, false
	} else if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
		return true, true
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return false, false
	}
	var answer error
	if err := raw.Control(func(fd uintptr) {
		if _, answer = unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_WRLCK); answer == nil {
			_, _ = unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_UNLCK)
		}
	}); err != nil {
		return false, false
	}
	switch answer {
	case nil:
		return false, true
	case unix.EAGAIN:
		return true, true
	default: // EINVAL, ENOLCK, EACCES, ENOSYS
		return false, false
	}
}
