package uploader

import (
	"context"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// liveLag is how far a live upload may fall behind before it jumps to the newest fragment.
const liveLag = 5 * time.Second

// course is which fragments a session is for. The service takes one connection for each stream,
// and rising timecodes in it: so what is newest and what was missed take turns.
type course uint8

const (
	onward course = iota // oldest first, on and on
	newest               // the newest and those that follow, until none is pending
	gap                  // oldest first, until something newer is complete, and its turn is over
)

// turns are how what is newest and what was missed share a stream's time. What was missed has a turn
// whenever the newest is sent, at least as long as that took: where sessions take long to open, or
// acknowledgements to come, something newer is always complete.
type turns struct {
	caughtUp bool          // the newest was sent, and what was missed had no turn since
	took     time.Duration // by the last session for the newest, with its opening
}

// RunLive is Run, but the newest fragment goes first, as soon as it is complete. What was missed
// before, during an outage above all, goes in between, oldest first.
func (u *Uploader) RunLive(ctx context.Context) error {
	_ = u.upload(ctx, mode{live: true}) // ends with ctx only
	return nil
}

// choose says what the next session is for, and with which fragment it begins: not with oldest
// when a newer one has to go before. ok is false when nothing can be read any more.
func (u *Uploader) choose(m mode, oldest shot) (first shot, e session, ok bool) {
	e = session{mode: m, edge: u.o.Store.Usage(u.o.Stream).Newest}
	if !m.live {
		return oldest, e, true
	}
	turn := u.turns.caughtUp
	u.turns.caughtUp = false
	edge, newer := u.edge()
	if newer && !edge.began().After(oldest.began()) {
		return oldest, e, true
	}
	if newer && turn {
		e.edge = time.Time{} // something newer is complete: it is only a turn
		newer = false
	}
	if newer {
		u.queue.restart()
		u.queue.from = edge.began()
		if first, ok := u.queue.peek(); ok {
			e.course = newest
			return first, e, true
		}
		u.queue.restart() // it is gone, or cannot be read
		if oldest, ok = u.queue.peek(); !ok {
			return shot{}, session{}, false
		}
	}
	e.course = gap
	return oldest, e, true
}

// edge gives the newest complete fragment, if it is pending.
func (u *Uploader) edge() (shot, bool) {
	end := u.o.Store.Usage(u.o.Stream).Newest
	list := u.o.Store.Segments(u.o.Stream, end, time.Time{})
	if len(list) == 0 || list[len(list)-1].State == segment.Uploaded {
		return shot{}, false
	}
	key := list[len(list)-1].Key
	fragments, err := u.fragmentsOf(key)
	if err != nil || len(fragments) == 0 {
		return shot{}, false
	}
	s := newShot(u.o.Store, key, fragments[len(fragments)-1])
	return s, !u.suspects.aside(s.id()) && !u.o.Store.Done(s.key, s.frag.Start)
}

// offCourse tells whether a live session must end before next, for something newer. Each gets one
// fragment through at least: opening the next session may take longer than a fragment lasts.
func (e *session) offCourse(next shot) bool {
	if !e.mode.live || !e.any {
		return false
	}
	now := e.u.o.Store.Usage(e.u.o.Stream).Newest
	if e.course == gap {
		return now.After(e.edge) && time.Since(e.opened) >= min(e.u.turns.took, liveLag)
	}
	return now.Sub(next.ended()) > liveLag
}
