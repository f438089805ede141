package retention

import (
	"context"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
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
	// AwaitConfiguration has nothing deleted that is not uploaded before Applied is called.
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

// Keeper deletes what the policies no longer keep.
type Keeper struct {
	o     Options
	wake  signal.Signal
	lows  signal.Signal // low is not empty
	clock clockTrust
	// trusted says whether the last pass, or Look, believed the wall clock.
	trusted atomic.Bool

	applied atomic.Bool // the configuration is known, or need not be

	policies policies

	mu        sync.Mutex
	forgotten []string        // streams whose media was deleted with all that is known of it, guarded by mu
	low       map[string]bool // streams with little room for what is being written, guarded by mu

	// Used by Run's goroutine only.
	paused   map[string][]*health.Fault // streams that may not record, and why
	stuck    map[string]bool            // streams with a segment that could not be deleted; true: in this pass
	losses   *losses                    // of streams whose media went before its upload
	misdated misdated

	account   freedAccount
	heldOpen  map[segment.Key]holding // segments that were passed over
	awaitFor  time.Duration           // how long it is awaited that a deletion frees something
	freesLate bool                    // it had not, the last time
}

// New makes a Keeper.
func New(o Options) *Keeper {
	if o.MinFree == nil {
		o.MinFree = DefaultMinFree
	}
	if o.Interval <= 0 {
		o.Interval = DefaultInterval
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Uptime == nil {
		began := time.Now()
		o.Uptime = func() time.Duration { return time.Since(began) }
	}
	if o.Synchronised == nil {
		o.Synchronised = hubclock.Kernel
	}
	k := &Keeper{
		o: o, wake: signal.New(), lows: signal.New(), policies: policies{byStream: make(map[string]kept)}, low: make(map[string]bool),
		paused: make(map[string][]*health.Fault), stuck: make(map[string]bool),
		heldOpen: make(map[segment.Key]holding), awaitFor: freedWithin,
	}
	k.applied.Store(!o.AwaitConfiguration)
	k.losses = newLosses(&k.o)
	k.loadPolicies()
	k.losses.load()
	return k
}

// Wake asks for a pass soon.
func (k *Keeper) Wake() { k.wake.Set() }

// Run makes a pass every Interval, and when it is woken, until ctx ends. It returns nil.
func (k *Keeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(k.o.Interval)
	defer ticker.Stop()
	k.pass(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.lows.C():
			k.relieve(ctx)
			continue
		case <-ticker.C:
		case <-k.wake.C():
		}
		k.pass(ctx)
	}
}

// known lists the streams with media or with a policy.
func (k *Keeper) known() []string {
	names := k.o.Store.Streams()
	names = append(names, k.policies.streams(func(kept) bool { return true })...)
	slices.Sort(names)
	return slices.Compact(names)
}

// streams lists those that a pass looks at: paused ones as well, as one that is full and was emptied
// must be let go on.
func (k *Keeper) streams() []string {
	names := k.known()
	for name := range k.paused {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// pass deletes what is to go now.
func (k *Keeper) pass(ctx context.Context) {
	k.forget()
	streams := k.streams()
	synchronised := k.o.Synchronised()
	now, plausible := k.judgeClock(streams, synchronised)
	k.reportClock(plausible)
	k.reportMisdated(streams)
	defer k.saveLosses(now)
	k.measure() // what this pass deletes is not missing yet
	for _, stream := range streams {
		if ctx.Err() != nil {
			return
		}
		p := k.policy(stream)
		if p.DeleteAfterUpload {
			k.deleteUploaded(stream)
		}
		if p.MaxAge > 0 && plausible {
			k.deleteOld(stream, now.Add(-p.MaxAge))
		}
		k.limit(stream, p)
	}
	k.losses.clearStale(now, synchronised)
	k.savePolicies(now)
	k.guardDisk(ctx, streams)
	k.endDiskFaults()
}

func (k *Keeper) saveLosses(now time.Time) { k.losses.save(now, k.streams) }

// endDiskFaults ends the faults of streams of which nothing failed to be deleted in this pass, also when there was
// nothing left to delete.
func (k *Keeper) endDiskFaults() {
	for stream, failed := range k.stuck {
		if failed {
			k.stuck[stream] = false // until the next pass says otherwise
			continue
		}
		delete(k.stuck, stream)
		k.o.Health.Part(stream, health.JobRetention).OK(health.ScopeDisk)
	}
}

func (k *Keeper) deleteUploaded(stream string) {
	// What the service refused exists only here.
	for s := range k.o.Store.Walk(stream, segment.UploadedWhole) {
		if k.delete(s, "it is uploaded") == diskFails {
			return
		}
	}
}

func (k *Keeper) deleteOld(stream string, before time.Time) {
	for s := range k.old(stream, before) {
		if k.delete(s, "it is older than EdgeRetentionInHours") == diskFails {
			return
		}
	}
}

// old visits what was recorded before that time. Media of a clock that was not set has no age, unless it was noted
// by how much that was wrong.
func (k *Keeper) old(stream string, before time.Time) iter.Seq[segment.Info] {
	return func(yield func(segment.Info) bool) {
		now := k.o.Now()
		var which segment.Kinds
		for _, kinds := range k.order() {
			which |= kinds
		}
		for s := range k.o.Store.Walk(stream, which) {
			if !s.RecordedTo.Before(before) {
				return
			}
			if !hubclock.Unset(s.RecordedTo) && !mayBeYoung(s, before, now) && !yield(s) {
				return
			}
		}
	}
}
