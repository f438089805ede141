package segment

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// The store changes the recording directory through these.
type (
	fileSystem = atomicfile.FileSystem
	file       = atomicfile.File
	osFiles    = atomicfile.OS
)

// CodeDisk is the code of faults of the recording disk.
const CodeDisk = volume.CodeDisk

// reading turns an error of a read-only store into a sentence for the person who reads.
func (s *Store) reading(err error) error {
	if s.readOnly {
		return volume.ReadFault(err)
	}
	return err
}

// DiskFree returns the bytes that the agent may still use of the recording disk, and its size.
func (s *Store) DiskFree() (free, total uint64, err error) { return s.volume.Free() }

// FreeSpace returns the bytes that the agent may still use of the disk that dir lies on, and its size.
func FreeSpace(dir string) (free, total uint64, err error) { return volume.FreeSpace(dir) }

// Commit makes the file system of the recordings complete what it has deferred, also the freeing of deleted files. Only the
// caller waits for the disk.
func (s *Store) Commit() error { return s.volume.Commit() }

// Disk returns the recording directory, and the mark of the disk that it is on now: "" when the disk has no mark. After an
// error it is not known.
func (s *Store) Disk() (dir, mark string, err error) {
	mark, err = s.volume.ID()
	return s.dir, mark, err
}

// Used reports whether anything was ever recorded to the directory, according to its disk.
func (s *Store) Used() bool { return s.volume.Used() }

// Held reports whether deleting a finished segment would free nothing now: another process has its file open (an export, a
// player, a backup), or the file has another name (a snapshot of hard links). known is false when that cannot be determined:
// the file system has no leases, the file is another user's, or this process reads it. Source: fcntl(2), F_SETLEASE: a write
// lease is granted only while nobody else has the file open.
func (s *Store) Held(k Key) (held, known bool) {
	s.mu.Lock()
	path, idle := s.streams[k.Stream].Idle(k.ID())
	s.mu.Unlock()
	if !idle {
		return false, false
	}
	return volume.Held(path)
}
