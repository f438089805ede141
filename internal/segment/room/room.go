// Package room owns the room on the disk that a growing file has ahead of its end, so that the disk's maps of free blocks change once for
// many writes, and not in every transaction that makes one durable. It must not know what is in the file.
package room

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

const (
	// most is how much room is made at a time: with 1 Mbit/s for half a minute.
	most = 4 << 20
	// least is less than pays: a file has to live for some writes on it.
	least = 1 << 20
	// share of the free space that one file may have as room, which nobody else can use meanwhile: of 64 cameras a sixteenth.
	share = 1024
)

// File is a file that grows by Write. Room is made on ext4 only, where it was measured, and where the truncation of a recovery
// frees it after a crash. Its methods are for one goroutine.
type File struct {
	atomicfile.File          // with what counts syncs
	opened          *os.File // nil: no room is made
	size            int64    // bytes written
	end             int64    // up to which there is room, or else where it is tried again
	made            bool     // something is to be freed
}

// New returns a File. All calls go to f, of which opened is the file itself, empty.
func New(f, opened atomicfile.File) *File {
	real, _ := opened.(*os.File)
	return &File{File: f, opened: real}
}

// Write implements io.Writer. The first one makes no room: many files end with it.
func (f *File) Write(p []byte) (int, error) {
	if want := f.size + int64(len(p)); f.opened != nil && f.size > 0 && want > f.end {
		f.makeRoom(want)
	}
	n, err := f.File.Write(p)
	f.size += int64(n)
	return n, err
}

// makeRoom makes room for what is about to be written, and behind it. Where that fails, or hardly any space is free, the file grows as
// others do, and it is tried again later.
func (f *File) makeRoom(behind int64) {
	length := roomOn(f.opened)
	if length < least {
		f.end = behind + least
		return
	}
	f.made = true // a call that fails may have made some
	f.end = behind + length
	_ = unix.Fallocate(int(f.opened.Fd()), unix.FALLOC_FL_KEEP_SIZE, f.size, f.end-f.size)
}

// roomOn returns how much room a file may have now.
func roomOn(f *os.File) int64 {
	var st unix.Statfs_t
	if unix.Fstatfs(int(f.Fd()), &st) != nil || st.Type != unix.EXT4_SUPER_MAGIC {
		return 0
	}
	return min(int64(st.Bavail*uint64(st.Bsize))/share, most)
}

// Sync implements atomicfile.File for a file that does not grow any more: it frees the room that is left.
func (f *File) Sync() error {
	if f.made {
		f.made = false
		if info, err := f.File.Stat(); err == nil {
			_ = f.File.Truncate(info.Size()) // otherwise it is freed with the file
		}
	}
	return f.File.Sync()
}
