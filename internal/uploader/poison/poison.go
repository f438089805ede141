// Package poison owns the fragments whose sessions failed, while it is not known whether the fragment is the cause: which
// of them wait while others are tried, which are sent in parts, and which the service will never accept. It must not
// know how they are sent.
package poison

import (
	"maps"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

const (
	// SplitAfter is how often the connection may break with a fragment before it is sent in parts, and before
	// status reports that it does not get through.
	SplitAfter = 5
	// SplitSoon replaces SplitAfter while connections are known to be too short: another fragment had to be split, and
	// none got through in one piece since.
	SplitSoon = 2
	// RefusedAfter is how often the service may fail with a fragment, while others pass in between.
	RefusedAfter = 5
	// maxFailures is after how many failures in a row others are tried before it. Until then the order is kept.
	maxFailures = 3
	// MaxDeferred bounds how many fragments are tried in search of one that passes.
	MaxDeferred = 64
	// pauseFactor is how many times longer than the pauses between sessions those of a fragment may become while
	// others pass.
	pauseFactor = 10
	// tryShare bounds the share of the connection's time for such a fragment: it pauses for tryShare times the duration of
	// a try.
	tryShare = 8
)

// List has the fragments whose sessions ended without an acknowledgement or ERROR for them. They are sent alone, others
// may be sent first, and those with which the connection breaks are sent in parts; but however often it breaks, they are
// tried again. Only a fragment with which the service itself repeatedly fails while others pass is refused. It is for one
// goroutine.
type List struct {
	suspects  map[queue.ID]*Suspect
	divided   map[queue.ID]*queue.Split // others that are sent in parts
	shortLine bool                      // connections break before a fragment is sent completely
	width     int                       // how many may be deferred before all are tried again; it doubles while nothing passes
	pause     backoff.Policy
	wall      func() time.Time // for reports
}

// Suspect is one of the fragments.
type Suspect struct {
	First queue.Fragment // as it was when it was first suspected
	Since time.Time      // by the wall clock
	Split *queue.Split   // nil = it is sent in one piece

	consecutive int  // failures since it, or a part of it, was first suspected
	breaks      int  // of these breaks of the connection
	blamed      int  // of these errors of the service, with another fragment's success in between
	passed      bool // another fragment passed since the last failure
	deferred    bool // not to be tried until another fragment passed, and not before due
	due         time.Time
	pause       *backoff.Backoff
}

// New returns an empty list. between has the pauses between sessions, whose Max must be set; wall is the wall clock.
func New(between backoff.Policy, wall func() time.Time) *List {
	between.Max *= pauseFactor
	return &List{
		suspects: make(map[queue.ID]*Suspect), divided: make(map[queue.ID]*queue.Split), width: 1, pause: between, wall: wall,
	}
}

// Has reports whether a fragment must be sent alone, so that only it can be the cause of a failure.
func (l *List) Has(id queue.ID) bool { return l.suspects[id] != nil }

// Deferred reports whether a fragment is passed over for now.
func (l *List) Deferred(id queue.ID) bool { return l.suspects[id] != nil && l.suspects[id].deferred }

// SplitOf returns how a fragment is split; nil when it is sent in one piece.
func (l *List) SplitOf(id queue.ID) *queue.Split {
	if x := l.suspects[id]; x != nil {
		return x.Split
	}
	return l.divided[id]
}

// Divide has a fragment sent in these parts. It is not suspected for that: it is known to be too long, or other tracks of it are sent.
func (l *List) Divide(id queue.ID, p *queue.Split) {
	if x := l.suspects[id]; x != nil {
		x.Split = p
		return
	}
	l.divided[id] = p
}

// Add has a fragment sent alone.
func (l *List) Add(f queue.Fragment) { l.add(f) }

func (l *List) add(f queue.Fragment) *Suspect {
	x := l.suspects[f.ID()]
	if x == nil {
		x = &Suspect{First: f.Whole(), Since: l.wall(), Split: l.divided[f.ID()], passed: true, pause: backoff.New(l.pause)}
		l.suspects[f.ID()] = x
		delete(l.divided, f.ID())
	}
	if x.Split != nil {
		x.Split.Single = true
	}
	return x
}

// Split has a fragment sent in parts from now on.
func (l *List) Split(f queue.Fragment, p *queue.Split) {
	x := l.suspects[f.ID()]
	if x == nil {
		x = l.add(f)
	}
	x.Split = p
	x.consecutive, x.breaks, x.deferred = 0, 0, false
}

// ToSplit reports whether a fragment is to be sent in parts, as the connection broke with it.
func (l *List) ToSplit(id queue.ID) bool {
	x := l.suspects[id]
	return x != nil && x.Split == nil && (x.breaks >= SplitAfter || l.shortLine && x.breaks >= SplitSoon)
}

// LineIsShort records that the connection breaks before a fragment is sent completely.
func (l *List) LineIsShort() { l.shortLine = true }

// Failed records that a fragment's session ended: by a break of the connection, by an ERROR of the service that named it,
// or otherwise; took is how long the session lasted. It reports whether the service will never accept the fragment.
func (l *List) Failed(f queue.Fragment, byLine, named bool, took time.Duration) (refused bool) {
	x := l.suspects[f.ID()]
	if x == nil {
		x = l.add(f)
	}
	x.consecutive++
	if byLine {
		x.breaks++
	}
	if x.passed && named {
		x.blamed++
	}
	x.passed = false
	if x.blamed >= RefusedAfter {
		l.Forget(f.ID())
		return true
	}
	deferred := l.countDeferred()
	if deferred == 0 && x.consecutive < maxFailures {
		return false
	}
	if x.deferred, x.due = true, time.Now(); !named { // with an ERROR the tries end after RefusedAfter
		x.due = x.due.Add(min(max(x.pause.Next(), tryShare*took), l.pause.Max))
	}
	if deferred >= l.width { // nothing passes: no fragment is the cause
		for _, other := range l.suspects {
			other.deferred = false
		}
		l.width = min(2*l.width, MaxDeferred)
	}
	return false
}

func (l *List) countDeferred() (n int) {
	for _, x := range l.suspects {
		if x.deferred {
			n++
		}
	}
	return n
}

// Passed records that a fragment, or a part of it, got through. It reports whether others are to be tried
// again now.
func (l *List) Passed(f queue.Fragment, whole bool) (again bool) {
	own := l.suspects[f.ID()]
	switch {
	case whole:
		l.shortLine = l.shortLine && f.Split != nil
		l.Forget(f.ID())
	case own != nil:
		own.consecutive, own.breaks, own.blamed, own.deferred = 0, 0, 0, false
		own.pause.Reset()
	}
	l.width = 1
	for _, x := range l.suspects {
		if x != own {
			x.passed = true
		}
	}
	return l.Release() > 0
}

// NextDue returns when the first deferred fragment that want accepts is due.
func (l *List) NextDue(want func(queue.Fragment) bool) (due time.Time, ok bool) {
	for _, x := range l.suspects {
		if x.deferred && want(x.First) && (!ok || x.due.Before(due)) {
			due, ok = x.due, true
		}
	}
	return due, ok
}

// Release ends the deferral of all fragments that are due, and returns how many.
func (l *List) Release() (n int) {
	for _, x := range l.suspects {
		if x.deferred && !time.Now().Before(x.due) {
			x.deferred = false
			n++
		}
	}
	return n
}

// Forget removes a fragment that the upload is done with.
func (l *List) Forget(id queue.ID) {
	delete(l.suspects, id)
	delete(l.divided, id)
}

// Prune forgets the fragments that are no longer pending, as they were deleted.
func (l *List) Prune(pends func(queue.ID) bool) {
	maps.DeleteFunc(l.suspects, func(id queue.ID, _ *Suspect) bool { return !pends(id) })
	maps.DeleteFunc(l.divided, func(id queue.ID, _ *queue.Split) bool { return !pends(id) })
}

// Len returns how many fragments the list has.
func (l *List) Len() int { return len(l.suspects) }

// FailsAlone reports whether a fragment failed, and others passed since.
func (l *List) FailsAlone(id queue.ID) bool {
	x := l.suspects[id]
	return x != nil && x.consecutive > 0 && x.passed
}

// Failures returns how often in a row a fragment failed, in one piece or in parts.
func (l *List) Failures(id queue.ID) int {
	if x := l.suspects[id]; x != nil {
		return x.consecutive
	}
	return 0
}

// Persists reports whether a fragment that want accepts keeps failing, so that others are sent before it.
func (l *List) Persists(want func(queue.Fragment) bool) bool {
	for _, x := range l.suspects {
		if x.consecutive >= maxFailures && want(x.First) {
			return true
		}
	}
	return false
}

// Stuck returns the oldest fragment with which the connection repeatedly breaks; nil when there is none.
func (l *List) Stuck() *Suspect {
	var oldest *Suspect
	for _, x := range l.suspects {
		if x.breaks >= SplitAfter && (oldest == nil || x.First.At() < oldest.First.At()) {
			oldest = x
		}
	}
	return oldest
}
