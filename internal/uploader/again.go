package uploader

import (
	"context"
	"errors"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/poison"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

// refusedFragments are the fragments that Refused sends.
type refusedFragments map[queue.ID]queue.Fragment

// requeue fills the list, makes its fragments pending, and extends the time range of m so that it covers them.
func (l refusedFragments) requeue(s store, stream string, m *mode) error {
	starts := make(map[segment.Key][]time.Duration)
	for _, r := range s.Refused(stream) {
		f := queue.NewFragment(s, r.Key, r.Fragment)
		if l[f.ID()] = f; m.from.IsZero() || f.Began().Before(m.from) {
			m.from = f.Began()
		}
		if !f.Began().Before(m.to) {
			m.to = f.Began().Add(time.Millisecond)
		}
		starts[r.Key] = append(starts[r.Key], r.Fragment.Start)
	}
	for k, list := range starts {
		if err := s.Requeue(k, list, false); err != nil && !errors.Is(err, segment.ErrNotFound) {
			return err
		}
	}
	return nil
}

func (l refusedFragments) count(s store, stream string, pends func(queue.ID) bool) (p Progress) {
	refused := refusedNow(s, stream)
	for id, f := range l {
		p.Total++
		p.TotalBytes += f.Stored.Size
		if pends(id) {
			continue
		}
		p.Done++
		p.Bytes += f.Stored.Size
		if refused[id] {
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
	for ctx.Err() == nil && !u.lock.requested() {
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
	if err := u.refused.Tried(f, brokenOff); err != nil {
		u.progress.saved(err)
	}
}

// leaves reports whether the stream's own upload leaves a fragment to requests.
func (u *Uploader) leaves(f queue.Fragment) bool {
	own := u.own.Load()
	return own != nil && !own.covers(f)
}

// refuseAgain makes refused again those of a list that still pend, where nothing else would send them.
func (u *Uploader) refuseAgain(l refusedFragments) {
	for id, f := range l {
		if u.leaves(f) && u.queue.Pends(id) {
			u.tried(f, true)
		}
	}
}

// refuseLeft is refuseAgain for what an earlier upload left: it was killed, or had another mode. As each segment of which some is done is
// read, it is for the start.
func (u *Uploader) refuseLeft() {
	if u.lock.open.Load() > 0 {
		return // its end follows
	}
	for _, s := range u.o.Store.Segments(u.o.Stream, time.Time{}, time.Time{}) {
		if _, first := u.o.Store.RefusedBefore(s.Key, 0); s.PendingBytes == 0 || s.PendingBytes == s.Bytes && !first {
			continue
		}
		list, err := Fragments(u.o.Store, s.Key)
		if err != nil {
			continue // deleted meanwhile, or it cannot be read: the next start tries again
		}
		for _, f := range list {
			if u.leaves(f) {
				u.tried(f, true)
			}
		}
	}
}
