package retention

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

const (
	// floorTime and floorBytes are what a disk must have left, otherwise it is about to be full: what all streams record in
	// that time, and that many bytes for everything else.
	floorTime  = time.Minute
	floorBytes = 16 << 20
	// passOver is how long a segment is passed over that another process has open.
	passOver = 10 * time.Minute
	// measureEvery is how often the disk is measured right after a deletion, for freedWithin.
	measureEvery = 20 * time.Millisecond
)

// measure reads the state of the disk and updates the account. When that fails it reports it, and nothing is deleted.
func (k *Keeper) measure() (d diskState, total uint64, ok bool) {
	if d, total, ok = k.readDisk(); ok && d.missing() > 0 && (k.account.due(d) || k.account.starts(d)) {
		err := k.o.Store.Commit()
		if k.account.synced = err == nil; err != nil {
			k.o.Log.Debug("recording disk not synced", zap.Error(err))
		}
		d, total, ok = k.readDisk()
	}
	if ok {
		k.account.see(d)
	}
	return d, total, ok
}

// readDisk reads the state of the disk.
func (k *Keeper) readDisk() (d diskState, total uint64, ok bool) {
	part := k.o.Health.Component("", health.JobRetention)
	free, total, err := k.o.Store.DiskFree()
	if err != nil {
		if fault := health.FaultOf(err, segment.CodeDisk); part.Report(health.ScopeDisk, health.Degraded, fault) {
			logevent.Condition(k.o.Log, fault)
		}
		return d, 0, false
	}
	part.OK(health.ScopeDisk)
	d = diskState{uptime: k.o.Uptime(), free: signed(free), need: signed(k.o.MinFree(total)), deleted: k.o.Store.Deleted()}
	rate, _ := k.total()
	for _, stream := range k.o.Store.Streams() {
		if k.o.Store.SameDisk(stream) {
			d.ours += k.ahead(stream)
		}
	}
	d.floor = min(d.need/2, floorBytes+rate*int64(floorTime/time.Second))
	return d, total, true
}

func signed(bytes uint64) int64 { return int64(min(bytes, math.MaxInt64/4)) }

// guardDisk keeps MinFree of the disk free, at the cost of all streams on it, fairly. A stream whose directory is a link to
// another disk, or has one mounted on it, does not take part.
func (k *Keeper) guardDisk(ctx context.Context, all []string) {
	streams := k.onDisk(all)
	for _, stream := range all {
		if !slices.Contains(streams, stream) {
			k.pauses.end(stream, codeLow) // its directory may have been on this disk when it was paused
		}
	}
	d, total, ok := k.measure()
	if !ok {
		return
	}
	k.reportReserve(total)
	if d.missing() == 0 {
		k.reportFilled(d, total, true)
		k.reportHeld(0, 0)
		k.reportBarren(d)
		k.resumeAll(streams)
		return
	}
	reaches := k.account.reaches(d)
	done := k.reclaimSpace(ctx, streams, d)
	if done.fails { // reported already
		return
	}
	if after, _, ok := k.measure(); ok {
		d = k.awaitFreed(ctx, after, done)
	}
	k.reportFilled(d, total, reaches)
	k.reportHeld(done.held, done.passed)
	k.reportBarren(d)
	k.pauseOrResume(streams, d, reaches, done)
}

// reclaimed is the result of a pass for the disk.
type reclaimed struct {
	deleted int64 // bytes
	passed  int64 // bytes of segments that another process holds open
	held    int   // how many of those
	none    bool  // there was nothing left to delete
	fails   bool  // segments of none of the streams with media can be deleted
}

