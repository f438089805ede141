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
	gap                  // oldest first, until something newer is complete
)

// RunLive is Run, but the newest fragment goes first, as soon as it is complete. What was missed
// before, during an outage above all, goes in between, oldest first.
func (u *Uploader) RunLive(ctx context.Context) error {
	_ = u.upload(ctx, mode{live: true}) // ends with ctx only
	return nil
}

// choose says what the next session is for, and with which fragment it begins: not with oldest
// when a newer one has to go before.
func (u *Uploader) choose(m mode, oldest shot) (shot, course) {
	if !m.live {
		return oldest, onward
	}
	edge, ok := u.edge()
	switch {
	case !ok:
		return oldest, gap
	case edge.at() <= oldest.at():
		return oldest, onward
	}
	u.queue.restart()
	u.queue.from = edge.at()
	if first, ok := u.queue.peek(); ok {
		return first, newest
	}
	u.queue.restart()
	return oldest, gap
}

// edge gives the newest complete fragment, if it is pending.
func (u *Uploader) edge() (shot, bool) {
	end := u.o.Store.Usage(u.o.Stream).Newest
	list := u.o.Store.Segments(u.o.Stream, end, time.Time{})
	if len(list) == 0 || list[len(list)-1].State == segment.Uploaded {
		return shot{}, false
	}
	reader, err := u.o.Store.OpenSegment(list[len(list)-1].Key)
	if err != nil {
		return shot{}, false
	}
	defer func() { _ = reader.Close() }() // was only read
	fragments, _, err := reader.Fragments()
	if err != nil || len(fragments) == 0 {
		return shot{}, false
	}
	s := shot{key: reader.Key(), frag: fragments[len(fragments)-1]}
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
		return now.After(e.edge)
	}
	return now.Sub(time.UnixMilli(next.end())) > liveLag
}
