package streams

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// Garbage are deleted segments whose files are not removed yet.
type Garbage struct {
	names []string
	bytes int64
}

// Discard records that a file is to be removed, which will free that many bytes.
func (st *Stream) Discard(bytes int64, name string) {
	st.garbage.names = append(st.garbage.names, name)
	st.garbage.bytes += bytes
	st.freeing += bytes
}

// Freeing returns how many bytes of deleted files are still used.
func (st *Stream) Freeing() int64 { return st.freeing }

// TakeGarbage returns the files to be removed; no other goroutine removes them then.
func (st *Stream) TakeGarbage() Garbage {
	g := st.garbage
	st.garbage = Garbage{}
	return g
}

// Remove removes the files from a directory, and returns those left after an error. Large files take long.
func (g Garbage) Remove(files atomicfile.FileSystem, dir string) (left Garbage, err error) {
	for i, name := range g.names {
		if err := files.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Garbage{g.names[i:], g.bytes}, err
		}
	}
	return Garbage{}, nil
}

// Freed records that all of g was removed except left.
func (st *Stream) Freed(g, left Garbage) {
	st.garbage.names = append(st.garbage.names, left.names...)
	st.garbage.bytes += left.bytes
	st.freeing -= g.bytes - left.bytes
	st.Recheck()
}
