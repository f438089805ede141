package uploader

import (
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/rules"
)

// session is one PutMedia request of the uploader. It is discarded when it ends, for whatever
// reason; fragments that were not acknowledged are pending again then.
type session struct {
	u      *Uploader
	conn   *kvs.Session
	header mkv.Header
	final  kvs.EventType // the acknowledgement that ends a fragment's upload
	mode   mode
	turn   turn
	opened time.Time
	until  time.Time // no further fragment begins after it

	flight  flight
	sending sending
	got     int   // fragments that got through
	held    bool  // the next fragment waits for the media of events
	idle    bool  // nothing is pending except deferred fragments
	taken   int64 // bytes of the cap for the fragment that is being written
	timing  timing
	end     sessionEnd
	failure *failure
}

// sending is the state of what a session sent last.
type sending struct {
	any        bool           // last is valid
	last       queue.Fragment // sent or being written
	writing    bool           // last is being written
	single     bool           // the session is for one fragment only
	failsAlone bool           // last failed while others passed
	began      time.Time      // when last began
	before     int64          // bytes of the session before last
	tags       *tagSet        // sent last; nil = none yet
	cut        mkv.Cut        // of the fragment being written, where not all tracks are sent
}

// sessionEnd is how the uploader ends a session.
type sessionEnd struct {
	closing bool // the body is ended
	aborted bool
	stalled bool // aborted, as neither a byte nor an acknowledgement moved
	madeWay bool // aborted, as the fragment that was being written made way for the media of an event
}

// failure is why a session ended: an ERROR acknowledgement, or the end of the connection.
type failure struct {
	rules.Answer
	about queue.Fragment // valid when named, or blamed
	named bool           // an ERROR names the fragment
	// blamed says that the fragment may be to blame, as it was the oldest in flight or was named.
	blamed bool
	again  bool // the service refused this fragment before
}

// feed sends the next fragment if it may be sent now, or ends the body. It returns how long the pace
// holds the fragment back; 0 when something else does.
func (e *session) feed() time.Duration {
	u := e.u
	for !e.sending.writing && !e.end.closing && !e.end.aborted && e.failure == nil {
		next, ok := u.queue.Peek()
		if e.idle = !ok; e.idle {
			e.fed()
			return 0
		}
		if e.sending.any && u.queue.Overdue() || e.mustEnd(next) || e.yields() {
			e.close()
			return 0
		}
		if !u.ackDelay.admits(&e.flight, next, u.o.MaxInFlight, u.o.MaxInFlightBytes) {
			return 0
		}
		if wait := u.pace.UntilFragment(); wait > 0 {
			return wait
		}
		if e.holdsBack(next) || !e.affords(next) {
			return 0
		}
		e.send(next)
	}
	return 0
}

// fed is called when nothing is pending.
func (e *session) fed() {
	u := e.u
	u.progress.settle(&e.flight)
	if e.turn.order == liveEdge {
		u.live.caughtUp = true
	}
	u.current.Store(!e.mode.onDemand && !e.mode.drain && e.turn.order != liveEdge)
	at, ok := u.again()
	over := e.mode.drain && !e.lingers() || e.turn.order == liveEdge && !e.backlogHeld()
	if over || e.yields() || ok && !time.Now().Before(at) || !e.mode.onDemand && u.refused.Waiting(e.mode.covers) || u.leavesSome(e.mode) {
		e.close()
	}
}

// backlogHeld reports whether the cap holds back the backlog, which would have its turn now: then the session for the newest
// fragments continues, as another one would be for these again.
func (e *session) backlogHeld() bool { return e.sending.any && e.u.live.capped(e.sending.last) }

// lingers reports whether a session that has sent all there is waits for what will be recorded next.
func (e *session) lingers() bool {
	return e.mode.goesOn != nil && !e.u.lock.wanted() && e.mode.goesOn()
}

// yields reports whether the session has to end for an upload on demand.
func (e *session) yields() bool {
	return !e.mode.onDemand && e.u.lock.requested() || !e.mode.urgent && e.u.lock.urgent()
}

// send starts sending the fragment, or refuses one that has nothing to send.
func (e *session) send(next queue.Fragment) {
	u := e.u
	media, omitted, err := u.queue.Media(next, &e.sending.cut)
	if err != nil {
		u.queue.Take(next)
		u.refuse(next, rules.SoundOnly())
		e.giveBack()
		return
	}
	if e.mode.begins != nil {
		e.mode.begins()
	}
	u.pace.Fragment()
	size := mkv.ClusterHeadSize + media.Size()
	var head [kvs.HeadSize]byte
	mkv.PutClusterHead(head[:], size, next.At())
	if e.flight.empty() {
		e.timing.lastProgress = time.Now()
	}
	// Where the next may be recorded much later, or waits for the acknowledgement of this one, a tag ends the fragment.
	end := next.Split != nil || !e.mode.drain || e.mode.goesOn != nil || u.o.MaxInFlight < minInFlight
	set, tail := u.tags.tail(end, u.o.Events(next.Began(), next.Ended()))
	if set != nil {
		e.sending.tags = set
	}
	e.flight.add(inflight{Fragment: next, size: size, omitted: omitted, tagged: set != nil})
	e.sending.last, e.sending.any, e.sending.writing = next, true, true
	e.sending.began, e.sending.before = time.Now(), e.conn.BytesSent()
	e.sending.failsAlone = u.poison.FailsAlone(next.ID())
	u.queue.Take(next)
	e.conn.Send(head, media, tail)
	if u.retries.isolate || u.poison.Has(next.ID()) && (next.Split == nil || next.Split.Single) {
		e.sending.single = true
		e.close()
	}
}

