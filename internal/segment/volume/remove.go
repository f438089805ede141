package volume

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// RemoveDirectory removes a stream's directory with all files of the agent in it. Other files stay, and the directory with
// them; so do a link and its target. The stream file is removed last: until then the directory is the stream's.
func (v *Volume) RemoveDirectory(stream, dir string) error {
	foreign, err := v.removeOwn(dir, layout.IsOurs)
	if err == nil {
		err = v.removeFile(filepath.Join(dir, layout.StreamFileName))
	}
	if err != nil {
		return Fault(dir, err)
	}
	if len(foreign) > 0 {
		logevent.ForeignFilesLeft.Log(v.log,
			zap.String("stream", stream), zap.String("directory", dir), zap.Strings("files", foreign[:min(len(foreign), 20)]))
		return nil
	}
	if info, err := os.Lstat(dir); err != nil || info.Mode()&fs.ModeSymlink != 0 {
		return nil
	}
	if err := v.removeFile(dir); !errors.Is(err, syscall.EBUSY) { // a disk is mounted on it
		return Fault(dir, err)
	}
	return nil
}

// removeOwn removes the agent's files from a directory, except for the stream file, and the quarantine if that is empty
// then. It returns the names of the others.
func (v *Volume) removeOwn(dir string, ours func(string) bool) (foreign []string, err error) {
	files, err := v.files.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, f := range files {
		path := filepath.Join(dir, f.Name())
		switch {
		case f.Name() == layout.StreamFileName:
		case f.IsDir() && f.Name() == layout.QuarantineName:
			left, err := v.removeOwn(path, layout.IsSetAside)
			if err == nil && len(left) == 0 {
				err = v.removeFile(path)
			}
			if err != nil {
				return nil, err
			}
			for _, name := range left {
				foreign = append(foreign, filepath.Join(layout.QuarantineName, name))
			}
		case f.IsDir() || !ours(f.Name()):
			foreign = append(foreign, f.Name())
		default:
			if err := v.removeFile(path); err != nil {
				return nil, err
			}
		}
	}
	return foreign, nil
}

// removeFile removes a file or an empty directory, if it exists.
func (v *Volume) removeFile(path string) error {
	if err := v.files.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
