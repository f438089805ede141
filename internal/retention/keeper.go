package retention

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// freedWithin is how long a pass waits for a deletion to free space: XFS frees in the background, within moments.
const freedWithin = 500 * time.Millisecond

// Keeper deletes the media that the policies no longer keep.
type Keeper struct {
	o     Options
	wake  signal.Signal
	lows  signal.Signal // low is not empty
	clock *clock

	started atomic.Bool // Begin or Applied was called, or need not be
	applied atomic.Bool // Applied was called, or need not be

	policies policies

	mu        sync.Mutex
	unclear   []string        // see Applied; guarded by mu
	forgotten []string        // streams that were deleted completely, guarded by mu
	low       map[string]bool // streams with little room for the segment being written, guarded by mu

	ageless atomic.Pointer[[]string] // streams the age of whose media is not known

	// Used by Run's goroutine only.
	pauses   pauses          // streams that may not record
	stuck    map[string]bool // streams with a segment that could not be deleted; true: in this pass
	losses   *losses         // of streams whose media was deleted before its upload
	misdated map[string]bool // streams that are reported to have recordings with wrong times
	behind   behindClock

	account   freedAccount
	heldOpen  map[segment.Key]holding // segments that were passed over
	awaitFor  time.Duration           // how long a pass waits for a deletion to free space
	freesLate bool                    // the last wait was too short
}

// holding is a segment that another process has open, by the uptime.
type holding struct{ since, asked time.Duration }

// Wake requests a pass soon.
func (k *Keeper) Wake() { k.wake.Set() }

// known returns the streams with media or with a policy.
func (k *Keeper) known() []string {
	names := k.o.Store.Streams()
	names = append(names, k.policies.streams(func(kept) bool { return true })...)
	slices.Sort(names)
	return slices.Compact(names)
}

// streams returns the streams that a pass checks: paused ones as well, as a full stream that was emptied must be resumed.
func (k *Keeper) streams() []string {
	names := k.known()
	for name := range k.pauses.byStream {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (k *Keeper) saveLosses(now time.Time) { k.losses.save(now, k.streams) }

// rate returns what a stream records now, in bytes per second.
func (k *Keeper) rate(stream string) int64 {
	return k.o.Health.Component(stream, health.JobRecorder).Value(health.BitrateBPS) / 8
}

// total sums up all streams on the disk of the recording directory, without what holds hold.
func (k *Keeper) total() (rate, held int64) {
	for _, stream := range k.onDisk(k.policies.streams(func(p kept) bool { return p.configured })) {
		rate += k.rate(stream)
	}
	for _, stream := range k.onDisk(k.o.Store.Streams()) {
		held += k.held(stream)
	}
	return rate, held
}

// onDisk returns the streams that are on the disk of the recording directory.
func (k *Keeper) onDisk(streams []string) []string {
	return slices.DeleteFunc(slices.Clone(streams), func(stream string) bool { return !k.o.Store.SameDisk(stream) })
}

// decided reports whether the policy of a stream is known: then media that is not uploaded may be deleted as well. For a
// stream without a policy it is the default, once the configuration is applied.
func (k *Keeper) decided(stream string) bool {
	p, known := k.policies.of(stream)
	if p.configured {
		return k.started.Load()
	}
	applied := k.applied.Load() // once: unclear is stored before it
	if !applied || known {
		return applied
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return !slices.Contains(k.unclear, stream)
}

// hasPolicy reports whether a stream has a policy: its own, or the default where that is decided.
func (k *Keeper) hasPolicy(stream string) bool {
	_, known := k.policies.of(stream)
	return known || k.decided(stream)
}

// PolicyOf returns the policy of a stream; known is false when it never had one, and the default applies.
func (k *Keeper) PolicyOf(stream string) (p Policy, known bool) {
	if p, ok := k.policies.of(stream); ok {
		return p.Policy, true
	}
	return k.o.Default, false
}

func (k *Keeper) policy(stream string) Policy {
	p, _ := k.PolicyOf(stream)
	return p
}

func (k *Keeper) configured(stream string) bool {
	p, _ := k.policies.of(stream)
	return p.configured
}
