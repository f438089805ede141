package event

import (
	"slices"
	"sync"
	"time"
)

// Sent are the fragments of a stream that were sent since somebody follows its events: some are deleted before they are listed again.
// Safe for concurrent use. The zero value has none.
type Sent struct {
	mu   sync.Mutex
	list map[int64]struct{} // by when the first frame was recorded, in ms; nil: nobody follows; guarded by mu
}

// Note is called when a fragment is in the cloud, before it may be deleted: with when its first frame was recorded.
func (s *Sent) Note(began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list != nil {
		s.list[began.UnixMilli()] = struct{}{}
	}
}

// follow begins, with one that nobody followed.
func (s *Sent) follow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list == nil {
		s.list = make(map[int64]struct{})
	}
}

// rest forgets all until follow is called.
func (s *Sent) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = nil
}

// take reports whether a fragment was sent, and forgets it.
func (s *Sent) take(began int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.list[began]
	delete(s.list, began)
	return ok
}

// tally counts the fragments of the events of a stream, also those that are no longer on the hub.
type tally struct {
	sent   *Sent
	events []*Event
	list   map[int64]Fragment   // by when the first frame was recorded, in ms
	open   map[int64]struct{}   // of list: those that are not in the cloud
	passed int                  // how many were seen to be in the cloud
	counts map[string]*Progress // of list, by event
	lost   map[string]Loss      // by event, also before
	told   map[string]time.Time // by event: from when on it is known what was sent before the event was followed
	// settled is up to when all of a span is done that is on the hub, by the start of the span in ms.
	settled map[int64]time.Time
}

func newTally(sent *Sent) *tally {
	return &tally{sent: sent, list: make(map[int64]Fragment), open: make(map[int64]struct{}), counts: make(map[string]*Progress),
		lost: make(map[string]Loss), told: make(map[string]time.Time), settled: make(map[int64]time.Time)}
}

// follow has the tally count the fragments of these events from now on.
func (t *tally) follow(stream string, events []*Event) {
	t.events = events
	if len(events) == 0 {
		t.sent.rest()
		*t = *newTally(t.sent)
		return
	}
	t.sent.follow()
	lost, told := make(map[string]Loss), make(map[string]time.Time)
	clear(t.counts)
	for _, e := range events {
		lost[e.ID] = e.Lost[stream]
		if known, ok := t.lost[e.ID]; ok {
			lost[e.ID] = known
		}
		if at, ok := t.told[e.ID]; ok {
			told[e.ID] = at
		}
		t.counts[e.ID] = new(Progress)
	}
	t.lost, t.told = lost, told
	for from := range t.settled {
		if !slices.ContainsFunc(events, func(e *Event) bool { return e.From.UnixMilli() == from }) {
			delete(t.settled, from)
		}
	}
	for at, x := range t.list {
		some := false
		for _, e := range events {
			if x.in(Span{e.From, e.To}) {
				t.counts[e.ID].add(x, 1)
				some = true
			}
		}
		if !some {
			delete(t.list, at)
			delete(t.open, at)
		}
	}
}

// note counts a fragment as it is now.
func (t *tally) note(x Fragment) {
	at := x.From.UnixMilli()
	before, known := t.list[at]
	if known && before.Done == x.Done && before.Refused == x.Refused && before.Bytes == x.Bytes && before.To.Equal(x.To) {
		return
	}
	t.list[at] = x
	if t.open[at] = struct{}{}; x.Done {
		delete(t.open, at)
		t.passed++
	}
	for _, e := range t.events {
		s := Span{e.From, e.To}
		if known && before.in(s) {
			t.counts[e.ID].add(before, -1)
		}
		if x.in(s) {
			t.counts[e.ID].add(x, 1)
		}
	}
}

// gone notes what is no longer on the hub of a span: it is in the cloud, or lost.
func (t *tally) gone(s Span, there map[int64]bool) (lost bool) {
	for at := range t.open {
		x := t.list[at]
		if there[at] || !x.in(s) {
			continue
		}
		if t.sent.take(at) {
			x.Done = true
			t.note(x)
			continue
		}
		for _, e := range t.events {
			if x.in(Span{e.From, e.To}) {
				t.counts[e.ID].add(x, -1)
				was := t.lost[e.ID]
				t.lost[e.ID] = Loss{was.Fragments + 1, was.Bytes + x.Bytes}
			}
		}
		delete(t.list, at)
		delete(t.open, at)
		lost = true
	}
	return lost
}

// left takes the fragments of a span that are on the hub, from when from(span) says, and reports whether some of them are to be sent,
// and whether some were deleted that were not sent.
func (t *tally) left(s Span, whole bool, fragments func(Span) []Fragment) (left, lost bool) {
	part, key := s, s.From.UnixMilli()
	if at, ok := t.settled[key]; ok && !whole {
		part.From = at
	}
	list := fragments(part)
	slices.SortFunc(list, func(a, b Fragment) int { return a.From.Compare(b.From) })
	there, settled := make(map[int64]bool, len(list)), part.From
	for _, x := range list {
		at := x.From.UnixMilli()
		there[at] = true
		if t.note(x); x.Done {
			t.sent.take(at)
		}
		if open := !x.Done && !x.Refused; open {
			left = true
		} else if !left && x.From.After(settled) {
			settled = x.From
		}
	}
	t.settled[key] = settled
	return left, t.gone(part, there)
}

// rest is what is left of a span that was read by left.
func (t *tally) rest(s Span) Span {
	if at, ok := t.settled[s.From.UnixMilli()]; ok {
		s.From = at
	}
	return s
}

// of is how far an event is.
func (t *tally) of(e *Event) (p Progress) {
	if known := t.counts[e.ID]; known != nil {
		p = *known
	}
	lost := t.lost[e.ID]
	p.Lost = lost.Fragments
	p.Recorded += lost.Fragments
	p.Bytes += lost.Bytes
	return p
}

// add counts a fragment n times.
func (p *Progress) add(x Fragment, n int) {
	p.Recorded += n
	p.Bytes += int64(n) * x.Bytes
	switch {
	case x.Refused:
		p.Refused += n
	case x.Done:
		p.Uploaded += n
		p.Sent += int64(n) * x.Bytes
	}
}

// elsewhere returns those of the fragments that were sent that are not on the hub, as a whole or as a part.
func elsewhere(there, sent []Fragment) (list []Fragment) {
	slices.SortFunc(there, func(a, b Fragment) int { return a.From.Compare(b.From) })
	for _, x := range sent {
		i, found := slices.BinarySearchFunc(there, x, func(a, b Fragment) int { return a.From.Compare(b.From) })
		if !found && (i == 0 || x.From.After(there[i-1].To)) {
			list = append(list, x)
		}
	}
	return list
}

// Joined are the fragments that are on the hub, and those that were sent before they were deleted there.
func Joined(there, sent []Fragment) []Fragment { return append(there, elsewhere(there, sent)...) }

// Count counts fragments.
func Count(list []Fragment) (p Progress) {
	for _, x := range list {
		p.add(x, 1)
	}
	return p
}
