package uploader

import (
	"context"
	"time"
)

const (
	// shutdownTime bounds the wait for acknowledgements when the uploader is to end.
	shutdownTime = 4 * time.Second
	// overdueAfter is after how many stall timeouts a fragment is sent again, although others are acknowledged.
	overdueAfter = 4
)

// run uploads until the session ends, and returns how long to wait before the next.
func (e *session) run(ctx context.Context, changes <-chan struct{}) time.Duration {
	done := ctx.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer e.giveBack()
	defer e.u.current.Store(false)
	for {
		pause := e.feed()
		timer.Reset(time.Until(e.deadline(pause)))
		select {
		case a, ok := <-e.conn.Acks():
			if !ok {
				return e.conclude(ctx)
			}
			e.acknowledge(a)
		case <-e.conn.Sent():
			e.sent()
		case <-changes:
		case <-e.mode.capChanges:
		case <-e.mode.asked:
			e.makeWay()
		case <-e.mode.lineChanges:
			e.makeWay()
		case <-timer.C:
			e.expire()
		case <-done:
			done = nil
			e.close()
			if !e.flight.empty() {
				e.timing.limit = time.Now().Add(shutdownTime)
			}
		}
	}
}

// deadline returns when expire has something to do.
func (e *session) deadline(pause time.Duration) time.Time {
	now := time.Now()
	at := now.Add(time.Hour)
	if e.end.aborted {
		return at
	}
	earliest := func(t time.Time) {
		if t.Before(at) {
			at = t
		}
	}
	stall := e.u.stallTimeout.lasts(e.sending.failsAlone)
	if pause > 0 {
		earliest(now.Add(pause))
	}
	if !e.timing.limit.IsZero() {
		earliest(e.timing.limit)
	}
	if !e.timing.makeWay.IsZero() && e.sending.writing {
		earliest(e.timing.makeWay)
	}
	if !e.flight.empty() || e.end.closing {
		earliest(e.timing.lastProgress.Add(stall))
	}
	if !e.end.closing {
		if at, ok := e.u.again(); ok && e.idle && !e.sending.writing && e.failure == nil {
			earliest(at)
		}
		if !e.sending.writing {
			earliest(e.timing.lastWrite.Add(e.u.o.IdleTimeout))
		}
		if at, ok := e.flight.due(overdueAfter * stall); ok {
			earliest(at)
		}
	}
	return at
}

// expire ends the body, or aborts the session, when a deadline has passed.
func (e *session) expire() {
	now := time.Now()
	stall := e.u.stallTimeout.lasts(e.sending.failsAlone)
	switch {
	case e.end.aborted:
	case !e.timing.makeWay.IsZero() && e.sending.writing && !now.Before(e.timing.makeWay):
		e.abandon()
	case !e.timing.limit.IsZero() && !now.Before(e.timing.limit):
		e.abort()
	case (!e.flight.empty() || e.end.closing) && !now.Before(e.timing.lastProgress.Add(stall)):
		if n := e.conn.BytesSent(); n != e.timing.written {
			e.timing.written, e.timing.lastProgress = n, now
			return
		}
		e.end.stalled = !e.flight.empty()
		e.abort()
	case e.end.closing:
	case !e.sending.writing && !now.Before(e.timing.lastWrite.Add(e.u.o.IdleTimeout)), e.flight.overdue(overdueAfter*stall, now):
		e.close()
	}
}
