package segment

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"go.uber.org/zap"
)

// streamFiles are those of a stream that are beside its segments.
var streamFiles = []string{markerName, clockName, gapsName}

// isOurs reports whether a file in a stream's directory is one that the store made, maybe under the name under which
// atomicfile.Replace writes it first: nothing else is ever removed.
func isOurs(name string) bool {
	name = strings.TrimSuffix(name, ".new")
	_, ok := parseName(name)
	return ok || slices.Contains(streamFiles, name)
}

// removePlace removes a stream's directory with all that is ours in it. What is not stays, and the directory with
// it; so does a link, and what it leads to. The marker goes last: until then the directory is the stream's.
func (s *Store) removePlace(st *stream) error {
	foreign, err := s.removeOwn(st.dir, isOurs)
	if err == nil {
		err = s.removeFile(filepath.Join(st.dir, markerName))
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
		case f.Name() == markerName:
		case f.IsDir() && f.Name() == quarantineName:
			left, err := s.removeOwn(path, isSetAside)
			if err == nil && len(left) == 0 {
				err = s.removeFile(path)
			}
			if err != nil {
				return nil, err
			}
			for _, name := range left {
				foreign = append(foreign, filepath.Join(quarantineName, name))
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

// asideName gives the name of a file in the quarantine, where n others have the same already.
func asideName(name string, n int) string { return name + strings.Repeat(".again", n) }

// isSetAside reports whether a file in a quarantine is one that the store put there.
func isSetAside(name string) bool {
	for strings.HasSuffix(name, ".again") {
		name = strings.TrimSuffix(name, ".again")
	}
	_, ok := parseName(name)
	return ok
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
