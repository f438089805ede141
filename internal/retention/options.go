package retention

import (
	"iter"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Store is what a Keeper needs of the segment store.
type Store interface {
	Streams() []string
	Walk(stream string, which segment.Kinds) iter.Seq[segment.Info]
	Usage(stream string) segment.Usage
	Delete(segment.Key) error
	Misdated(stream string) []segment.Misdated
	NewestBefore(stream string, t time.Time) time.Time
	SetLimit(stream string, l segment.Limit)
	Pause(stream string, why *health.Fault)
	Resume(stream string)
	DiskFree() (free, total uint64, err error)
	// Held reports whether deleting a segment frees nothing now, as somebody else has its file; known is false
	// when that cannot be told.
	Held(segment.Key) (held, known bool)
	// Commit has the file system show what it frees, as far as it can.
	Commit() error
	// Deleted is how many bytes of media were deleted since the start, for whatever reason.
	Deleted() int64
	SameDisk(stream string) bool
}

// DefaultInterval is the time between passes.
const DefaultInterval = 5 * time.Second

// Options are the settings of a Keeper.
type Options struct {
	Store Store
	// Default holds for streams of which no policy was ever known.
	Default Policy
	// Policies is a file that remembers each stream's policy over a restart, also of those that are no longer
	// configured. Default: none does.
	Policies string
	// AwaitConfiguration has nothing deleted that is not uploaded before Begin or Applied is called.
	AwaitConfiguration bool
	// MinFree is what must stay free of the disk, given its size, in bytes. Default DefaultMinFree.
	MinFree func(total uint64) uint64
	// Unfit says why the reserve does not fit a disk of that size, and nil when it does. Default: it always does.
	Unfit func(total uint64) *health.Fault
	// Interval between passes. Default DefaultInterval.
	Interval time.Duration
	// Losses is a file that remembers over a restart what was deleted before its upload. Default: none
	// does.
	Losses string
	// Health gets conditions and counts, by stream. Required.
	Health *health.Registry
	// Log. Default none.
	Log *zap.Logger
	// Now is the wall clock. Default time.Now.
	Now func() time.Time
	// Uptime since the start of the process is a clock that never steps. Default: since New.
	Uptime func() time.Duration
	// Synchronised says whether the wall clock can be trusted. Default hubclock.Kernel.
	Synchronised func() bool
}