// reclaimSpace deletes what the account allows: uploaded segments as long as any stream has one. Segments that are not
// uploaded are deleted only where that can suffice, and only of streams whose policy is known.
func (k *Keeper) reclaimSpace(ctx context.Context, streams []string, d diskState) (done reclaimed) {
	suffices := k.started.Load() && k.suffices(streams, d.missing())
	reserve, full := k.account.allowed(d)
	passed, failed := make(map[string]int64), make(map[string]bool)
	g := k.newReclaim(streams, d.missing(), suffices, func(stream string) int64 { return k.held(stream) - passed[stream] })
	defer g.stop()
	maps.DeleteFunc(k.heldOpen, func(_ segment.Key, h holding) bool { return d.uptime-h.asked > passOver })
	for ctx.Err() == nil {
		s, ok := g.next()
		if !ok {
			done.none = true
			done.fails = len(failed) > 0 && !slices.ContainsFunc(streams, func(name string) bool { return !failed[name] && k.held(name) > 0 })
			return done
		}
		if reserve <= 0 && full <= 0 {
			return done
		}
		if k.passesOver(s, d.uptime) {
			reserve -= s.Bytes
			done.passed, done.held = done.passed+s.Bytes, done.held+1
			passed[s.Stream] += s.Bytes
			continue
		}
		switch k.delete(s, k.lowReason()) {
		case gone:
			reserve, full, done.deleted = reserve-s.Bytes, full-s.Bytes, done.deleted+s.Bytes
		case diskFails: // of this stream: the others may still have segments to delete
			failed[s.Stream] = true
			g.drop(s.Stream)
		}
	}
	return done
}

// passesOver reports whether a segment is to be passed over, as another process has it open.
func (k *Keeper) passesOver(s segment.Info, now time.Duration) bool {
	held, known := k.o.Store.Held(s.Key)
	if !held || !known {
		delete(k.heldOpen, s.Key)
		return false
	}
	h, before := k.heldOpen[s.Key]
	if !before {
		h.since = now
	}
	h.asked = now
	k.heldOpen[s.Key] = h
	return now-h.since < passOver
}

// suffices reports whether that many bytes can be freed by deleting. Of a stream that does not lose media before its upload
// only completely uploaded segments count. Counting stops when the number is reached, so a pass costs what it deletes.
func (k *Keeper) suffices(streams []string, lacks int64) bool {
	for _, name := range streams {
		if k.mayLose(name) {
			lacks -= k.ahead(name)
			continue
		}
		for s := range k.o.Store.Walk(name, segment.UploadedWhole) {
			if lacks -= s.Bytes; lacks <= 0 {
				return true
			}
		}
	}
	return lacks <= 0
}

// awaitFreed repeatedly measures, for moments, whether the space of the last deletions is free.
func (k *Keeper) awaitFreed(ctx context.Context, d diskState, done reclaimed) diskState {
	if done.deleted == 0 {
		return d
	}
	for waited := time.Duration(0); k.account.awaits() && !k.freesLate && waited < k.awaitFor; waited += measureEvery {
		timer := time.NewTimer(measureEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return d
		case <-timer.C:
		}
		again, _, ok := k.measure()
		if !ok {
			return d
		}
		d = again
	}
	k.freesLate = k.account.awaits() // if so, the next pass does not wait for it
	return d
}

// pauseOrResume pauses the streams when nothing can be deleted, and resumes them when there is room. Where other files make
// the reserve unreachable, recording continues until the disk is about to be full.
func (k *Keeper) pauseOrResume(streams []string, d diskState, reaches bool, done reclaimed) {
	switch {
	case !k.started.Load():
	case !reaches && d.free >= 2*d.floor:
		k.resumeAll(streams)
	case !k.applied.Load() && d.free >= d.floor: // a policy that is not known yet may make room
	case !done.none || done.deleted > 0 || done.passed > 0 || k.account.unshown(d) > 0:
	case reaches || d.free < d.floor:
		why := health.SystemFault(codeLow, nil,
			"The disk has %s left, %s must stay free, and nothing may be deleted: free some space, or lower the streams' limits.%s%s",
			varyingBytes(d.free), humanize.Bytes(d.need), health.Varying(k.quarantined()), health.Varying(k.onHold(streams)))
		k.o.Health.Component("", health.JobRetention).Report(pauseScope(codeLow), health.Failed, why)
		for _, stream := range streams {
			if k.configured(stream) {
				k.pauses.add(stream, why)
			}
		}
	}
}

