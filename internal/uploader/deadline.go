package uploader

import "time"

// deadline is when expire has something to do.
func (e *session) deadline(pause time.Duration) time.Time {
	now := time.Now()
	at := now.Add(time.Hour)
	if e.aborted {
		return at
	}
	earliest := func(t time.Time) {
		if t.Before(at) {
			at = t
		}
	}
	if pause > 0 {
		earliest(now.Add(pause))
	}
	if !e.limit.IsZero() {
		earliest(e.limit)
	}
	if len(e.flight) > 0 || e.closing {
		earliest(e.moved.Add(e.patience()))
	}
	if !e.closing {
		if at, ok := e.u.again(); ok && e.idle && !e.writing && e.failure == nil {
			earliest(at)
		}
		if !e.writing {
			earliest(e.touched.Add(e.u.o.IdleTimeout))
		}
		if len(e.flight) > 0 && !e.flight[0].sent.IsZero() {
			earliest(e.flight[0].sent.Add(overdueAfter * e.patience()))
		}
	}
	return at
}

// patience is how long nothing may move. With a fragment that fails while others pass it does not grow: it is the
// fragment that stalls, and others wait behind it.
func (e *session) patience() time.Duration {
	if e.odd {
		return e.u.o.StallTimeout
	}
	return e.u.patience()
}

// expire does what a deadline calls for.
func (e *session) expire() {
	now := time.Now()
	if e.aborted {
		return
	}
	if !e.limit.IsZero() && !now.Before(e.limit) {
		e.abort()
		return
	}
	if (len(e.flight) > 0 || e.closing) && !now.Before(e.moved.Add(e.patience())) {
		if n := e.s.BytesSent(); n != e.written {
			e.written, e.moved = n, now
			return
		}
		e.stalled = len(e.flight) > 0
		e.abort()
		return
	}
	if e.closing {
		return
	}
	idle := !e.writing && !now.Before(e.touched.Add(e.u.o.IdleTimeout))
	overdue := len(e.flight) > 0 && !e.flight[0].sent.IsZero() && !now.Before(e.flight[0].sent.Add(overdueAfter*e.patience()))
	if idle || overdue {
		e.close()
	}
}