// affords takes the bytes of a fragment from the cap. Without them the session ends, or waits for those of others.
func (e *session) affords(next queue.Fragment) bool {
	switch e.u.o.Cap.Take(e.mode.class(e.turn), next.Bytes()) {
	case meter.Granted:
		e.taken = next.Bytes()
		return true
	case meter.Refused:
		e.close()
	}
	return false
}

// giveBack returns what affords took and sent has counted, or what was not sent.
func (e *session) giveBack() {
	if e.taken > 0 {
		e.u.o.Cap.Return(e.taken)
		e.taken = 0
	}
}

// mustEnd reports whether the session must end before this fragment. A session of a live upload sends at least one
// fragment: opening the next session may take longer than a fragment lasts.
func (e *session) mustEnd(next queue.Fragment) bool {
	if !slices.EqualFunc(e.header.Tracks, e.u.queue.Header().Tracks, mkv.Track.Equal) {
		return true
	}
	if !e.sending.any {
		return false
	}
	last := &e.sending.last
	return !time.Now().Before(e.until) ||
		next.At() <= last.End() ||
		next.At()-last.At() < e.u.accepted.shortest.Milliseconds() ||
		next.ID() != last.ID() && (e.u.poison.Has(next.ID()) || e.u.poison.Has(last.ID())) || // sent alone
		e.mode.live && e.u.live.over(e.turn, e.opened, next)
}

// close ends the body after the fragments that were sent.
func (e *session) close() {
	if !e.end.closing {
		e.end.closing = true
		e.conn.CloseSend()
		if e.flight.empty() {
			e.timing.linger()
		}
	}
}

func (e *session) sent() {
	now := time.Now()
	e.sending.writing = false
	e.giveBack()
	e.timing.lastWrite, e.timing.lastProgress, e.timing.makeWay = now, now, time.Time{}
	e.u.measured(e.conn.BytesSent()-e.sending.before, now.Sub(e.sending.began))
	if i := e.flight.index(e.sending.last); i >= 0 {
		e.flight.list[i].sent = now
	}
}

// acknowledge handles an acknowledgement.
func (e *session) acknowledge(a kvs.Ack) {
	if a.EventType == kvs.Idle {
		return
	}
	i := -1
	if a.HasTimecode {
		i = e.flight.find(a.Timecode)
	}
	switch {
	case a.EventType == kvs.Error:
		e.fail(i, a)
	case i < 0:
		return // it is for a fragment that is done already
	case a.EventType == kvs.Persisted || a.EventType == e.final:
		if x := &e.flight.list[i]; a.EventType == kvs.Persisted {
			e.u.noteReceipt(x.Fragment, a.FragmentNumber, x.size)
		}
		e.persisted(e.flight.remove(i))
	case !e.flight.list[i].advance(a.EventType):
		return // a repeated acknowledgement is not progress
	}
	e.timing.lastProgress = time.Now()
	if e.end.closing && e.flight.empty() {
		e.timing.linger()
	}
}

// persisted is called when the service has stored a fragment.
func (e *session) persisted(f inflight) {
	u := e.u
	u.ackDelay.acknowledged(f, time.Now())
	e.got++
	whole, again := u.passed(f)
	u.progress.settle(&e.flight)
	if whole && e.mode.each != nil {
		e.mode.each(f.Stored.Size)
	}
	if again {
		e.close() // older fragments are to be tried again
	}
}

// fail handles an ERROR acknowledgement; i is the index of the fragment that it names, or -1. The first ERROR decides, and
// one that names its fragment takes precedence over any that does not: ERRORs that follow the refusal of a fragment are
// caused by it, such as a 4006 with a timecode of -1 after a 4011.
func (e *session) fail(i int, a kvs.Ack) {
	if e.failure != nil && (e.failure.named || i < 0) {
		return
	}
	f := &failure{Answer: rules.OfAck(a), named: i >= 0}
	if f.named {
		f.about = e.flight.list[i].Fragment
	}
	e.failure = f
	e.timing.linger() // acknowledgements of the others may still come
}

// abort aborts the session. That closes its Acks, which ends run.
func (e *session) abort() {
	e.end.aborted = true
	e.conn.Abort()
}
