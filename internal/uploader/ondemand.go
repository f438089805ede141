package uploader

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/refused"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/resend"
)

// Progress is the progress of an upload on demand, in fragments.
type Progress struct {
	Total    int // requested
	Done     int // of Total: uploaded, or refused by the service, also before the request
	Refused  int // of Done: kept on the hub, as the service does not accept them
	Finished bool
	// Bytes is the size of the fragments that are done, of TotalBytes.
	Bytes, TotalBytes int64
}

// Range uploads the media recorded from (inclusive) to (exclusive), in whole fragments, now and before
// everything else, and calls each with its progress. Run and Drain may run at the same time: they yield, and no fragment
// is sent by both. It returns nil at the end, and ctx's error when ctx ends first.
func (u *Uploader) Range(ctx context.Context, from, to time.Time, each func(Progress)) error {
	return onDemand{
		u: u, each: each, mode: mode{from: from, to: to},
		prepare: func(context.Context, *mode) error { return nil },
		count:   func(ctx context.Context) (Progress, bool) { return countRange(ctx, u.o.Store, u.o.Stream, from, to) },
	}.run(ctx)
}

// Refused sends again all fragments that the service refused, now and before everything else, however often
// that was done before, and calls each with its progress. It returns as Range does; fragments that are refused again
// count as Refused. Those that it leaves as ctx ends first are refused again by the stream's own upload, unless that sends them.
func (u *Uploader) Refused(ctx context.Context, each func(Progress)) error {
	only := make(refusedFragments)
	return onDemand{
		u: u, each: each, mode: mode{to: time.UnixMilli(1), without: func(id queue.ID) bool { _, ok := only[id]; return !ok }},
		prepare: func(ctx context.Context, m *mode) error { return only.requeue(ctx, u, m) },
		count: func(context.Context) (Progress, bool) {
			return only.count(u.o.Store, u.o.Stream, u.queue.Pends), true
		},
	}.run(ctx)
}

// Resend sends fragments once more that were persisted and that the cloud no longer has, now and before everything else, and calls
// each with the progress. Those whose segments are deleted meanwhile, or cannot be read, are left out of Done. What is recorded of
// their upload does not change: when Resend ends early, an audit finds the rest again. It returns as Range does.
func (u *Uploader) Resend(ctx context.Context, list []queue.ID, each func(Progress)) error {
	lost := resend.New(u.o.Store, list)
	o := u.o
	o.Store = lost
	again := New(o)
	again.lock, again.tags, again.pace = u.lock, u.tags, u.pace
	return onDemand{
		u: again, each: each, mode: mode{},
		prepare: func(context.Context, *mode) error { again.accepted = u.accepted; return nil },
		count: func(context.Context) (Progress, bool) {
			t := lost.Total()
			return Progress{Total: t.Fragments, Done: t.Done, Refused: t.Refused, Bytes: t.DoneBytes, TotalBytes: t.Bytes}, true
		},
	}.run(ctx)
}

// onDemand is an upload that a user requested and waits for.
type onDemand struct {
	u    *Uploader
	each func(Progress)
	mode mode // from, to and without
	// prepare is called before anything is sent; it may change from, to and without. It ends early with ctx, as count.
	prepare func(context.Context, *mode) error
	// count returns the progress, and whether all of the fragments can be read.
	count func(context.Context) (p Progress, whole bool)
}

