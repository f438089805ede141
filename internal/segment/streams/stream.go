// Package streams owns what is known of one stream in memory: its segments, who uses them, what they take on the disk,
// its limit, and what is being recorded. It has no lock but its owner's. It must not read nor write segments.
package streams

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/gaps"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/progress"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/repair"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// Stream is what is known of one stream, in memory, and where its directory is. Whoever has it guards it with a lock of
// their own; only what is safe for concurrent use itself may be used without.
type Stream struct {
	Name     string
	Dir      string // what it will be, until device is set
	Device   uint64 // of dir; 0 until the stream has its directory
	Shared   bool   // dir shares the space of the recording directory, though device is another one
	Files    atomicfile.FileSystem
	Catalog  catalog.Catalog
	Untimed  bool // the side file lacks clock
	Gaps     *gaps.Notes
	Active   map[layout.ID]*active
	Refused  progress.Refusals
	Watchers signal.Watchers // of fragments completed, segments sealed or deleted
	Paused   *health.Fault
	limit    limitState
	Creating bool // a segment is being created, without mu
	Deleting bool
	garbage  Garbage
	freeing  int64          // bytes of garbage, and of what is being removed now
	Aside    int64          // bytes of files that were set aside
	Doubts   *repair.Doubts // segments, not finished yet, of whose file a sync failed
}

// NewStream returns one without segments. dir is where its directory will be, if nothing else is there.
func NewStream(files atomicfile.FileSystem, dir, name string) *Stream {
	st := &Stream{Name: name, Files: files, Catalog: catalog.NewCatalog(), Active: make(map[layout.ID]*active)}
	st.SetDir(dir)
	return st
}

// SetDir says where the stream's directory is or will be. Nothing is noted there yet.
func (st *Stream) SetDir(dir string) {
	st.Dir, st.Gaps, st.Doubts = dir, gaps.New(st.Files, dir), repair.NewDoubts(st.Files, dir)
}

// Adopt takes in what was loaded of the stream. Somebody may watch it, or have paused or limited it, already.
func (st *Stream) Adopt(loaded *Stream) {
	st.Dir, st.Device, st.Shared = loaded.Dir, loaded.Device, loaded.Shared
	st.Catalog, st.Active, st.Doubts, st.Aside = loaded.Catalog, loaded.Active, loaded.Doubts, loaded.Aside
	st.Refused, st.Gaps = loaded.Refused, loaded.Gaps
	st.Watchers.Notify()
}

// Rename moves a segment's file in its stream's directory. It is durable after sync. Both may take
// long on a slow disk and are therefore called without the lock.
func (st *Stream) Rename(from, to string) error {
	return st.Files.Rename(filepath.Join(st.Dir, from), filepath.Join(st.Dir, to))
}

// Exists reports whether the stream's directory has a file of that name.
func (st *Stream) Exists(name string) bool {
	_, err := st.Files.Stat(filepath.Join(st.Dir, name))
	return err == nil
}

// Sync makes creations, renames and deletions in the stream's directory durable.
func (st *Stream) Sync() error { return st.Files.SyncDir(st.Dir) }

// IsGone reports whether a segment's file is not there.
func (st *Stream) IsGone(e catalog.Entry) bool {
	_, err := st.Files.Stat(filepath.Join(st.Dir, e.Name()))
	return errors.Is(err, fs.ErrNotExist)
}
