package uploader

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

// liveLag is how far a live upload may fall behind before it jumps to the newest fragment.
const liveLag = 5 * time.Second

// mode is how an uploader works through the pending fragments.
type mode struct {
	drain    bool        // end when nothing is pending
	live     bool        // newest first
	onDemand bool        // of an onDemand, which holds the lock
	urgent   bool        // of the media of an event: before all other uploads on demand
	spare    bool        // with onDemand: nobody asked for it
	goesOn   func() bool // with urgent: more will be recorded
	begins   func()      // called before each fragment; may be nil
	// stepAside, with onDemand, lets others have the lock, and is given what the upload does meanwhile. It reports false when the upload
	// is to end.
	stepAside func(meanwhile func()) bool
	gaveUp    func() bool         // whether the upload ends before it is done; nil = it does not
	from, to  time.Time           // when the fragments were recorded, with onDemand; with live from alone
	without   func(queue.ID) bool // fragments that are passed over; nil = none
	each      func(size int64)    // called with the bytes of each fragment that is done; may be nil

	capChanges  <-chan struct{} // receives when the cap's answer may be another one
	asked       <-chan struct{} // receives when an upload on demand asks for the lock
	lineChanges <-chan struct{} // receives when what can wait may have to make way, or may be sent again
}

// covers reports whether a fragment is of the time that the mode uploads.
func (m mode) covers(f queue.Fragment) bool { return f.In(m.from, m.to) }

// class returns the class of the media that a session sends in that turn. What is not sent live is the backlog, also
// in the window of a schedule.
func (m mode) class(t turn) meter.Class {
	switch {
	case m.onDemand && !m.spare:
		return meter.Request
	case m.live && t.order != catchUp:
		return meter.Live
	default:
		return meter.Backlog
	}
}

// order is the order in which a session sends fragments. The service accepts one connection for each stream,
// and only rising timecodes in it: so sessions for the newest fragments and for the backlog alternate.
type order uint8

const (
	oldestFirst order = iota // without an end
	liveEdge                 // the newest and those that follow, until none is pending
	catchUp                  // the backlog, oldest first, until a newer fragment is complete and the turn is over
)

// turn is what a session is for.
type turn struct {
	order  order
	newest time.Time // the newest complete media at the start
}

// live shares a stream's time between the newest fragments and the backlog. The backlog has a turn
// whenever the newest are sent, at least as long as that took: where sessions take long to open, or
// acknowledgements to arrive, a newer fragment is always complete.
type live struct {
	stream   string
	store    store
	queue    *queue.Queue
	deferred func(queue.ID) bool
	capped   func(queue.Fragment) bool // the backlog may not be sent now
	caughtUp bool                      // the newest was sent, and the backlog had no turn since
	took     time.Duration             // of the last session for the newest, with its opening
}

// choose returns what the next session is for, and with which fragment it begins: not with oldest
// when a newer one has to be sent first. ok is false when nothing can be read any more.
func (l *live) choose(m mode, oldest queue.Fragment) (first queue.Fragment, t turn, ok bool) {
	t.newest = l.store.Usage(l.stream).Newest
	if !m.live {
		return oldest, t, true
	}
	missedIsNext := l.caughtUp
	l.caughtUp = false
	edge, newer := l.newestPending()
	if newer && !edge.Began().After(oldest.Began()) {
		return oldest, t, true
	}
	newer = newer && (m.from.IsZero() || edge.In(m.from, m.to))
	if newer && missedIsNext && !l.capped(oldest) {
		t.newest = time.Time{} // a newer fragment is complete: the backlog has this turn only
		newer = false
	}
	if newer {
		l.queue.Restart()
		l.queue.Restrict(edge.Began(), time.Time{}, nil)
		if first, ok := l.queue.Peek(); ok {
			t.order = liveEdge
			return first, t, true
		}
		l.queue.Restart() // it was deleted, or cannot be read
		l.queue.Restrict(m.from, m.to, nil)
		if oldest, ok = l.queue.Peek(); !ok {
			return queue.Fragment{}, turn{}, false
		}
	}
	t.order = catchUp
	return oldest, t, true
}

// newestPending returns the newest complete fragment, if it is pending.
func (l *live) newestPending() (queue.Fragment, bool) {
	end := l.store.Usage(l.stream).Newest
	list := l.store.Segments(l.stream, end, time.Time{})
	if len(list) == 0 || list[len(list)-1].State == segment.Uploaded {
		return queue.Fragment{}, false
	}
	key := list[len(list)-1].Key
	fragments, err := queue.ListFragments(l.store, key)
	if err != nil || len(fragments) == 0 {
		return queue.Fragment{}, false
	}
	f := queue.NewFragment(l.store, key, fragments[len(fragments)-1])
	return f, !l.deferred(f.ID()) && !l.store.Done(f.Key, f.Stored.Start)
}

// over reports whether a turn that began with the session must end before next, for a newer fragment.
func (l *live) over(t turn, began time.Time, next queue.Fragment) bool {
	now := l.store.Usage(l.stream).Newest
	if t.order == catchUp {
		return now.After(t.newest) && time.Since(began) >= min(l.took, liveLag)
	}
	return now.Sub(next.Ended()) > liveLag
}
