package segment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// The store changes the recording directory through these.
type (
	fileSystem = atomicfile.FileSystem
	file       = atomicfile.File
	osFiles    = atomicfile.OS
)

// CodeDisk is the code of faults of the recording disk.
const CodeDisk = "disk"

// diskFault turns an error of the file system into a sentence.
func diskFault(dir string, err error) error {
	if err == nil {
		return nil
	}
	var already *health.Fault
	if errors.As(err, &already) {
		return err
	}
	fault := func(format string, args ...any) error { return health.SystemFault(CodeDisk, err, format, args...) }
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fault("The disk of %s is full: free some space, or lower MaxLocalMediaSizeInMB or EdgeRetentionInHours.", dir)
	case errors.Is(err, syscall.EDQUOT):
		return fault("The disk quota of %s is used up: raise it, or lower MaxLocalMediaSizeInMB.", dir)
	case errors.Is(err, syscall.EROFS):
		return fault("The disk of %s is read-only: it may be damaged; check it and mount it writable.", dir)
	case errors.Is(err, syscall.EIO):
		return fault("The disk of %s gives read or write errors: replace it.", dir)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		return fault("A file in %s cannot be opened: close others.", dir) // the fault itself says what the hub lacks
	case errors.Is(err, syscall.ENOTDIR):
		return health.UserFault(CodeDisk, err, "%s cannot be a directory, as a file is in its way: name another place, or move the file away.", dir)
	case errors.Is(err, fs.ErrPermission):
		return health.UserFault(CodeDisk, err, "The agent may not write to %s: give its user the rights to it.", dir)
	case errors.Is(err, fs.ErrNotExist):
		return fault("The recording directory %s is gone: mount its disk.", dir)
	default:
		return fault("The disk of %s failed: %v.", dir, err)
	}
}

// reading turns an error of a store that only reads into a sentence for the person who reads.
func (s *Store) reading(err error) error {
	var system *fs.PathError
	if s.readOnly && errors.Is(err, fs.ErrPermission) && errors.As(err, &system) {
		return health.UserFault(CodeDisk, err, "You may not read %s: run this as root or as a member of the agent's group, kvs-edge-agent.", system.Path)
	}
	return err
}

// DiskFree gives the bytes that the agent may still use of the recording disk, and its size.
func (s *Store) DiskFree() (free, total uint64, err error) {
	if err := s.present(); err != nil {
		return 0, 0, err
	}
	if free, total, err = FreeSpace(s.dir); err != nil {
		return 0, 0, fmt.Errorf("cannot ask for the free space: %w", diskFault(s.dir, err))
	}
	return free, total, nil
}

// Commit has the file system of the recordings write what it holds back, also what it frees of deleted files. It waits
// for the disk, and nobody else waits for it.
func (s *Store) Commit() error {
	dir, err := os.Open(s.dir)
	if err != nil {
		return diskFault(s.dir, err)
	}
	defer func() { _ = dir.Close() }()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return diskFault(s.dir, err)
	}
	return nil
}

// FreeSpace gives the bytes that the agent may still use of the disk that dir lies on, and its size.
func FreeSpace(dir string) (free, total uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	block := uint64(st.Bsize)
	return st.Bavail * block, st.Blocks * block, nil
}

// rename moves a segment's file in its stream's directory. It is durable after sync. Both may take
// long on a slow disk and are therefore called without mu.
func (st *stream) rename(from, to string) error {
	return st.files.Rename(filepath.Join(st.dir, from), filepath.Join(st.dir, to))
}

// sync makes creations, renames and deletions in the stream's directory durable.
func (st *stream) sync() error { return st.files.SyncDir(st.dir) }
