package uploader

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

const (
	// shutdownTime bounds the end of a session when the uploader is to end.
	shutdownTime = 4 * time.Second
	// lingerTime is how long the service's end of a session is waited for when nothing of ours
	// depends on it.
	lingerTime = 2 * time.Second
	// overdueAfter times the stall timeout a fragment is sent again although others are acknowledged.
	overdueAfter = 4
)

// session is one PutMedia request of the uploader. It is thrown away when it ends, for whatever
// reason; what was not acknowledged is pending again then.
type session struct {
	u      *Uploader
	s      *kvs.Session
	header mkv.Header
	final  kvs.EventType // ends a fragment's upload
	mode   mode
	course course
	edge   time.Time // the newest complete media at the begin
	opened time.Time
	until  time.Time // no further fragment after it

	flight  []shot  // sent, or being written, and not acknowledged; oldest first
	bytes   int64   // of flight
	writing bool    // the last of flight is being written
	tags    *tagSet // sent last; nil = none yet
	any     bool    // last is valid
	last    shot    // sent or being written
	got     int     // fragments that got through
	alone   bool    // the session is for one fragment only
	idle    bool    // nothing is pending but what is set aside
	odd     bool    // it is for a fragment that failed while others passed
	retried bool    // what the service refused is what it refused before
	cut     mkv.Cut // of the fragment being written, where not all tracks are sent

	closing bool      // the body is ended
	limit   time.Time // then, or after an ERROR: when to give up waiting; zero = as for a stall
	moved   time.Time // when a byte or an acknowledgement moved last
	touched time.Time // when a fragment was written last
	written int64     // BytesSent at moved
	aborted bool
	stalled bool
	verdict *verdict
}

// run uploads until the session ends, and says how long to wait before the next.
func (e *session) run(ctx context.Context, changes <-chan struct{}) time.Duration {
	done := ctx.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		pause := e.feed()
		timer.Reset(time.Until(e.deadline(pause)))
		select {
		case a, ok := <-e.s.Acks():
			if !ok {
				return e.conclude(ctx)
			}
			e.acknowledge(a)
		case <-e.s.Sent():
			e.sent()
		case <-changes:
		case <-e.u.nudge:
		case <-timer.C:
			e.expire()
		case <-done:
			done = nil
			e.close()
			if len(e.flight) > 0 {
				e.limit = time.Now().Add(shutdownTime)
			}
		}
	}
}

// feed begins the next fragment if it may go now, or ends the body. It says how long the pace
// holds the fragment back; 0 when something else does.
func (e *session) feed() time.Duration {
	u := e.u
	for !e.writing && !e.closing && !e.aborted && e.verdict == nil {
		next, ok := u.queue.peek()
		if e.idle = !ok; e.idle {
			e.fed()
			return 0
		}
		if e.any && u.queue.overdue() || e.mustEnd(next) || e.offCourse(next) || e.giveWay() {
			e.close()
			return 0
		}
		if !e.admits(next) {
			return 0
		}
		if wait := u.pace.UntilFragment(); wait > 0 {
			return wait
		}
		e.send(next)
	}
	return 0
}

// fed is called when nothing is pending.
func (e *session) fed() {
	u := e.u
	u.settle(e.flight)
	if e.course == newest {
		u.turns.caughtUp = true
	}
	at, ok := u.again()
	if e.mode.drain || e.course == newest || e.giveWay() || ok && !time.Now().Before(at) || u.refusedWait() {
		e.close()
	}
}

// send hands the fragment over, or passes over one of which nothing can be sent.
func (e *session) send(next shot) {
	media, err := e.u.queue.media(&next, &e.cut)
	if err != nil {
		e.u.queue.take(next)
		e.u.refuse(next, &verdict{rule: silentRule})
		return
	}
	e.u.pace.Fragment()
	next.size = mkv.ClusterHeadSize + media.Size()
	var head [kvs.HeadSize]byte
	mkv.PutClusterHead(head[:], next.size, next.at())
	if len(e.flight) == 0 {
		e.moved = time.Now()
	}
	e.flight = append(e.flight, next)
	e.bytes += next.size
	e.last, e.any, e.writing = next, true, true
	e.odd = e.u.suspects.odd(next.id())
	e.u.queue.take(next)
	var tail []byte
	if set, elements := e.u.tail(next.split != nil || e.endsFragments()); set != nil {
		e.tags, tail = set, elements
	}
	e.s.Send(head, media, tail)
	if e.u.careful || e.u.suspects.has(next.id()) && (next.split == nil || next.split.single) {
		e.alone = true
		e.close()
	}
}