func (d onDemand) run(ctx context.Context) error {
	u := d.u
	request := u.lock.request(d.mode.urgent)
	defer request.end()
	if err := u.lock.lock(ctx); err != nil {
		return err
	}
	held := true
	defer func() {
		if held {
			u.lock.unlock()
		}
	}()
	d.mode.stepAside = func(meanwhile func()) bool {
		held = request.yield(ctx, meanwhile)
		return held
	}
	defer u.o.Health.SetState(u.o.Health.Snapshot().State) // the state of the upload that it interrupted
	unreadable := health.SystemFault(codeStore, nil,
		"A recording of stream %s from that time cannot be read and is not in the cloud: check the hub's disk.", u.o.Stream)
	err := d.prepare(ctx, &d.mode)
	p, _ := d.count(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		unreadable.Err = err
		return unreadable
	}
	d.each(p)
	d.mode.drain, d.mode.onDemand, d.mode.each = true, true, func(size int64) {
		p.Done++
		p.Bytes += size
		p.Total, p.TotalBytes = max(p.Total, p.Done), max(p.TotalBytes, p.Bytes) // the segment being recorded may have more by now
		d.each(p)
	}
	if err := u.upload(ctx, d.mode); err != nil {
		return err
	}
	p, whole := d.count(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !whole || p.Done < p.Total && !u.queue.Readable() {
		return unreadable
	}
	p.Total, p.TotalBytes = p.Done, p.Bytes // fragments completed since the queue was read last are not part of it
	p.Finished = true
	d.each(p)
	return nil
}

// countRange counts the fragments of a range, until ctx ends; whole is false when some of them cannot be read.
func countRange(ctx context.Context, s store, stream string, from, to time.Time) (p Progress, whole bool) {
	whole = true
	refused := refusedNow(s, stream)
	for _, info := range s.Segments(stream, from, to) {
		if ctx.Err() != nil {
			return p, false
		}
		list, err := queue.ListFragments(s, info.Key)
		if err != nil {
			whole = whole && errors.Is(err, segment.ErrNotFound)
			continue
		}
		whole = whole && !damagedIn(s, info.Key, from, to)
		for _, stored := range list {
			f := queue.NewFragment(s, info.Key, stored)
			if !f.In(from, to) {
				continue
			}
			p.Total++
			p.TotalBytes += stored.Size
			if s.Done(f.Key, stored.Start) {
				p.Done++
				p.Bytes += stored.Size
			}
			if refused[f.ID()] {
				p.Refused++
			}
		}
	}
	return p, whole
}

// damagedIn reports whether a segment has damaged fragments that were recorded in [from, to).
func damagedIn(s store, k segment.Key, from, to time.Time) bool {
	reader, err := s.OpenSegment(k)
	if err != nil {
		return false // deleted meanwhile
	}
	defer func() { _ = reader.Close() }() // was only read
	damaged, err := reader.Damaged()
	return err != nil || slices.ContainsFunc(damaged, func(f mkv.Fragment) bool { return queue.NewFragment(s, k, f).In(from, to) })
}

// refusedNow returns the set of a stream's refused fragments.
func refusedNow(s store, stream string) map[queue.ID]bool {
	list := make(map[queue.ID]bool)
	for _, r := range s.Refused(stream) {
		list[queue.ID{Segment: r.Key, Fragment: r.Fragment.Start}] = true
	}
	return list
}

// stateOnRequest is that of an upload that waits for requests.
const stateOnRequest = "on request"

// RunOnRequest uploads nothing by itself, until ctx ends: only Range and Refused do. What they sent and the service refused is sent
// again as by Run. It returns nil.
func (u *Uploader) RunOnRequest(ctx context.Context) error {
	again := time.NewTicker(refused.LookEvery)
	defer again.Stop()
	u.own.Store(&mode{from: time.Unix(1<<40, 0)}) // in no time of a recording
	u.resting.Store(true)
	defer u.resting.Store(false)
	var since time.Time // of segments that may be complete by now; zero: all
	for ctx.Err() == nil {
		// It does not wait for the lock: an upload that has it notifies of its end, and ends sooner, or steps aside for longer, where the
		// lock is wanted.
		if u.lock.open.Load() == 0 && u.lock.try() {
			since = u.restingPass(ctx, since)
			u.lock.unlock()
		}
		select {
		case <-ctx.Done():
		case <-u.lock.ended.C():
			since = time.Time{}
		case <-again.C:
		}
	}
	u.report.pause(stateStopped)
	return nil
}

// restingPass does what requests have left to do, and returns since when segments may be complete by the next one.
func (u *Uploader) restingPass(ctx context.Context, since time.Time) time.Time {
	if u.lock.open.Load() > 0 { // it may have begun while the lock was taken; its end follows
		return since
	}
	if u.refuseLeft(ctx) {
		since = time.Time{}
	}
	since = u.settleSince(ctx, since)
	u.sendRefused(ctx)
	u.rested(ctx)
	return since
}

// settleSince moves to uploaded the segments recorded since then of which all is in the cloud, but which were being recorded when it
// was sent, or which an upload left behind that was broken off: no later upload comes by them. It returns since when segments may
// follow. It ends early with ctx, and for a request.
func (u *Uploader) settleSince(ctx context.Context, since time.Time) time.Time {
	next := u.o.Store.LastRecorded(u.o.Stream)
	for _, s := range u.o.Store.Segments(u.o.Stream, since, time.Time{}) {
		switch {
		case u.hurries(ctx):
			return since
		case s.State == segment.Writing:
			next = earlier(next, s.RecordedFrom)
		case s.State == segment.Sealed && s.PendingBytes == 0:
			if err := u.o.Store.MarkUploaded(s.Key); err != nil {
				next = earlier(next, s.RecordedFrom) // it is tried again
			}
		}
	}
	return next
}

// earlier returns the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Rests reports whether the stream is uploaded on request only, and no request for it is open.
func (u *Uploader) Rests() bool { return u.resting.Load() && u.lock.open.Load() == 0 }

// ErrMadeWay says that a fragment was not sent, as others go first.
var ErrMadeWay = errors.New("others go first")

// Spare sends one fragment that nobody asked for, while the uploader rests: a request ends it, but for what is on the line already. For
// the cap of the line it is backlog. It tries once, and returns nil if the fragment is in the cloud; else a *health.Fault, which is not
// reported otherwise, ErrMadeWay where others go first, or until's error when that ends first.
func (u *Uploader) Spare(until context.Context, f queue.Fragment) error {
	ctx, cancel := u.untilAsked(until)
	defer cancel()
	if u.lock.lock(ctx) != nil {
		return cmp.Or(until.Err(), ErrMadeWay)
	}
	defer u.lock.ended.Set() // what is complete now is noted as uploaded, and what failed is forgotten
	defer u.lock.unlock()
	if !u.Rests() {
		return ErrMadeWay
	}
	var failed error
	u.report.instead = func(f *health.Fault) {
		failed = f
		cancel()
	}
	defer func() { u.report.instead = nil }()
	only := f.ID()
	err := u.upload(ctx, mode{
		drain: true, onDemand: true, spare: true, from: f.Began(), to: f.Began().Add(time.Millisecond),
		without:   func(id queue.ID) bool { return id != only },
		stepAside: func(func()) bool { return false }, // who is urgent has asked, which ends this
	})
	switch {
	case failed != nil:
		return failed
	case refusedNow(u.o.Store, u.o.Stream)[only]:
		return health.SystemFault(codeRefused, nil, "Kinesis Video Streams does not accept its newest fragment.")
	case !u.queue.Pends(only):
		return nil
	case until.Err() != nil:
		return until.Err()
	case err != nil && ctx.Err() == nil:
		return err
	case u.queue.PassedOver(f.Key):
		return health.SystemFault(codeStore, nil, "Its newest recording cannot be read: check the hub's disk.")
	}
	return ErrMadeWay
}

// untilAsked returns a context that ends with ctx, or as soon as somebody asks for the lock.
func (u *Uploader) untilAsked(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	asked, stop := u.lock.asked.Watch()
	var watching sync.WaitGroup
	watching.Go(func() {
		defer stop()
		select {
		case <-asked:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() { cancel(); watching.Wait() }
}

// rested reports that no upload is under way: what is on the disk is not to be uploaded, so no problem with it is left but that it
// cannot be read, which is tried again here.
func (u *Uploader) rested(ctx context.Context) {
	u.poison.Prune(u.queue.Pends)
	u.report.stuck(nil)
	u.report.noneLeft()
	u.queue.Restart()
	u.readAgain(ctx)
	u.report.pause(stateOnRequest)
}
