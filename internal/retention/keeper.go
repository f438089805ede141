package retention

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
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
}

// DefaultInterval is the time between passes.
const DefaultInterval = 5 * time.Second

// Options are the settings of a Keeper.
type Options struct {
	Store Store
	// Default holds for streams without a policy of their own: media on disk whose stream is no
	// longer configured.
	Default Policy
	// MinFree is what must stay free of the disk, given its size, in bytes. Default DefaultMinFree.
	MinFree func(total uint64) uint64
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
	// Uptime is a clock that never steps; the two together show steps. Default: since New.
	Uptime func() time.Duration
	// Synchronised says whether the wall clock can be trusted. Default hubclock.Kernel.
	Synchronised func() bool
}

// Keeper deletes what the policies no longer keep.
type Keeper struct {
	o     Options
	wake  chan struct{}
	lows  chan struct{} // low is not empty
	clock plausibility
	// trusted says whether the last pass, or Look, believed the wall clock.
	trusted atomic.Bool

	mu       sync.Mutex
	policies map[string]Policy // by stream, guarded by mu
	low      map[string]bool   // streams with little room for what is being written, guarded by mu

	// Used by Run's goroutine only.
	paused   map[string][]*health.Fault // streams that may not record, and why
	stuck    map[string]bool            // streams with a segment that could not be deleted; true: in this pass
	losses   map[string]loss            // of streams whose media went before its upload
	unkept   bool                       // the file does not say what losses says
	misdated misdated
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
		o: o, wake: make(chan struct{}, 1), lows: make(chan struct{}, 1), policies: make(map[string]Policy), low: make(map[string]bool),
		paused: make(map[string][]*health.Fault), stuck: make(map[string]bool), losses: make(map[string]loss),
	}
	k.recallLosses()
	return k
}

// SetPolicy sets what is kept of a stream, from the next pass on.
func (k *Keeper) SetPolicy(stream string, p Policy) {
	k.mu.Lock()
	k.policies[stream] = p
	k.mu.Unlock()
	k.o.Store.SetLimit(stream, k.limitOf(stream, p))
	k.Wake()
}

// Remove puts a stream back under the default policy.
func (k *Keeper) Remove(stream string) {
	k.mu.Lock()
	delete(k.policies, stream)
	k.mu.Unlock()
	k.o.Store.SetLimit(stream, k.limitOf(stream, k.o.Default))
	k.Wake()
}

// Wake asks for a pass soon.
func (k *Keeper) Wake() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Run makes a pass every Interval, and when it is woken, until ctx ends. It returns nil.
func (k *Keeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(k.o.Interval)
	defer ticker.Stop()
	k.pass(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.lows:
			k.relieve(ctx)
			continue
		case <-ticker.C:
		case <-k.wake:
		}
		k.pass(ctx)
	}
}

func (k *Keeper) policy(stream string) Policy {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p, ok := k.policies[stream]; ok {
		return p
	}
	return k.o.Default
}

// SegmentBytes is the most that a segment of a stream should have; 0 without a limit.
func (k *Keeper) SegmentBytes(stream string) int64 {
	return k.policy(stream).MaxBytes / SegmentsPerLimit
}

// known lists the streams with media or with a policy.
func (k *Keeper) known() []string {
	names := k.o.Store.Streams()
	k.mu.Lock()
	for name := range k.policies {
		names = append(names, name)
	}
	k.mu.Unlock()
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
	streams := k.streams()
	synchronised := k.o.Synchronised()
	now, plausible := k.judge(streams, synchronised)
	k.reportClock(plausible)
	k.reportMisdated(streams)
	defer k.keepLosses(now)
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
	k.forgive(now, synchronised)
	k.guardDisk(ctx, streams)
	k.endDiskFaults()
}

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
		for s := range k.o.Store.Walk(stream, segment.Finished) {
			if !s.RecordedTo.Before(before) {
				return
			}
			if !hubclock.Unset(s.RecordedTo) && !mayBeYoung(s, before, now) && !yield(s) {
				return
			}
		}
	}
}

// deletionOrder is uploaded before not uploaded; within each the oldest goes first.
var deletionOrder = []segment.Kinds{segment.UploadedWhole | segment.UploadedRefused, segment.NotUploaded}

// limitOf is how the store keeps a policy's size between two passes.
func (k *Keeper) limitOf(stream string, p Policy) segment.Limit {
	l := segment.Limit{Bytes: p.MaxBytes, Ahead: p.ahead(), Deny: p.OnFull == DenyNew, Low: func() { k.runsLow(stream) }}
	if l.Full = p.denies(); p.OnFull == DeleteOldest {
		l.Full = health.SystemFault(codeFull, nil,
			"The limit of %d MB is reached, and older media is not deleted as fast as new media comes: check the disk, or raise MaxLocalMediaSizeInMB.",
			p.MaxBytes/1e6)
	}
	return l
}