// mustEnd tells whether the session must end before this fragment.
func (e *session) mustEnd(next shot) bool {
	if !slices.EqualFunc(e.header.Tracks, e.u.queue.header().Tracks, mkv.Track.Equal) {
		return true
	}
	if !e.any {
		return false
	}
	return !time.Now().Before(e.until) ||
		next.at() <= e.last.end() ||
		next.at()-e.last.at() < kvslimit.MinFragment.Milliseconds() ||
		next.id() != e.last.id() && (e.u.suspects.has(next.id()) || e.u.suspects.has(e.last.id())) // go alone
}

// close ends the body behind what was handed over.
func (e *session) close() {
	if !e.closing {
		e.closing = true
		e.s.CloseSend()
		if len(e.flight) == 0 {
			e.linger()
		}
	}
}

// linger bounds the wait for the service's end of the session.
func (e *session) linger() {
	if limit := time.Now().Add(lingerTime); e.limit.IsZero() || limit.Before(e.limit) {
		e.limit = limit
	}
}

func (e *session) sent() {
	now := time.Now()
	e.writing, e.touched, e.moved = false, now, now
	for i := range e.flight {
		if e.flight[i].same(e.last) {
			e.flight[i].sent = now
		}
	}
}

// acknowledge takes in the service's word about a fragment.
func (e *session) acknowledge(a kvs.Ack) {
	if a.EventType == kvs.Idle {
		return
	}
	i := -1
	if a.HasTimecode {
		i = slices.IndexFunc(e.flight, func(s shot) bool { return s.at() == a.Timecode })
	}
	switch {
	case a.EventType == kvs.Error:
		e.fail(i, a)
	case i < 0:
		return // of a fragment that is done already
	case a.EventType == kvs.Persisted || a.EventType == e.final:
		s := e.remove(i)
		u := e.u
		u.window.acknowledged(s, time.Now())
		e.got++
		whole, again := u.through(s)
		u.settle(e.flight)
		if whole && e.mode.each != nil {
			e.mode.each(s.frag.Size)
		}
		if again {
			e.close() // older fragments are to be tried again
		}
	case !e.flight[i].advance(a.EventType):
		return // a service that repeats itself does not move
	}
	e.moved = time.Now()
	if e.closing && len(e.flight) == 0 {
		e.linger()
	}
}

func (e *session) remove(i int) shot {
	s := e.flight[i]
	e.flight = slices.Delete(e.flight, i, i+1)
	e.bytes -= s.size
	return s
}

// abort gives the session up. Its Acks is closed then, which ends run.
func (e *session) abort() {
	e.aborted = true
	e.s.Abort()
}

// conclude draws the consequences of how the session ended.
func (e *session) conclude(ctx context.Context) time.Duration {
	u, err := e.u, e.s.Err()
	if e.verdict != nil {
		e.judge()
	}
	if e.verdict != nil && (e.verdict.rule.Action != Skip || e.got == 0 && !e.retried) || e.verdict == nil && e.broke(err) {
		return e.failed(ctx, err)
	}
	u.settle(nil)
	return 0
}

// broke tells whether the session ended otherwise than we wanted.
func (e *session) broke(err error) bool {
	if len(e.flight) > 0 {
		return true
	}
	return !e.any && !e.closing && err != nil
}

func (e *session) failed(ctx context.Context, err error) time.Duration {
	u := e.u
	if ctx.Err() != nil && e.verdict == nil {
		return 0 // we did not wait long enough; the next run sends it again
	}
	v := e.verdict
	if v == nil {
		v = &verdict{rule: endRule(err)}
		if e.stalled {
			v.rule = stallRule
			if !e.odd {
				u.stalled()
			}
		}
		if len(e.flight) > 0 && v.rule.Fragment {
			v.about, v.blames = e.flight[0], true
		}
	}
	if err == nil {
		err = errors.New(v.rule.title())
	}
	if e.got == 0 && e.any && v.rule.Action != Skip {
		u.careful = true
	}
	wait := u.failed(v.rule, err, v.title)
	if v.blames {
		e.blame(v)
	}
	return wait
}
