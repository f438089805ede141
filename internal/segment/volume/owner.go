package volume

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// OwnerOf returns the stream file of the stream that a directory belongs to; ok is false when it belongs to none.
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
	// A file that is missing or torn: the directory still belongs to a stream if it has segments and its name can be a
	// stream's.
	return layout.StreamFile{Stream: name}, layout.DirectoryOf(name) == name && holdsSegments(files), nil
}

// sameAsOwn reports whether a directory is that of a stream under another name.
func (v *Volume) sameAsOwn(dir, stream string) bool {
	for _, name := range layout.DirectoriesOf(stream) {
		if v.sameFile(dir, filepath.Join(v.dir, name)) {
			return true
		}
	}
	return false
}

// holdsSegments reports whether any of the files is a segment.
func holdsSegments(files []fs.DirEntry) bool {
	for _, f := range files {
		if _, ok := layout.ParseName(f.Name()); ok {
			return true
		}
	}
	return false
}

// sameFile reports whether two paths lead to the same file.
func (v *Volume) sameFile(a, b string) bool {
	first, err := v.files.Stat(a)
	if err != nil {
		return false
	}
	second, err := v.files.Stat(b)
	return err == nil && os.SameFile(first, second)
}
