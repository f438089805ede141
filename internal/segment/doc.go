// Package segment owns the recording directory: recordings in files, their states, recovery after a crash, and queries by
// time. Only this package and those below it touch files in that directory. It must not know cameras, the cloud or
// schedules.
//
// The directory is the database: what its names mean is in the package layout.
//
// Everything that works without the store's lock is in packages of its own. All of them use layout, streams uses all, and
// the others do not depend on each other:
//
//	layout    the names of the files, and the format of the small ones
//	volume    the directory as a whole: its disk, lock and format, and where in it a stream is
//	catalog   which segments a stream has, and when they were recorded
//	progress  which parts of a segment are persisted or refused, and its side file
//	gaps      where nothing was recorded, and the side file with that
//	syncqueue which open segments are to be synced, and when
//	holding   what holds hold; the catalog releases none of it
//	repair    torn files, files of which a sync failed, files that cannot be understood
//	streams   the state of a stream in memory; the store has the lock for it
//
// Package export is above the store: it joins what was recorded.
package segment

import (
	"errors"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// State of a segment: writing → sealed → uploaded → garbage.
type State = layout.State

// The states that a query shows; garbage is never listed.
const (
	Writing  = layout.Writing
	Sealed   = layout.Sealed
	Uploaded = layout.Uploaded
)

// The types of the store's answers about segments and streams.
type (
	// Key identifies a segment: segments of an epoch never start at the same time.
	Key = streams.Key
	// Info is the information about a segment that is known without opening it.
	Info = streams.Info
	// Gap is a time without media.
	Gap = streams.Gap
	// Usage sums up a stream.
	Usage = streams.Usage
	// Limit bounds how much of the disk a stream's segments use.
	Limit = streams.Limit
	// Refused is a fragment that the service does not accept: it is on this disk only.
	Refused = streams.Refused
	// Misdated is media whose times are wrong.
	Misdated = catalog.Misdated
)

// Before returns a key that precedes all segments of a stream.
func Before(stream string) Key { return streams.Before(stream) }

// Errors that callers distinguish.
var (
	// ErrPaused means that the stream accepts no new media now; it wraps the reason, a *health.Fault.
	ErrPaused = streams.ErrPaused
	// ErrOverlap means that a segment would not start after the newest frame of its stream.
	ErrOverlap = errors.New("the segment overlaps recorded media")
	// ErrBusy means that a segment is being written or read and cannot be deleted now.
	ErrBusy = errors.New("the segment is in use")
	// ErrNotFound means that there is no such segment (any more).
	ErrNotFound = errors.New("no such segment")
	// ErrLeft means that a segment is deleted, but that its file could not be removed.
	ErrLeft = streams.ErrLeft
	// ErrIncomplete means that a segment has fragments that are neither persisted nor refused.
	ErrIncomplete = errors.New("the segment is not uploaded completely")
	// ErrDiskGone means that the disk of the recording directory is gone: it was unplugged or unmounted.
	ErrDiskGone = volume.ErrGone
	// ErrVolumeMemory is wrapped by the error of Open when the file Options.VolumeMemory cannot be written.
	ErrVolumeMemory = volume.ErrMemory
	// ErrDamaged means that a segment is uploaded except for a part that cannot be read any more.
	ErrDamaged = errors.New("a part of the segment cannot be read")
	// ErrClosed means that the store, or the writer, is closed.
	ErrClosed = errors.New("closed")
)