// onHold says how much of the disk holds keep from being deleted; "" when they keep none.
func (k *Keeper) onHold(streams []string) string {
	var bytes int64
	holds := 0
	for _, stream := range streams {
		u := k.o.Store.Usage(stream)
		bytes, holds = bytes+u.HeldBytes, holds+u.Holds
	}
	switch {
	case bytes == 0:
		return ""
	case holds == 0:
		return fmt.Sprintf(" Of the recordings %s are kept, as the file of holds of their stream cannot be read.", humanize.Bytes(bytes))
	}
	return fmt.Sprintf(" Of the recordings %s are kept by %s: `kvs-edge-agent hold list` lists them, and `kvs-edge-agent hold remove` ends "+
		"one.", humanize.Bytes(bytes), humanize.Count(holds, "hold"))
}

func (k *Keeper) resumeAll(streams []string) {
	for _, stream := range streams {
		k.pauses.end(stream, codeLow)
	}
	k.o.Health.Component("", health.JobRetention).OK(pauseScope(codeLow))
}

// lowReason returns the reason of a deletion for the space of the disk.
func (k *Keeper) lowReason() string {
	return "the disk runs low" + k.quarantined()
}

// quarantined returns how much of the disk unreadable files in quarantine use; "" when there are none.
func (k *Keeper) quarantined() string {
	var bytes int64
	for _, stream := range k.o.Store.Streams() {
		bytes += k.o.Store.Usage(stream).Quarantine
	}
	if bytes == 0 {
		return ""
	}
	return " (" + humanize.Bytes(bytes) + " of it are unreadable files in quarantine/)"
}

// report raises a condition of the disk, or ends it when fault is nil.
func (k *Keeper) report(scope health.Scope, severity health.Severity, fault *health.Fault) {
	part := k.o.Health.Component("", health.JobRetention)
	if fault == nil {
		part.OK(scope)
		return
	}
	if part.Report(scope, severity, fault) {
		logevent.Condition(k.o.Log, fault)
	}
}

// reportReserve reports that the reserve is too large for the disk.
func (k *Keeper) reportReserve(total uint64) {
	if k.o.Unfit != nil {
		k.report(scopeReserve, health.Degraded, k.o.Unfit(total))
	}
}

// reportFilled reports what fills the disk when the agent's media is too little to free the reserve.
func (k *Keeper) reportFilled(d diskState, total uint64, reaches bool) {
	if reaches {
		k.report(scopeFilled, health.Degraded, nil)
		return
	}
	size := signed(total)
	k.report(scopeFilled, health.Degraded, health.SystemFault(codeFilled, nil,
		"The disk has %s: our recordings take %s, everything else %s, and %s are free. So the %s that are to stay free cannot be obtained by "+
			"deleting recordings, "+
			"and none is deleted for it that is not uploaded: delete other files on the disk, or lower AWS_KVS_EDGE_MIN_FREE_DISK.%s",
		humanize.Bytes(size), varyingBytes(d.ours), varyingBytes(max(0, size-d.free-d.ours)), varyingBytes(max(0, d.free)),
		humanize.Bytes(d.need), health.Varying(k.quarantined())))
}

// reportHeld reports that segments are passed over, as another process has them open.
func (k *Keeper) reportHeld(segments int, bytes int64) {
	if segments == 0 {
		k.report(scopeHeld, health.Info, nil)
		return
	}
	k.report(scopeHeld, health.Info, health.SystemFault(codeHeld, nil,
		"The disk runs low, and another program holds %s (%s) that would be deleted: they are kept for %s at most, as deleting them frees "+
			"nothing before; "+
			"end the export, the player, the backup or the snapshot.", health.Varying(humanize.Count(segments, "recording")), varyingBytes(bytes),
		humanize.Span(passOver)))
}

// reportBarren reports that the disk does not free deleted media.
func (k *Keeper) reportBarren(d diskState) {
	if k.account.futile == 0 || d.missing() == 0 {
		k.report(scopeBarren, health.Degraded, nil)
		return
	}
	k.report(scopeBarren, health.Degraded, health.SystemFault(codeBarren, nil,
		"The disk does not free what is deleted: %s were deleted, and they are not free. So hardly anything more is deleted for the disk: "+
			"remove snapshots of the file system, or other files on the disk.", varyingBytes(k.account.futileBytes)))
}

// varyingBytes is a size within a sentence. While the disk fills its digits change with each pass, and stays the same occurrence.
func varyingBytes(n int64) any { return health.Varying(humanize.Bytes(n)) }
