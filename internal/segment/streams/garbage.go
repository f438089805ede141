package streams

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// ErrLeft means that a segment is deleted, but that a file of it could not be removed and still takes its space.
var ErrLeft = errors.New("a file of a deleted recording cannot be removed")

// garbage are files of deleted segments.
type garbage []struct {
	name  string
	bytes int64 // that its removal frees
}

// Discard records that a file is to be removed, which will free that many bytes.
func (st *Stream) Discard(bytes int64, name string) {
	st.garbage = append(st.garbage, garbage{{name, bytes}}...)
	st.freeing += bytes
}

// Freeing returns how many bytes of deleted files are still used, and will be free in a moment. Those of files that stay do not count:
// their stream would wait for room that nobody can free.
func (st *Stream) Freeing() int64 { return st.freeing }

// RemoveGarbage removes the files that were discarded, or, with again, those that an earlier call could not remove. It fails with
// ErrLeft when one of them stays, after it has tried all of them. Large files take long, so it is called without owner, the lock of the
// stream's owner; no other goroutine removes the same files.
func (st *Stream) RemoveGarbage(owner sync.Locker, again bool) error {
	from := &st.garbage
	if again {
		from = &st.left
	}
	owner.Lock()
	all := *from
	*from = nil
	owner.Unlock()
	left, err := all.remove(st.Files, st.Dir)
	owner.Lock()
	defer owner.Unlock()
	st.left = append(st.left, left...)
	if !again {
		st.freeing -= all.bytes()
	}
	st.Recheck()
	return err
}

// remove removes all files from a directory that can be, and returns those that are left.
func (g garbage) remove(files atomicfile.FileSystem, dir string) (left garbage, err error) {
	for _, f := range g {
		if why := files.Remove(filepath.Join(dir, f.name)); why != nil && !errors.Is(why, fs.ErrNotExist) {
			left, err = append(left, f), cmp.Or(err, fmt.Errorf("%w: %w", ErrLeft, why))
		}
	}
	return left, err
}

func (g garbage) bytes() (sum int64) {
	for _, f := range g {
		sum += f.bytes
	}
	return sum
}
