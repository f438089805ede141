package uploader

import (
	"context"
	"time"
)

// round is one session, or the finding that nothing can be sent now: then more is false. It says how long
// to wait before the next.
func (u *Uploader) round(ctx context.Context, m mode, changes <-chan struct{}) (more bool, wait time.Duration) {
	if !m.demand {
		if u.begin(ctx) != nil {
			return false, 0
		}
		defer u.end()
	}
	defer u.queue.release()
	u.queue.restart()
	if m.demand {
		u.queue.from, u.queue.to, u.queue.without = m.from, m.to, m.held
	}
	first, ok := u.queue.peek()
	if !ok {
		return u.rest(m)
	}
	first, e, ok := u.choose(m, first)
	if !ok {
		return false, 0
	}
	began := time.Now()
	wait = u.attempt(ctx, first, changes, e)
	if e.course == newest {
		u.turns.took = time.Since(began)
	}
	return true, wait
}

// rest is a round in which nothing is to be sent but what was set aside.
func (u *Uploader) rest(m mode) (more bool, wait time.Duration) {
	u.settle(nil)
	if u.suspects.release() > 0 {
		return true, 0
	}
	if !m.demand {
		u.suspects.prune(u.queue.pends)
		u.reportStuck()
	}
	due, aside := u.suspects.next(u.queue.covers)
	if at, ok := u.queue.retry(unreadableWait); m.drain && ok && (!aside || at.Before(due)) {
		due, aside = at, true
	}
	if aside {
		return false, max(time.Until(due), time.Millisecond)
	}
	if m.demand {
		return false, 0
	}
	if u.free() || u.retryOne() {
		return true, 0
	}
	if u.queue.readable() {
		u.reportNoneLeft()
	}
	return false, 0
}

// again tells when what is set aside or passed over is to be tried again.
func (u *Uploader) again() (at time.Time, ok bool) {
	at, ok = u.suspects.next(u.queue.covers)
	if retry, has := u.queue.retry(unreadableFor); has && (!ok || retry.Before(at)) {
		return retry, true
	}
	return at, ok
}

// pause lets wait pass, or less when somebody asks for an upload, or wake receives.
func (u *Uploader) pause(ctx context.Context, m mode, wait time.Duration, wake <-chan struct{}) {
	nudge := u.nudge
	if m.demand {
		nudge = nil // it is who asked
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-nudge:
	case <-wake:
	case <-ctx.Done():
	}
}

// await waits for a change of the store. Segments that could not be read are looked at again in time.
func (u *Uploader) await(ctx context.Context, changes <-chan struct{}) {
	wait := unreadableFor
	if at, ok := u.queue.retry(unreadableFor); ok {
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
