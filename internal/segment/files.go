package segment

import (
	"io"
	"io/fs"
	"os"
)

// fileSystem is how the store changes the recording directory. Tests put their own in its place, to
// note the order of writes and syncs, or to fail as disks do. Reading needs no such thing, but for the
// lists that a disk may refuse.
type fileSystem interface {
	OpenFile(name string, flag int, mode fs.FileMode) (file, error)
	ReadDir(dir string) ([]fs.DirEntry, error)
	MkdirAll(dir string, mode fs.FileMode) error
	Rename(from, to string) error
	Remove(name string) error
	RemoveAll(dir string) error
	// SyncDir makes creations, renames and deletions in dir durable.
	SyncDir(dir string) error
}

// file is an open file to write to.
type file interface {
	io.Writer
	io.WriterAt
	io.ReaderAt
	io.Closer
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	Sync() error
}

// osFiles is the real thing.
type osFiles struct{}

func (osFiles) OpenFile(name string, flag int, mode fs.FileMode) (file, error) {
	f, err := os.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osFiles) ReadDir(dir string) ([]fs.DirEntry, error)   { return os.ReadDir(dir) }
func (osFiles) MkdirAll(dir string, mode fs.FileMode) error { return os.MkdirAll(dir, mode) }
func (osFiles) Rename(from, to string) error                { return os.Rename(from, to) }
func (osFiles) Remove(name string) error                    { return os.Remove(name) }
func (osFiles) RemoveAll(dir string) error                  { return os.RemoveAll(dir) }

func (osFiles) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