// runsLow asks for room for a stream at once. It is called by who records.
func (k *Keeper) runsLow(stream string) {
	k.mu.Lock()
	k.low[stream] = true
	k.mu.Unlock()
	select {
	case k.lows <- struct{}{}:
	default:
	}
}

// relieve makes room for the streams that asked for it.
func (k *Keeper) relieve(ctx context.Context) {
	k.mu.Lock()
	low := slices.Sorted(maps.Keys(k.low))
	clear(k.low)
	k.mu.Unlock()
	for _, stream := range low {
		if ctx.Err() != nil {
			return
		}
		k.limit(stream, k.policy(stream))
	}
	k.keepLosses(k.o.Now())
}

// ahead is how much a stream takes, with what the segment being written still grows to.
func (k *Keeper) ahead(stream string) int64 {
	u := k.o.Store.Usage(stream)
	return u.Bytes + u.Growing
}

// limit keeps a stream within its size.
func (k *Keeper) limit(stream string, p Policy) {
	full := func() bool { return p.full(k.ahead(stream)) }
	if p.OnFull == DeleteOldest {
		k.shrink(stream, full)
	}
	if p.OnFull == DenyNew && full() {
		k.pause(stream, p.denies())
	} else {
		k.resume(stream, codeFull)
	}
}

func (k *Keeper) shrink(stream string, full func() bool) {
	for _, which := range deletionOrder {
		for s := range k.o.Store.Walk(stream, which) {
			if !full() || k.delete(s, "MaxLocalMediaSizeInMB is reached") == diskFails {
				return
			}
		}
	}
}

// outcome of a deletion.
type outcome uint8

const (
	gone      outcome = iota
	inUse             // the next pass tries again
	diskFails         // nothing else can be deleted now either
)

// delete removes a segment and accounts for it.
func (k *Keeper) delete(s segment.Info, why string) outcome {
	err := k.o.Store.Delete(s.Key)
	switch {
	case errors.Is(err, segment.ErrNotFound):
		return gone
	case errors.Is(err, segment.ErrBusy):
		return inUse
	case err != nil:
		k.stuck[s.Stream] = true
		part := k.o.Health.Part(s.Stream, health.JobRetention)
		if fault := health.FaultOf(err, segment.CodeDisk); part.Report(health.ScopeDisk, health.Degraded, fault) {
			k.o.Log.Error("cannot delete a segment", zap.String("stream", s.Stream), zap.Error(fault), zap.NamedError("cause", fault.Err))
		}
		return diskFails
	}
	part := k.o.Health.Part(s.Stream, health.JobRetention)
	part.Number(health.SegmentsDeleted).Add(1)
	part.Number(health.BytesDeleted).Add(s.Bytes)
	fields := []zap.Field{zap.String("stream", s.Stream), zap.Time("start", s.StartTime()), zap.Time("end", s.End), zap.Int64("bytes", s.Bytes), zap.String("reason", why)}
	if s.State == segment.Uploaded {
		k.o.Log.Debug("deleted an uploaded segment", fields...)
		return gone
	}
	k.o.Log.Warn("deleted a segment before it was uploaded", fields...)
	k.lose(s, why)
	return gone
}

// The codes of the conditions.
const (
	codeFull   = "limit-reached"
	codeLow    = "disk-low"
	codeLost   = "deleted-before-upload"
	codeClock  = "clock"
	codeLosses = "losses"
)

// The scopes.
const (
	scopeLost  health.Scope = "losses"
	scopeKeep  health.Scope = "keep" // writing the file of losses
	scopeClock health.Scope = "clock"
)

// pauseScope is that of a reason to pause. A stream may have several reasons at once.
func pauseScope(code string) health.Scope { return health.Scope("pause/" + code) }

// pause ends the recording of a stream with its present segment. There may be several reasons;
// the store tells the latest.
func (k *Keeper) pause(stream string, why *health.Fault) {
	k.o.Store.Pause(stream, why)
	if k.o.Health.Part(stream, health.JobRetention).Report(pauseScope(why.Code), health.Failed, why) {
		k.o.Log.Warn("recording paused", zap.String("stream", stream), zap.Error(why))
	}
	k.paused[stream] = append(without(k.paused[stream], why.Code), why)
}

// resume ends a pause for that reason.
func (k *Keeper) resume(stream, code string) {
	before := k.paused[stream]
	left := without(before, code)
	if len(left) == len(before) {
		return
	}
	k.o.Health.Part(stream, health.JobRetention).OK(pauseScope(code))
	if len(left) > 0 {
		k.paused[stream] = left
		k.o.Store.Pause(stream, left[len(left)-1])
		return
	}
	delete(k.paused, stream)
	k.o.Store.Resume(stream)
	k.o.Log.Info("recording resumed", zap.String("stream", stream))
}

func without(faults []*health.Fault, code string) []*health.Fault {
	return slices.DeleteFunc(slices.Clone(faults), func(f *health.Fault) bool { return f.Code == code })
}
