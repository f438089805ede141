// Package atomicfile owns how files are changed so that a power cut leaves the old or the new, and
// nothing between. It must not know what is in them.
package atomicfile

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// FileSystem reads and changes directories. Tests replace it with their own, to record the order of writes
// and syncs, or to fail as disks do. It cannot remove a directory with its contents: others may have files
// there.
type FileSystem interface {
	OpenFile(name string, flag int, mode fs.FileMode) (File, error)
	ReadFile(name string) ([]byte, error)
	ReadDir(dir string) ([]fs.DirEntry, error)
	// Stat follows symbolic links.
	Stat(name string) (fs.FileInfo, error)
	MkdirAll(dir string, mode fs.FileMode) error
	Rename(from, to string) error
	// Remove removes a file, or a directory that is empty.
	Remove(name string) error
	// SyncDir makes creations, renames and deletions in dir durable.
	SyncDir(dir string) error
}

// File is an open file.
type File interface {
	io.Writer
	io.WriterAt
	io.ReaderAt
	io.Closer
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	Sync() error
}

// OS is the real FileSystem.
type OS struct{}

// OpenFile implements FileSystem.
func (OS) OpenFile(name string, flag int, mode fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// ReadFile implements FileSystem.
func (OS) ReadFile(name string) ([]byte, error) { return os.ReadFile(name) }

// Stat implements FileSystem.
func (OS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// ReadDir implements FileSystem.
func (OS) ReadDir(dir string) ([]fs.DirEntry, error) { return os.ReadDir(dir) }

// MkdirAll implements FileSystem.
func (OS) MkdirAll(dir string, mode fs.FileMode) error { return os.MkdirAll(dir, mode) }

// Rename implements FileSystem.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FileSystem.
func (OS) Remove(name string) error { return os.Remove(name) }

// SyncDir implements FileSystem.
func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// BesideSuffix is what a file's name ends in that is to take the place of another one.
const BesideSuffix = ".new"

// Replace writes a small file completely or not at all: first to path.new, which it renames. One
// writer at a time. After an error call it again from the start: nothing that a failed sync left is
// treated as durable.
func Replace(files FileSystem, path string, data []byte, mode fs.FileMode) error {
	if err := Swap(files, path, bytes.NewReader(data), mode); err != nil {
		return err
	}
	return files.SyncDir(filepath.Dir(path))
}

// Append makes data durable in a file that exists, behind its first at bytes. Unlike the others it can be torn by a power cut or an error:
// then there is a part of data, which its reader must recognise.
func Append(files FileSystem, path string, data []byte, at int64) error {
	f, err := files.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(data, at); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Swap is Replace with what can be read of data, and without the last step: which of the two files has the
// name after a power cut is open until the directory is synced.
func Swap(files FileSystem, path string, data io.Reader, mode fs.FileMode) error {
	beside := path + BesideSuffix
	err := write(files, beside, data, mode)
	if err == nil {
		err = files.Rename(beside, path)
	}
	if err != nil {
		_ = files.Remove(beside) // it may hold what a full disk needs
	}
	return err
}

// write makes a file with that content, durable but for its name.
func write(files FileSystem, path string, data io.Reader, mode fs.FileMode) error {
	f, err := files.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(onlyWriter{f}, data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// onlyWriter hides the other methods of a file, so that io.Copy writes by Write alone.
type onlyWriter struct{ io.Writer }
