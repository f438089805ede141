// Package streams owns what is known about one stream in memory: its segments, their users, their use of the disk, the
// stream's limit, and the segment being recorded. Its owner has the lock. It must not read nor write segments.
package streams

import (
	"errors"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/gaps"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/progress"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/repair"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// Stream is what is known about one stream, in memory, and where its directory is. Its owner guards it with a lock; only
// fields that are safe for concurrent use themselves may be used without.
type Stream struct {
	Name             string
	Dir              string // where it will be, until device is set
	Device           uint64 // of dir; 0 until the stream has its directory
	Shared           bool   // dir shares the space of the recording directory, though device is another one
	Files            atomicfile.FileSystem
	File             *signal.Turn // held to write the stream file; taken before the owner's lock
	Catalog          catalog.Catalog
	Untimed          bool // the side file lacks clock notes
	Gaps             *gaps.Notes
	Active           map[layout.ID]*active
	Refused          progress.Refusals
	unread           unread
	Watchers         signal.Watchers // of fragments completed, segments sealed or deleted
	Paused           *health.Fault
	limit            limitState
	Creating         bool // a segment is being created, without mu
	Deleting         bool
	garbage          garbage
	left             garbage        // could not be removed
	freeing          int64          // bytes of garbage, and of files being removed now
	QuarantinedBytes int64          // size of the quarantined files
	Doubts           *repair.Doubts // unfinished segments of whose file a sync failed
	Holds            *hold.File
	asked            *catalog.Held // of a hold that is not in Holds yet
}

// NewStream returns a stream without segments. dir is where its directory will be, unless something else is there.
func NewStream(files atomicfile.FileSystem, dir, name string) *Stream {
	st := &Stream{Name: name, Files: files, File: signal.NewTurn(), Catalog: catalog.NewCatalog(), Active: make(map[layout.ID]*active),
		unread: make(unread)}
	st.SetDir(dir)
	return st
}

// SetDir sets where the stream's directory is or will be. Nothing is written there yet.
func (st *Stream) SetDir(dir string) {
	st.Dir, st.Gaps, st.Doubts = dir, gaps.New(st.Files, dir), repair.NewDoubts(st.Files, dir)
	st.Holds = hold.NewFile(st.Files, filepath.Join(dir, layout.HoldsFileName))
}

// Adopt adds the loaded state of the stream. It may have watchers, a pause or a limit already.
func (st *Stream) Adopt(loaded *Stream) {
	st.Dir, st.Device, st.Shared = loaded.Dir, loaded.Device, loaded.Shared
	st.Catalog, st.Active, st.Doubts, st.QuarantinedBytes = loaded.Catalog, loaded.Active, loaded.Doubts, loaded.QuarantinedBytes
	st.Refused, st.Gaps, st.Holds, st.unread = loaded.Refused, loaded.Gaps, loaded.Holds, loaded.unread
	st.Watchers.Notify()
}

// SaveEnd writes the newest producer time of the epoch to the stream file, when nothing else on the disk has it once a segment is
// gone. owner is the lock of the stream's owner, which is not held.
func (st *Stream) SaveEnd(owner sync.Locker, gone layout.ID) error {
	st.File.Lock()
	defer st.File.Unlock()
	owner.Lock()
	epoch := st.Catalog.Epoch
	highest, unsaved := st.Catalog.Unsaved(gone, st.Media)
	owner.Unlock()
	if !unsaved {
		return nil
	}
	if err := layout.WriteStreamFile(st.Files, st.Dir, st.Name, epoch, highest); err != nil {
		return err
	}
	owner.Lock()
	defer owner.Unlock()
	st.Catalog.Keep(epoch, highest)
	return nil
}

// Rename renames a segment's file in its stream's directory. It is durable after Sync. Both may take long on a slow disk and
// are therefore called without the lock.
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

// IsGone reports whether a segment's file does not exist.
func (st *Stream) IsGone(e catalog.Entry) bool {
	_, err := st.Files.Stat(filepath.Join(st.Dir, e.Name()))
	return errors.Is(err, fs.ErrNotExist)
}
