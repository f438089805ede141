package segment

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// A sync that fails says that pages did not reach the disk, and not which. Linux takes them for written
// from then on, and the next sync succeeds (ext4, XFS; btrfs takes the old ones back). So a file of which one
// failed is in doubt for ever: it is written as a whole to another one, which takes its name.

// syncFile remembers the first failure of a sync of a file. One sync goes on at a time: the kernel tells of a
// failure once, and whoever syncs beside the one who is told would believe.
type syncFile struct {
	file
	failed atomic.Pointer[error]
	turn   chan struct{}
}

func newSyncFile(f file) *syncFile { return &syncFile{file: f, turn: make(chan struct{}, 1)} }

func (f *syncFile) inDoubt() bool { return f.failed.Load() != nil }

// Sync implements file. After a failure it fails for ever.
func (f *syncFile) Sync() error {
	f.turn <- struct{}{}
	defer func() { <-f.turn }()
	if why := f.failed.Load(); why != nil {
		return *why
	}
	err := f.file.Sync()
	if err != nil && !errors.Is(err, os.ErrClosed) {
		f.failed.Store(&err)
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

// doubt notes that a segment's file may have lost anything, also for the process after this one, as the
// page cache outlives it: after a power cut the checksums tell.
func (s *Store) doubt(st *stream, k layout.ID) {
	s.mu.Lock()
	_, known := st.doubted[k]
	if !known {
		st.doubted[k] = rewriting{}
	}
	s.mu.Unlock()
	if known {
		return
	}
	if f, err := st.files.OpenFile(filepath.Join(st.dir, layout.DoubtName(k)), os.O_CREATE|os.O_WRONLY, layout.FileMode); err == nil {
		_ = f.Close()
	}
}

// noDoubt ends it.
func (s *Store) noDoubt(st *stream, k layout.ID) {
	s.mu.Lock()
	_, known := st.doubted[k]
	delete(st.doubted, k)
	s.mu.Unlock()
	if known {
		_ = st.files.Remove(filepath.Join(st.dir, layout.DoubtName(k)))
	}
}

// rewriteDoubted writes a file that is in doubt again. It fails with errLater when it is not yet time to.
func (s *Store) rewriteDoubted(st *stream, k layout.ID) error {
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
	err := rewrite(st.files, filepath.Join(st.dir, layout.WritingName(k)))
	if err == nil {
		s.noDoubt(st, k)
		return nil
	}
	if took := time.Since(began); took > rewriteSlow {
		s.mu.Lock()
		st.doubted[k] = rewriting{time.Now().Add(rewritePause * took)}
		s.mu.Unlock()
	}
	return diskFault(st.dir, err)
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
	return atomicfile.Swap(files, path, io.NewSectionReader(from, 0, info.Size()), layout.FileMode)
}

// InDoubt reports whether a sync of the file failed, so that what was written to it may be lost and has to
// be written again, which Seal begins: new media is better off in a new segment.
func (w *Writer) InDoubt() bool { return w.file.inDoubt() }

// sync makes what was written durable, when it is due: a flush is not kept waiting, and nothing
// waits longer than interval. A file in doubt is not synced any more: it would prove nothing.
func (w *Writer) sync(interval time.Duration) error {
	w.mu.Lock()
	due := w.unsynced && (w.urgent || time.Since(w.synced) >= interval)
	if w.done || !due || w.InDoubt() {
		w.mu.Unlock()
		return nil
	}
	w.unsynced, w.urgent = false, false
	w.synced = time.Now()
	w.mu.Unlock()
	err := w.file.Sync()
	if errors.Is(err, os.ErrClosed) {
		return nil // sealed in between, and thereby synced
	}
	if err != nil {
		w.store.doubt(w.stream, w.key.id())
	}
	return err
}

// maxRewriteAtOnce is the size up to which a file is written again while its camera waits.
const maxRewriteAtOnce = 16 << 20

// writeAgain leaves a file in doubt. It is no error when it is sound and durable afterwards.
func (w *Writer) writeAgain(why error) error {
	w.abandonFile()
	if w.mkv.Size() > maxRewriteAtOnce {
		return why // Run does it
	}
	_ = w.store.mendBroken()
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if slices.Contains(w.stream.catalog.Broken, w.key.id()) {
		return why
	}
	return nil
}

// abandonFile leaves the file to mendBroken.
func (w *Writer) abandonFile() {
	s, st := w.store, w.stream
	if w.InDoubt() {
		s.doubt(st, w.key.id())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := st.catalog.Find(w.key.id()); ok {
		st.catalog.Detach(i)
	}
	w.leave()
}
