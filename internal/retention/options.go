package retention

import (
	"iter"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Store is the part of the segment store that a Keeper needs.
type Store interface {
	Streams() []string
	Walk(stream string, which segment.Kinds) iter.Seq[segment.Info]
	Usage(stream string) segment.Usage
	// Delete fails with hold.ErrHeld for a segment that a hold holds, and with segment.ErrLeft for one that is deleted but whose file is
	// left: RemoveGarbage tries again to remove such files.
	Delete(segment.Key) error
	RemoveGarbage(stream string) error
	Misdated(stream string) []segment.Misdated
	// NoteClock notes by how much times of the present epoch are behind, and LastEnd returns the newest of these.
	NoteClock(stream string, from, until time.Time, add time.Duration) error
	LastEnd(stream string) time.Time
	NewestBefore(stream string, t time.Time) time.Time
	SetLimit(stream string, l segment.Limit)
	Pause(stream string, why *health.Fault)
	Resume(stream string)
	DiskFree() (free, total uint64, err error)
	// Held reports whether deleting a segment frees nothing now, as another process has its file open; known is false when
	// that cannot be determined.
	Held(segment.Key) (held, known bool)
	// Commit makes the file system report freed space, as far as it can.
	Commit() error
	// Deleted returns how many bytes of media were deleted since the start, for any reason.
	Deleted() int64
	SameDisk(stream string) bool
	// ExpireHolds ends the holds whose time is over.
	ExpireHolds(now time.Time)
}

// DefaultInterval is the time between passes.
const DefaultInterval = 5 * time.Second

// Options are the settings of a Keeper.
type Options struct {
	Store Store
	// Default applies to streams that never had a policy.
	Default Policy
	// Policies is a file that keeps each stream's policy over a restart, also of streams that are no longer configured.
	// Default: none.
	Policies string
	// AwaitConfiguration keeps all media that is not uploaded until Begin or Applied is called.
	AwaitConfiguration bool
	// Confirmed reports whether an uploaded segment may be deleted for its upload. Default: each may.
	Confirmed func(segment.Key) bool
	// MinFree returns how many bytes of the disk must stay free, given its size. Default DefaultMinFree.
	MinFree func(total uint64) uint64
	// Unfit returns why the reserve is too large for a disk of that size, and nil when it is not. Default: it never is.
	Unfit func(total uint64) *health.Fault
	// Interval between passes. Default DefaultInterval.
	Interval time.Duration
	// Losses is a file that keeps over a restart how much was deleted before its upload. Default: none.
	Losses string
	// Files is the file system of Policies and Losses. Default the real one.
	Files atomicfile.FileSystem
	// Health receives conditions and counts, by stream. Required.
	Health *health.Registry
	// Log receives messages. Default: none.
	Log *zap.Logger
	// Now is the wall clock. Default time.Now.
	Now func() time.Time
	// Uptime is a monotonic clock of the time since the start of the process. Default: since New.
	Uptime func() time.Duration
	// SinceBoot is the time since the hub booted, with what it was suspended. Default hubclock.SinceBoot.
	SinceBoot func() time.Duration
	// Synchronised returns whether the wall clock is synchronised. Default hubclock.Kernel.
	Synchronised func() bool
}
