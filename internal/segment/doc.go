// Package segment owns the recording directory: recordings in files, their states, recovery
// after a crash, and queries by time. Nothing but the tree below it touches a file in there. It must not know
// cameras, the cloud or schedules.
//
// The directory is the database: what its names mean is in the package layout.
//
// What can be told apart from the store's lock is in packages of its own. All of them use layout, streams uses all, and
// the others know nothing of each other:
//
//	layout    the names of the files, and the form of the small ones
//	volume    the directory as a whole: its disk, lock and format, and where in it a stream is
//	catalog   which segments a stream has, and when they were recorded
//	progress  what of a segment is persisted or refused, and its side file
//	gaps      where nothing was recorded, and the side file that says so
//	repair    torn files, files of which a sync failed, files that nobody understands
//	streams   all that is known of a stream in memory; the store has the lock for it
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

// What the store says of segments and streams.
type (
	// Key identifies a segment: segments of an epoch never start at the same time.
	Key = streams.Key
	// Info is what the store knows of a segment without opening it.
	Info = streams.Info
	// Gap is a time without media.
	Gap = streams.Gap
	// Usage sums up a stream.
	Usage = streams.Usage
	// Limit is how much a stream's segments may take of the disk.
	Limit = streams.Limit
	// Refused is a fragment that the service does not take: it is on this disk only.
	Refused = streams.Refused
	// Misdated is media whose times are wrong.
	Misdated = catalog.Misdated
)

// Before is a key that comes before all segments of a stream.
func Before(stream string) Key { return streams.Before(stream) }

// Errors that callers decide by.
var (
	// ErrPaused means that the stream takes no new media now; it wraps the reason, a *health.Fault.
	ErrPaused = streams.ErrPaused
	// ErrOverlap means that a segment would not start after the newest frame of its stream.
	ErrOverlap = errors.New("the segment overlaps recorded media")
	// ErrBusy means that a segment is being written or read and cannot be deleted now.
	ErrBusy = errors.New("the segment is in use")
	// ErrNotFound means that there is no such segment (any more).
	ErrNotFound = errors.New("no such segment")
	// ErrIncomplete means that a segment has fragments that are neither persisted nor refused.
	ErrIncomplete = errors.New("the segment is not uploaded completely")
	// ErrDiskGone means that the disk of the recording directory is not there: it was unplugged or unmounted.
	ErrDiskGone = volume.ErrGone
	// ErrVolumeMemory is in what Open returns when the file Options.VolumeMemory cannot be written.
	ErrVolumeMemory = volume.ErrMemory
	// ErrDamaged means that a segment is uploaded but for what of it cannot be read any more.
	ErrDamaged = errors.New("a part of the segment cannot be read")
	// ErrClosed means that the store, or the writer, is closed.
	ErrClosed = errors.New("closed")
)
