package main

import (
	"io"
	"io/fs"
	"os"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// memoryFiles keeps new files in memory until they are closed. Everything else is the real file system.
type memoryFiles struct {
	atomicfile.OS
	room int // bytes of a file; more is an error
}

// OpenFile implements atomicfile.FileSystem.
func (m memoryFiles) OpenFile(name string, flag int, mode fs.FileMode) (atomicfile.File, error) {
	f, err := m.OS.OpenFile(name, flag, mode)
	if err != nil || flag&os.O_EXCL == 0 {
		return f, err
	}
	return &memoryFile{File: f, data: make([]byte, 0, m.room)}, nil
}

// memoryFile is a new file. Its room is taken at once, so that growing it costs nothing.
type memoryFile struct {
	atomicfile.File
	data []byte
}

// Write implements atomicfile.File.
func (f *memoryFile) Write(p []byte) (int, error) { return f.WriteAt(p, int64(len(f.data))) }

// WriteAt implements atomicfile.File.
func (f *memoryFile) WriteAt(p []byte, off int64) (int, error) {
	end := off + int64(len(p))
	if end > int64(cap(f.data)) {
		return 0, io.ErrShortWrite
	}
	f.data = f.data[:max(end, int64(len(f.data)))]
	return copy(f.data[off:], p), nil
}

// ReadAt implements atomicfile.File.
func (f *memoryFile) ReadAt(p []byte, off int64) (int, error) {
	if off > int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Truncate implements atomicfile.File.
func (f *memoryFile) Truncate(size int64) error {
	f.data = f.data[:min(size, int64(len(f.data)))]
	return nil
}

// Close implements atomicfile.File: what was written comes into the real file.
func (f *memoryFile) Close() error {
	_, err := f.File.Write(f.data)
	if closed := f.File.Close(); err == nil {
		err = closed
	}
	return err
}
