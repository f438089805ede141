package repair

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// A failed sync means that pages did not reach the disk, and not which. Linux treats them as written from then on, and the
// next sync succeeds (ext4, XFS; btrfs restores the old ones). So a file of which a sync failed is in doubt for ever: it is
// written completely to another file, which takes its name.

// File remembers the first failure of a sync of a file. Only one sync runs at a time: the kernel reports a failure once, and
// a concurrent sync would succeed.
type File struct {
	atomicfile.File
	failed atomic.Pointer[error]
	turn   *signal.Turn
}

// NewFile returns a File of which no sync has failed.
func NewFile(f atomicfile.File) *File { return &File{File: f, turn: signal.NewTurn()} }

// InDoubt reports whether a sync failed, so that anything written may be lost.
func (f *File) InDoubt() bool { return f.failed.Load() != nil }

// Failure returns the error of the sync that failed; nil when none did.
func (f *File) Failure() error {
	if why := f.failed.Load(); why != nil {
		return *why
	}
	return nil
}

// Sync implements atomicfile.File. After a failure it always fails.
func (f *File) Sync() error { return f.Do(atomicfile.File.Sync) }

// Do has something done to the file that returns what a sync returns. After a failure it always fails, and does nothing.
func (f *File) Do(sync func(atomicfile.File) error) error {
	f.turn.Lock()
	defer f.turn.Unlock()
	if err := f.Failure(); err != nil {
		return err
	}
	err := sync(f.File)
	if err != nil && !errors.Is(err, os.ErrClosed) {
		f.failed.Store(&err)
	}
	return err
}

// Unlinked reports whether somebody deleted the file: no other process can read what is written to it.
func (f *File) Unlinked() bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink == 0
}

// Doubts are a stream's unfinished segments of whose file a sync failed. Safe for concurrent use.
type Doubts struct {
	files atomicfile.FileSystem
	dir   string

	mu     sync.Mutex
	of     map[layout.ID]bool
	failed map[layout.ID]failure // the last try to repair it, also of a segment that is torn only
}

// NewDoubts returns the empty set of a stream.
func NewDoubts(files atomicfile.FileSystem, dir string) *Doubts {
	return &Doubts{files: files, dir: dir, of: make(map[layout.ID]bool), failed: make(map[layout.ID]failure)}
}

// Load adds a segment for which there is a doubt file.
func (d *Doubts) Load(k layout.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.of[k] = true
}

// IDs returns the segments.
func (d *Doubts) IDs() []layout.ID {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.of))
}

// Add records that a segment's file may have lost anything, also for the next process, as the page cache outlives this one:
// after a power cut the checksums decide.
func (d *Doubts) Add(k layout.ID) {
	d.mu.Lock()
	known := d.of[k]
	d.of[k] = true
	d.mu.Unlock()
	if known {
		return
	}
	if f, err := d.files.OpenFile(filepath.Join(d.dir, layout.DoubtName(k)), os.O_CREATE|os.O_WRONLY, layout.FileMode); err == nil {
		_ = f.Close()
	}
}

// Clear removes a segment and its doubt file.
func (d *Doubts) Clear(k layout.ID) {
	d.mu.Lock()
	known := d.of[k]
	delete(d.of, k)
	delete(d.failed, k)
	d.mu.Unlock()
	if known {
		_ = d.files.Remove(filepath.Join(d.dir, layout.DoubtName(k)))
	}
}

// Rewrite writes again a file that is in doubt. It fails with the error of ctx when that ends.
func (d *Doubts) Rewrite(ctx context.Context, k layout.ID) error {
	d.mu.Lock()
	doubted := d.of[k]
	d.mu.Unlock()
	if !doubted {
		return nil
	}
	err := rewrite(ctx, d.files, filepath.Join(d.dir, layout.WritingName(k)))
	if err == nil {
		d.Clear(k)
	}
	return err
}

// rewrite replaces a file by a durable copy of its content. Its name should be durable, too, as what follows may fail for long on such a
// disk; where it is not, the sync of the finished segment says so.
func rewrite(ctx context.Context, files atomicfile.FileSystem, path string) error {
	from, err := files.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	if err := atomicfile.Swap(files, path, io.NewSectionReader(atomicfile.While(ctx, from), 0, info.Size()), layout.FileMode); err != nil {
		return err
	}
	_ = files.SyncDir(filepath.Dir(path))
	return nil
}
