package segment

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/durable"
)

// A sync that fails says that pages did not reach the disk, and not which. Linux takes them for written
// from then on, and the next sync succeeds (ext4, XFS; btrfs takes the old ones back). So a file of which one
// failed is in doubt for ever: it is written as a whole to another one, which takes its name.

// syncFile notes whether a sync of a file ever failed, and why.
type syncFile struct {
	file
	failed atomic.Pointer[error]
}

func (f *syncFile) inDoubt() bool { return f.failed.Load() != nil }

// Sync implements file.
func (f *syncFile) Sync() error {
	err := f.file.Sync()
	if err != nil && !errors.Is(err, os.ErrClosed) {
		f.failed.CompareAndSwap(nil, &err)
	}
	return err
}

// rewriting is when a file in doubt may be written again: a disk that fails is left time for others.
type rewriting struct{ after time.Time }

// A large file that cannot be written again is tried again after rewritePause times what it took: a
// disk that fails is not kept busy with it.
const (
	rewritePause = 10
	rewriteSlow  = 100 * time.Millisecond
)

// newSuffix is that of a file which is to take the place of another one.
const newSuffix = ".new"

// doubt notes that a segment's file may have lost anything. Call with mu held.
func (st *stream) doubt(k id) {
	if _, known := st.doubted[k]; !known {
		st.doubted[k] = rewriting{}
	}
}

// rewriteDoubted writes a file that is in doubt again. It fails with errLater when it is not yet time to.
func (s *Store) rewriteDoubted(st *stream, k id) error {
	s.mu.Lock()
	state, doubted := st.doubted[k]
	s.mu.Unlock()
	if !doubted {
		return nil
	}
	began := time.Now()
	if began.Before(state.after) {
		return errLater
	}
	err := rewrite(st.files, filepath.Join(st.dir, writingName(k)))
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if took := time.Since(began); took > rewriteSlow {
			st.doubted[k] = rewriting{time.Now().Add(rewritePause * took)}
		}
		return diskFault(st.dir, err)
	}
	delete(st.doubted, k)
	return nil
}

// errLater means that a file in doubt is written again later.
var errLater = errors.New("the file waits to be written again after a failed sync")

// rewrite replaces a file by a copy of what can be read of it, which is durable but for its name.
func rewrite(files fileSystem, path string) error {
	from, err := files.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	return durable.Swap(files, path, io.NewSectionReader(from, 0, info.Size()), fileMode)
}
