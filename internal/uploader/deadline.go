package uploader

import "time"

const (
	// shutdownTime bounds the end of a session when the uploader is to end.
	shutdownTime = 4 * time.Second
	// lingerTime is how long the service's end of a session is waited for when nothing of ours
	// depends on it.
	lingerTime = 2 * time.Second
	// overdueAfter times the stall timeout a fragment is sent again although others are acknowledged.
	overdueAfter = 4
)

// timing is what a session's deadlines are measured from.
type timing struct {
	limit        time.Time // when to give up waiting, at the end or after an ERROR; zero = as for a stall
	lastProgress time.Time // when a byte or an acknowledgement moved last
	lastWrite    time.Time // when a fragment was written last
	written      int64     // bytes sent at lastProgress
}

// linger bounds the wait for the service's end of the session.
func (t *timing) linger() {
	if limit := time.Now().Add(lingerTime); t.limit.IsZero() || limit.Before(t.limit) {
		t.limit = limit
	}
}

// deadline is when expire has something to do.
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

// expire does what a deadline calls for.
func (e *session) expire() {
	now := time.Now()
	stall := e.u.stallTimeout.lasts(e.sending.failsAlone)
	switch {
	case e.end.aborted:
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

// abort gives the session up. Its Acks is closed then, which ends run.
func (e *session) abort() {
	e.end.aborted = true
	e.conn.Abort()
}
