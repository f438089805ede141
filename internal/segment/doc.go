// Package segment owns the recording directory: recordings in files, their states, recovery
// after a crash, and queries by time. Nothing but the tree below it touches a file in there. It must not know
// cameras, the cloud or schedules.
//
// The directory is the database: what its names mean is in the package layout.
package segment

import (
	"errors"
	"math"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// State of a segment: writing → sealed → uploaded → garbage.
type State = layout.State

// The states that a query shows; garbage is never listed.
const (
	Writing  = layout.Writing
	Sealed   = layout.Sealed
	Uploaded = layout.Uploaded
)

// Key identifies a segment: segments of an epoch never start at the same time. An epoch is a time line of its
// own: where the times of a stream had to go back, a new one began.
type Key struct {
	Stream string
	Epoch  uint32 // 0 for the first
	Start  int64  // producer time of the first frame, Unix ms
}

// Compare is negative when k was recorded before other, a segment of the same stream, and positive
// when it was after.
func (k Key) Compare(other Key) int { return k.id().Compare(other.id()) }

// Before is a key that comes before all segments of a stream.
func Before(stream string) Key { return Key{Stream: stream, Start: math.MinInt64} }

func (k Key) id() layout.ID { return layout.ID{Epoch: k.Epoch, Start: k.Start} }

// StartTime is Start as a time.
func (k Key) StartTime() time.Time { return time.UnixMilli(k.Start).UTC() }

// Info is what the store knows of a segment without opening it.
type Info struct {
	Key
	End time.Time // producer time of the last frame
	// RecordedFrom and RecordedTo are when the first and the last frame were recorded, as far as is known: the
	// file's times, corrected where they are known to be wrong. Nothing is recorded later than a later epoch began.
	RecordedFrom, RecordedTo time.Time
	Bytes                    int64
	State                    State
	// PendingBytes is what of it waits for its upload.
	PendingBytes int64
	// RefusedFragments and RefusedBytes of it the service does not take; in any state.
	RefusedFragments int
	RefusedBytes     int64
	// Refused says that some fragments of an uploaded segment were refused by the service: only
	// here they still exist.
	Refused bool
	// Gaps are those within the segment, in order, by the file's times.
	Gaps []Gap
	// GapsKnown says that there are no others: earlier versions did not note them. Then see Reader.Gaps.
	GapsKnown bool
	// ClockUnset says that the hub's clock was not set yet, so that its times are wrong.
	ClockUnset bool
	// ClockAhead says that its times were ahead, which ended its epoch.
	ClockAhead bool
	// ClockOffset is to be added to its times in either case, 0 when it is not known.
	ClockOffset time.Duration
}

// Errors that callers decide by.
var (
	// ErrPaused means that the stream takes no new media now; it wraps the reason, a *health.Fault.
	ErrPaused = errors.New("recording is paused")
	// ErrOverlap means that a segment would not start after the newest frame of its stream.
	ErrOverlap = errors.New("the segment overlaps recorded media")
	// ErrBusy means that a segment is being written or read and cannot be deleted now.
	ErrBusy = errors.New("the segment is in use")
	// ErrNotFound means that there is no such segment (any more).
	ErrNotFound = errors.New("no such segment")
	// ErrIncomplete means that a segment has fragments that are neither persisted nor refused.
	ErrIncomplete = errors.New("the segment is not uploaded completely")
	// ErrDiskGone means that the disk of the recording directory is not there: it was unplugged or unmounted.
	ErrDiskGone = errors.New("another disk is mounted there, or none")
	// ErrDamaged means that a segment is uploaded but for what of it cannot be read any more.
	ErrDamaged = errors.New("a part of the segment cannot be read")
	// ErrClosed means that the store, or the writer, is closed.
	ErrClosed = errors.New("closed")
)
