// Package room owns the room on the disk that a growing file has ahead of its end, so that the disk's maps of free blocks change once for
// many writes, and not in every transaction that makes one durable. It must not know what is in the file.
package room

import (
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

const (
	// most is how much room is made at a time: with 1 Mbit/s for half a minute.
	most = 4 << 20
	// least is how much pays: a file has to live for some writes on it.
	least = 1 << 20
	// share of the free space that all files together may have as room.
	share = 8
)

// Total is the room that all files of a disk have. It is free space: nobody but they can use it. Safe for concurrent use.
type Total struct{ bytes atomic.Int64 }

// Bytes returns it.
func (t *Total) Bytes() int64 { return t.bytes.Load() }

// more returns how much room one of the files may get now.
func (t *Total) more(f *os.File) int64 {
	var st unix.Statfs_t
	if unix.Fstatfs(int(f.Fd()), &st) != nil || st.Type != unix.EXT4_SUPER_MAGIC {
		return 0
	}
	have := t.Bytes()
	return min((int64(st.Bavail*uint64(st.Bsize))+have)/share-have, most)
}

// File is a file that grows by Write. Room is made on ext4 only, where it was measured, and where the truncation of a recovery
// frees it after a crash. Its methods are for one goroutine.
type File struct {
	atomicfile.File
	opened  *os.File // nil: no room is made
	total   *Total
	size    int64 // bytes written
	end     int64 // up to which there is room, or else where it is tried again
	has     bool  // there is room up to end
	made    bool  // something may have to be freed
	counted int64 // of this file in total
}

// New returns a File for one that was just opened and is empty. total is that of its disk; nil: it has no room.
func New(opened atomicfile.File, total *Total) *File {
	f := &File{File: opened, total: total}
	if total != nil {
		f.opened, _ = opened.(*os.File)
	}
	return f
}

// Real returns the file itself, for calls that only it has; see package flush.
func (f *File) Real() atomicfile.File { return f.File }

// Write implements io.Writer. The first one makes no room: it is a header, and no frame may follow.
func (f *File) Write(p []byte) (int, error) {
	if behind := f.size + int64(len(p)); f.opened != nil && f.size > 0 && behind > f.end {
		f.makeRoom(behind)
	}
	n, err := f.File.Write(p)
	f.size += int64(n)
	f.count()
	return n, err
}

// makeRoom makes room for what is about to be written, and behind it. Where that fails, or hardly any space is free, the file grows as
// others do, and it is tried again later.
func (f *File) makeRoom(behind int64) {
	length := f.total.more(f.opened)
	f.has, f.end = false, behind+max(length, least)
	if length < least {
		return
	}
	f.made = true // a call that fails may have made some
	for {
		err := unix.Fallocate(int(f.opened.Fd()), unix.FALLOC_FL_KEEP_SIZE, f.size, f.end-f.size)
		if !errors.Is(err, unix.EINTR) {
			f.has = err == nil
			f.count() // the space is no longer free on the disk
			return
		}
	}
}

// count brings the total up to date.
func (f *File) count() {
	now := int64(0)
	if f.has {
		now = max(0, f.end-f.size)
	}
	if now != f.counted {
		f.total.bytes.Add(now - f.counted)
		f.counted = now
	}
}

// Free frees the room that is left, as hardly anything more is written. It is durable with the next sync.
func (f *File) Free() {
	f.opened, f.has = nil, false
	if f.made {
		f.made = false
		Trim(f.File)
	}
	f.count()
}

// Close implements io.Closer. A recovery frees what is left.
func (f *File) Close() error {
	f.has = false
	f.count()
	return f.File.Close()
}

// Trim frees room that a file has behind its end. When that fails it is freed with the file.
func Trim(f atomicfile.File) {
	if info, err := f.Stat(); err == nil {
		_ = f.Truncate(info.Size())
	}
}

// Left reports whether a file that nobody writes to any more has room.
func Left(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Blocks*512 >= info.Size()+least/2
}
