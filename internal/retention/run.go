package retention

import (
	"context"
	"iter"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/pulse"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// New returns a Keeper.
func New(o Options) *Keeper {
	if o.MinFree == nil {
		o.MinFree = DefaultMinFree
	}
	if o.Confirmed == nil {
		o.Confirmed = func(segment.Key) bool { return true }
	}
	if o.Interval <= 0 {
		o.Interval = DefaultInterval
	}
	if o.Files == nil {
		o.Files = atomicfile.OS{}
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
	if o.SinceBoot == nil {
		o.SinceBoot = hubclock.SinceBoot
	}
	if o.Synchronised == nil {
		o.Synchronised = hubclock.Kernel
	}
	k := &Keeper{
		o: o, wake: signal.New(), lows: signal.New(), policies: policies{byStream: make(map[string]kept)}, low: make(map[string]bool),
		stuck:    make(map[string]bool),
		heldOpen: make(map[segment.Key]holding), awaitFor: freedWithin,
	}
	k.started.Store(!o.AwaitConfiguration)
	k.applied.Store(!o.AwaitConfiguration)
	k.losses, k.clock = newLosses(&k.o), &clock{o: &k.o}
	k.pauses = pauses{o: &k.o, byStream: make(map[string][]*health.Fault)}
	k.loadPolicies()
	k.losses.load()
	return k
}

// Run makes a pass every Interval, and after Wake, until ctx ends. It returns nil.
func (k *Keeper) Run(ctx context.Context) error {
	ticker := pulse.NewTicker(k.o.Interval)
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

// pass deletes the segments that are to be deleted now.
func (k *Keeper) pass(ctx context.Context) {
	k.forget()
	streams := k.streams()
	synchronised := k.o.Synchronised()
	newest := k.newestTimes()
	now, plausible := k.clock.judge(streams, synchronised)
	k.clock.report(plausible)
	k.noteBehind(now, synchronised, newest)
	k.reportMisdated(streams)
	if plausible {
		k.o.Store.ExpireHolds(now)
	}
	defer k.saveLosses(now)
	k.measure() // the deletions of this pass are not measured yet
	for _, stream := range streams {
		if ctx.Err() != nil {
			return
		}
		if !k.hasPolicy(stream) {
			continue
		}
		p := k.policy(stream)
		if p.DeleteAfterUpload {
			k.deleteUploaded(stream)
		}
		if p.MaxAge > 0 && plausible && k.ages(stream) {
			k.deleteOld(stream, now.Add(-p.MaxAge))
		}
		k.limit(stream, p)
	}
	k.losses.clearStale(now, synchronised)
	k.savePolicies(now)
	k.guardDisk(ctx, streams)
	k.endDiskFaults()
}

// endDiskFaults ends the faults of streams without a failed deletion in this pass, also when there was nothing left to
// delete, unless files of deleted segments are left: each pass tries these again.
func (k *Keeper) endDiskFaults() {
	for stream, failed := range k.stuck {
		err := k.o.Store.RemoveGarbage(stream)
		if err != nil {
			k.reportDisk(stream, err)
		}
		if failed || err != nil {
			k.stuck[stream] = false // until a deletion fails in the next pass
			continue
		}
		delete(k.stuck, stream)
		k.o.Health.Component(stream, health.JobRetention).OK(health.ScopeDisk)
	}
}

func (k *Keeper) deleteUploaded(stream string) {
	for s := range k.arrived(stream) {
		if k.delete(s, "it is uploaded") == diskFails {
			return
		}
	}
}

// arrived iterates over the segments that DeleteAfterUpload deletes. Refused fragments exist only here.
func (k *Keeper) arrived(stream string) iter.Seq[segment.Info] {
	return func(yield func(segment.Info) bool) {
		for s := range k.o.Store.Walk(stream, segment.UploadedWhole|segment.Deletable) {
			if k.o.Confirmed(s.Key) && !yield(s) {
				return
			}
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

// old iterates over the segments recorded before that time. Media of a clock that was not set has no age, unless the error
// of that clock was noted.
func (k *Keeper) old(stream string, before time.Time) iter.Seq[segment.Info] {
	return func(yield func(segment.Info) bool) {
		now := k.o.Now()
		var which segment.Kinds
		for _, kinds := range k.order(stream) {
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
