package uploader

import (
	"maps"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
)

const (
	// splitAfter is how often the line may break with a fragment before it is sent in parts, and before
	// status says that it does not get through.
	splitAfter = 5
	// splitSoon is splitAfter while the line is known to be short: another fragment had to be split, and
	// none got through whole since.
	splitSoon = 2
	// refusedAfter is how often the service may fail with a fragment, while others pass in between.
	refusedAfter = 5
	// asideAfter failures in a row others are tried before it. Until then the order is kept.
	asideAfter = 3
	// maxAside bounds how many fragments are tried in search of one that passes.
	maxAside = 64
	// asidePause is how many times longer than between sessions the pauses of a fragment may grow while
	// others pass.
	asidePause = 10
	// asideShare bounds what such a fragment takes of the line: it pauses for so many times as long as a try took.
	asideShare = 8
)

// suspects are fragments whose sessions ended without a verdict. They go alone, others may go before
// them, and those with which the line breaks go in parts; but however often it breaks, they are tried again.
// Only one with which the service itself fails again and again while others pass is given up.
type suspects struct {
	list  map[fragmentID]*suspect
	short bool // the line lives shorter than fragments take
	width int  // how many may be set aside before all are tried again; it doubles while nothing passes
	pause backoff.Policy
	now   func() time.Time // for due
	wall  func() time.Time // for people
}

type suspect struct {
	first  shot // as it was when it was first suspected
	since  time.Time
	row    int  // failures since it, or a part of it, was first suspected
	breaks int  // of these by the line
	named  int  // of these by the service, with another fragment's success in between
	passed bool // another fragment passed since the last failure
	aside  bool // not to be tried until another fragment passed, and due has come
	due    time.Time
	pause  *backoff.Backoff
	split  *split // nil = it goes whole
}

func newSuspects(o Options) *suspects {
	pause := o.Retry
	if pause.Max <= 0 {
		pause.Max = DefaultRetryMax
	}
	pause.Max *= asidePause
	return &suspects{list: make(map[fragmentID]*suspect), width: 1, pause: pause, now: time.Now, wall: o.Now}
}

// has tells whether a fragment must be sent alone, so that it alone is to blame.
func (s *suspects) has(id fragmentID) bool { return s.list[id] != nil }

// aside tells whether a fragment is set aside.
func (s *suspects) aside(id fragmentID) bool { return s.list[id] != nil && s.list[id].aside }

// parts gives how a fragment is split; nil when it goes whole.
func (s *suspects) parts(id fragmentID) *split {
	if x := s.list[id]; x != nil {
		return x.split
	}
	return nil
}

// splitAgain takes in that a fragment is split otherwise from now on.
func (s *suspects) splitAgain(id fragmentID, p *split) { s.list[id].split = p }

// suspect makes a fragment be sent alone.
func (s *suspects) suspect(f shot) *suspect {
	x := s.list[f.id()]
	if x == nil {
		x = &suspect{first: f.whole(), since: s.wall(), passed: true, pause: backoff.New(s.pause)}
		s.list[f.id()] = x
	}
	if x.split != nil {
		x.split.single = true
	}
	return x
}

// failed notes that a fragment's session ended: by the line, by an ERROR of the service that named it, or
// otherwise; took is how long the session lasted. It reports whether the service will never take the fragment.
func (s *suspects) failed(f shot, byLine, named bool, took time.Duration) (refused bool) {
	x := s.list[f.id()]
	if x == nil {
		x = s.suspect(f)
	}
	x.row++
	if byLine {
		x.breaks++
	}
	if x.passed && named {
		x.named++
	}
	x.passed = false
	if x.named >= refusedAfter {
		delete(s.list, f.id())
		return true
	}
	searching := s.searching()
	if searching == 0 && x.row < asideAfter {
		return false
	}
	if x.aside, x.due = true, s.now(); !named { // what the service fails with comes to an end
		x.due = x.due.Add(min(max(x.pause.Next(), asideShare*took), s.pause.Max))
	}
	if searching >= s.width { // nothing passes: no fragment is to blame
		for _, other := range s.list {
			other.aside = false
		}
		s.width = min(2*s.width, maxAside)
	}
	return false
}

func (s *suspects) searching() (n int) {
	for _, x := range s.list {
		if x.aside {
			n++
		}
	}
	return n
}

// pass notes that a fragment, or a part of it, got through. It reports whether others are to be tried
// again now.
func (s *suspects) pass(f shot, whole bool) (again bool) {
	own := s.list[f.id()]
	switch {
	case whole:
		s.short = s.short && f.split != nil
		delete(s.list, f.id())
	case own != nil:
		own.row, own.breaks, own.named, own.aside = 0, 0, 0, false
		own.pause.Reset()
	}
	s.width = 1
	for _, x := range s.list {
		if x != own {
			x.passed = true
		}
	}
	return s.release() > 0
}

// next tells when the first of those that are set aside, and that want accepts, is due.
func (s *suspects) next(want func(shot) bool) (due time.Time, ok bool) {
	for _, x := range s.list {
		if x.aside && want(x.first) && (!ok || x.due.Before(due)) {
			due, ok = x.due, true
		}
	}
	return due, ok
}

// release takes those back that are set aside and due, and says how many.
func (s *suspects) release() (n int) {
	for _, x := range s.list {
		if x.aside && !s.now().Before(x.due) {
			x.aside = false
			n++
		}
	}
	return n
}

// forget takes note that a fragment is no concern of the upload any more.
func (s *suspects) forget(id fragmentID) { delete(s.list, id) }

// prune forgets those that are not pending any more, as they were deleted.
func (s *suspects) prune(pends func(fragmentID) bool) {
	maps.DeleteFunc(s.list, func(id fragmentID, _ *suspect) bool { return !pends(id) })
}

// odd tells whether a fragment failed, and others passed since.
func (s *suspects) odd(id fragmentID) bool {
	return s.list[id] != nil && s.list[id].row > 0 && s.list[id].passed
}

// toSplit tells whether a fragment is to be sent in parts, as the line broke with it.
func (s *suspects) toSplit(id fragmentID) bool {
	x := s.list[id]
	return x != nil && x.split == nil && (x.breaks >= splitAfter || s.short && x.breaks >= splitSoon)
}

// stuck is the oldest fragment with which the line breaks again and again.
func (s *suspects) stuck() *suspect {
	var oldest *suspect
	for _, x := range s.list {
		if x.breaks >= splitAfter && (oldest == nil || x.first.at() < oldest.first.at()) {
			oldest = x
		}
	}
	return oldest
}
