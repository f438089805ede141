package repair

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/room"
)

// SetAside moves a file of a stream's directory to the quarantine, durably, and returns its path there. It overwrites no
// file there.
func SetAside(files atomicfile.FileSystem, dir, name string) (path string, err error) {
	quarantine := filepath.Join(dir, layout.QuarantineName)
	if err := files.MkdirAll(quarantine, layout.DirectoryMode); err != nil {
		return "", err
	}
	to := filepath.Join(quarantine, name)
	for n := 1; exists(files, to); n++ {
		to = filepath.Join(quarantine, layout.NameInQuarantine(name, n))
	}
	if err := files.Rename(filepath.Join(dir, name), to); err != nil {
		return "", err
	}
	trim(files, to)
	return to, errors.Join(files.SyncDir(quarantine), files.SyncDir(dir))
}

// trim frees what a file was to grow into.
func trim(files atomicfile.FileSystem, path string) {
	if info, err := files.Stat(path); err != nil || !room.Left(info) {
		return
	}
	if f, err := files.OpenFile(path, os.O_RDWR, 0); err == nil {
		room.Trim(f)
		_ = f.Close()
	}
}

func exists(files atomicfile.FileSystem, path string) bool {
	_, err := files.Stat(path)
	return err == nil
}

// Quarantined returns the quarantined files of a stream's directory.
func Quarantined(dir string) (list []string, err error) {
	err = filepath.WalkDir(filepath.Join(dir, layout.QuarantineName), func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil && !d.IsDir() {
			list = append(list, path)
		}
		return err
	})
	return list, err
}

// SizeOf returns the total size of the files in a directory.
func SizeOf(files []fs.DirEntry) (bytes int64) {
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}
