package uploader

import (
	"context"
	"errors"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/poison"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/refused"
)

// refusedFragments are the fragments that Refused sends.
type refusedFragments map[queue.ID]queue.Fragment

// fill fills the list, and extends the time range of m so that it covers the fragments. Those of an earlier request that nothing sends any
// more are among them.
func (l refusedFragments) fill(u *Uploader, m *mode) (requeue map[segment.Key][]time.Duration) {
	requeue = make(map[segment.Key][]time.Duration)
	add := func(f queue.Fragment) {
		if l[f.ID()] = f; m.from.IsZero() || f.Began().Before(m.from) {
			m.from = f.Began()
		}
		if !f.Began().Before(m.to) {
			m.to = f.Began().Add(time.Millisecond)
		}
	}
	for _, r := range u.o.Store.Refused(u.o.Stream) {
		add(queue.NewFragment(u.o.Store, r.Key, r.Fragment))
		requeue[r.Key] = append(requeue[r.Key], r.Fragment.Start)
	}
	for _, r := range u.o.Store.Requeued(u.o.Stream) {
		if f := queue.NewFragment(u.o.Store, r.Key, r.Fragment); u.leaves(f) {
			add(f)
		}
	}
	return requeue
}

// requeue fills the list, and makes its fragments pending.
func (l refusedFragments) requeue(ctx context.Context, u *Uploader, m *mode) error {
	for k, list := range l.fill(u, m) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := u.o.Store.Requeue(k, list, false); err != nil && !errors.Is(err, segment.ErrNotFound) {
			return err
		}
	}
	return nil
}

func (l refusedFragments) count(s store, stream string, pends func(queue.ID) bool) (p Progress) {
	now := refusedNow(s, stream)
	for id, f := range l {
		p.Total++
		p.TotalBytes += f.Stored.Size
		if pends(id) {
			continue
		}
		p.Done++
		p.Bytes += f.Stored.Size
		if now[id] {
			p.Refused++
		}
	}
	return p
}

// sendRefused sends refused fragments again that are due, one after the other, each alone, until somebody asks for the lock. Those that
// do not get through in a few tries are refused again: nothing else would send them, or list them. Where the line's cap, or the media of
// an event, does not allow it, they wait.
func (u *Uploader) sendRefused(ctx context.Context) {
	ctx, cancel := u.untilAsked(ctx)
	defer cancel()
	may := func(f queue.Fragment) bool {
		return u.o.Cap.May(meter.Request, f.Bytes()) != meter.Refused && u.mayBegin(mode{onDemand: true}, turn{}, f)
	}
	for !u.hurries(ctx) {
		f, ok := u.refused.RequeueDue(false, may)
		if !ok {
			break
		}
		u.poison.Add(f)
		only := f.ID()
		err := u.upload(ctx, mode{
			drain: true, onDemand: true, from: f.Began(), to: f.Began().Add(time.Millisecond),
			without: func(id queue.ID) bool { return id != only },
			stepAside: func(meanwhile func()) bool {
				meanwhile()
				return ctx.Err() == nil
			},
			gaveUp: func() bool { return u.poison.Failures(only) >= poison.RefusedAfter },
		})
		u.tried(f, err != nil)
		u.poison.Forget(only)
		if err != nil {
			break
		}
	}
}

// tried is called at the end of a try of a refused fragment that nothing else would send.
func (u *Uploader) tried(f queue.Fragment, brokenOff bool) {
	u.saveAgain(u.refused.Tried(f, brokenOff))
}

// saveAgain is called with the result of making a fragment refused again.
func (u *Uploader) saveAgain(err error) {
	if err != nil {
		u.progress.saved(err)
	}
}

// leaves reports whether the stream's own upload leaves a fragment to requests.
func (u *Uploader) leaves(f queue.Fragment) bool {
	own := u.own.Load()
	return own != nil && !own.covers(f)
}

// left returns the refused fragments that are pending again and that nothing sends, oldest first: the stream's own upload leaves them to
// requests, and none is open. A request that ended early left them, or an upload that was killed, or had another mode.
func (u *Uploader) left() (list []segment.Refused) {
	if own := u.own.Load(); own == nil || own.from.IsZero() || u.lock.open.Load() > 0 {
		return nil
	}
	for _, r := range u.o.Store.Requeued(u.o.Stream) {
		if u.leaves(queue.NewFragment(u.o.Store, r.Key, r.Fragment)) {
			list = append(list, r)
		}
	}
	return list
}

// refuseLeft makes refused again what is left: nothing else would send it, or list it. It reports whether there was any. It ends early
// with ctx, and for a request. The caller holds the lock.
func (u *Uploader) refuseLeft(ctx context.Context) (any bool) {
	u.leftLooked = u.o.clock()
	list := u.left()
	for len(list) > 0 && !u.hurries(ctx) {
		key := list[0].Key
		var starts []time.Duration
		for ; len(list) > 0 && list[0].Key == key; list = list[1:] {
			starts = append(starts, list[0].Fragment.Start)
		}
		u.saveAgain(u.refused.TakeBack(key, starts))
		any = true
	}
	return any
}

// leavesSome reports, once in a while, whether refuseLeft has something to do for that mode.
func (u *Uploader) leavesSome(m mode) bool {
	if m.onDemand || m.from.IsZero() || u.o.clock().Sub(u.leftLooked) < refused.LookEvery {
		return false
	}
	u.leftLooked = u.o.clock()
	return len(u.left()) > 0
}

// hurries reports whether the lock is to be given back soon: ctx has ended, or somebody asks for it.
func (u *Uploader) hurries(ctx context.Context) bool { return ctx.Err() != nil || u.lock.requested() }
