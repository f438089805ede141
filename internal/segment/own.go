package segment

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// removePlace removes a stream's directory with all that is ours in it. What is not stays, and the directory with
// it; so does a link, and what it leads to. The marker goes last: until then the directory is the stream's.
func (s *Store) removePlace(st *stream) error {
	foreign, err := s.removeOwn(st.dir, layout.IsOurs)
	if err == nil {
		err = s.removeFile(filepath.Join(st.dir, layout.StreamFileName))
	}
	if err != nil {
		return diskFault(st.dir, err)
	}
	if len(foreign) > 0 {
		s.log.Warn("files that are not the agent's stay in the directory of a stream that was deleted: look at them and delete them",
			zap.String("stream", st.name), zap.String("directory", st.dir), zap.Strings("files", foreign[:min(len(foreign), 20)]))
		return nil
	}
	if info, err := os.Lstat(st.dir); err != nil || info.Mode()&fs.ModeSymlink != 0 {
		return nil
	}
	if err := s.removeFile(st.dir); !errors.Is(err, syscall.EBUSY) { // a disk is mounted on it
		return diskFault(st.dir, err)
	}
	return nil
}

// removeOwn removes the files that are ours from a directory, but for the marker, and the quarantine if that is
// empty then. It gives the names of the others.
func (s *Store) removeOwn(dir string, ours func(string) bool) (foreign []string, err error) {
	files, err := s.files.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, f := range files {
		path := filepath.Join(dir, f.Name())
		switch {
		case f.Name() == layout.StreamFileName:
		case f.IsDir() && f.Name() == layout.QuarantineName:
			left, err := s.removeOwn(path, layout.IsSetAside)
			if err == nil && len(left) == 0 {
				err = s.removeFile(path)
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
			if err := s.removeFile(path); err != nil {
				return nil, err
			}
		}
	}
	return foreign, nil
}

// removeFile removes a file or an empty directory, if it is there.
func (s *Store) removeFile(path string) error {
	if err := s.files.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// unlinked reports whether somebody deleted the file: what is written to it is seen by nobody else.
func (w *Writer) unlinked() bool {
	info, err := w.file.Stat()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink == 0
}
