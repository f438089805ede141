package uploader

import (
	"context"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

// mode is how an uploader works through what is pending.
type mode struct {
	drain    bool                // end when nothing is pending
	live     bool                // newest first
	onDemand bool                // of an onDemand, which has the lock
	from, to time.Time           // of what was recorded, when onDemand
	without  func(queue.ID) bool // those that are passed over; nil = none
	each     func(size int64)    // called when a fragment of so many bytes is done; nil = nobody wants to know
}

func (u *Uploader) upload(ctx context.Context, m mode) error {
	changes, stop := u.o.Store.Changes(u.o.Stream)
	defer stop()
	defer func() {
		if ctx.Err() != nil && !m.onDemand {
			u.report.pause(stateStopped)
		}
	}()
	for ctx.Err() == nil {
		more, wait := u.round(ctx, m, changes)
		switch {
		case ctx.Err() != nil:
		case wait > 0:
			u.o.Health.SetState(stateWaiting)
			wake := changes
			if more {
				wake = nil // they do not go before the pause is over either
			}
			u.pause(ctx, m, wait, wake)
		case more:
		case m.drain:
			u.report.pause(stateIdle)
			return nil
		default:
			u.report.pause(stateIdle)
			u.await(ctx, changes)
		}
	}
	return ctx.Err()
}

// round is one session, or the finding that nothing can be sent now: then more is false. It says how long
// to wait before the next.
func (u *Uploader) round(ctx context.Context, m mode, changes <-chan struct{}) (more bool, wait time.Duration) {
	if !m.onDemand {
		if u.lock.lock(ctx) != nil {
			return false, 0
		}
		defer u.lock.unlock()
	}
	defer u.queue.Release()
	u.queue.Restart()
	if m.onDemand {
		u.queue.Restrict(m.from, m.to, m.without)
	}
	first, ok := u.queue.Peek()
	if !ok {
		return u.rest(m)
	}
	first, t, ok := u.live.choose(m, first)
	if !ok {
		return false, 0
	}
	began := time.Now()
	wait = u.attempt(ctx, first, changes, session{u: u, mode: m, turn: t})
	if t.order == liveEdge {
		u.live.took = time.Since(began)
	}
	return true, wait
}

// rest is a round in which nothing is to be sent but what was deferred.
func (u *Uploader) rest(m mode) (more bool, wait time.Duration) {
	u.progress.settle(&flight{})
	if u.poison.Release() > 0 {
		return true, 0
	}
	if !m.onDemand {
		u.poison.Prune(u.queue.Pends)
		u.report.stuck(u.poison.Stuck())
	}
	due, deferred := u.poison.NextDue(u.queue.Covers)
	if at, ok := u.queue.NextRetry(queue.UnreadableWait); m.drain && ok && (!deferred || at.Before(due)) {
		due, deferred = at, true
	}
	if deferred {
		return false, max(time.Until(due), time.Millisecond)
	}
	if m.onDemand {
		return false, 0
	}
	if u.refused.RequeueFreed() {
		return true, 0
	}
	if f, ok := u.refused.RequeueDue(); ok {
		u.poison.Add(f) // it goes alone
		return true, 0
	}
	if u.queue.Readable() {
		u.progress.readable()
		u.report.noneLeft()
	}
	return false, 0
}

// again returns when what is deferred or passed over is to be tried again.
func (u *Uploader) again() (at time.Time, ok bool) {
	at, ok = u.poison.NextDue(u.queue.Covers)
	if retry, has := u.queue.NextRetry(queue.UnreadableFor); has && (!ok || retry.Before(at)) {
		return retry, true
	}
	return at, ok
}

// pause lets wait pass, or less when somebody asks for an upload, or wake receives.
func (u *Uploader) pause(ctx context.Context, m mode, wait time.Duration, wake <-chan struct{}) {
	asked := u.lock.asked.C()
	if m.onDemand {
		asked = nil // it is who asked
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-asked:
	case <-wake:
	case <-ctx.Done():
	}
}

// await waits for a change of the store. Segments that could not be read are looked at again in time.
func (u *Uploader) await(ctx context.Context, changes <-chan struct{}) {
	wait := queue.UnreadableFor
	if at, ok := u.queue.NextRetry(queue.UnreadableFor); ok {
		wait = min(wait, time.Until(at))
	}
	again := time.NewTimer(wait)
	defer again.Stop()
	select {
	case <-ctx.Done():
	case <-changes:
	case <-again.C:
	}
}
