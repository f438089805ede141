package volume

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// OwnerOf returns the file of the stream that a directory is of; ok is false when it is of none.
func (v *Volume) OwnerOf(dir string, files []fs.DirEntry) (mark layout.StreamFile, ok bool, err error) {
	name := filepath.Base(dir)
	mark, err = layout.ReadStreamFile(v.files, dir)
	var system *fs.PathError
	if errors.As(err, &system) && !errors.Is(err, fs.ErrNotExist) {
		return mark, false, Fault(dir, err)
	}
	if err == nil && layout.IsDirectoryOf(name, mark.Stream) {
		return mark, true, nil
	}
	if err == nil && v.sameAsOwn(dir, mark.Stream) {
		return mark, false, nil // another name of that stream's directory
	}
	// A file that is missing or torn: segments still make it a stream's, if its name can be one.
	return layout.StreamFile{Stream: name}, layout.DirectoryOf(name) == name && holdsSegments(files), nil
}

// sameAsOwn reports whether a directory is, by another name, the one of a stream.
func (v *Volume) sameAsOwn(dir, stream string) bool {
	for _, name := range layout.DirectoriesOf(stream) {
		if v.sameFile(dir, filepath.Join(v.dir, name)) {
			return true
		}
	}
	return false
}

// holdsSegments reports whether some of the files are of segments.
func holdsSegments(files []fs.DirEntry) bool {
	for _, f := range files {
		if _, ok := layout.ParseName(f.Name()); ok {
			return true
		}
	}
	return false
}

// sameFile reports whether two paths lead to the same.
func (v *Volume) sameFile(a, b string) bool {
	first, err := v.files.Stat(a)
	if err != nil {
		return false
	}
	second, err := v.files.Stat(b)
	return err == nil && os.SameFile(first, second)
}
