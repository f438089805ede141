// Package queue owns which of a stream's fragments is sent next: those that are pending, oldest first, as they are
// or in parts, with the tracks that are sent. It must not know how they are sent, nor what became of it.
package queue

import (
	"errors"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Store is the recording directory; see segment.Store.
type Store interface {
	Offsets
	NextPending(after segment.Key, from, to time.Time) (segment.Key, bool)
	OpenSegment(k segment.Key) (*segment.Reader, error)
	Done(k segment.Key, fragmentStart time.Duration) bool
	MarkUploaded(k segment.Key) error
}

// Isolation says which fragments are not sent in their turn, as those before; see poison.List.
type Isolation interface {
	Deferred(id ID) bool        // it is passed over for now
	SplitOf(id ID) *Split       // nil = it is sent whole
	SplitAgain(id ID, p *Split) // it is split otherwise from now on
}

// Options of a Queue. All are required.
type Options struct {
	Stream    string
	Store     Store
	Isolation Isolation
	// Audio says which sound is sent, and may say otherwise at any time.
	Audio func() Audio
	// Unreadable is called with why a segment cannot be read.
	Unreadable func(error)
	// Now is a clock that nobody sets, for the pauses of segments that cannot be read.
	Now func() time.Time
}

// Queue returns a stream's pending fragments, oldest first. It holds one segment open. It is for one goroutine.
type Queue struct {
	o          Options
	open       opened
	wanted     wanted
	after      segment.Key   // segments up to this one were returned whole
	finished   []segment.Key // returned whole, and not yet moved to uploaded
	passedOver passedOver
}

// opened is the segment of which fragments are returned; zero between segments.
type opened struct {
	reader *segment.Reader
	list   []mkv.Fragment
	final  bool // list is
	next   int  // in list
	part   int  // of that fragment, when it is split
	tracks trackChoice
}

// wanted are the fragments that are returned.
type wanted struct {
	from, to time.Time     // when they were recorded; zero: unbounded
	without  func(ID) bool // those that are passed over nevertheless; nil = none
}

// New returns a queue that begins with the oldest fragment.
func New(o Options) *Queue {
	return &Queue{o: o, after: segment.Before(o.Stream), passedOver: newPassedOver(o.Now)}
}

// Restart begins again with the oldest of all, and lets go of the open segment.
func (q *Queue) Restart() {
	q.Release()
	q.wanted = wanted{}
	q.after = segment.Before(q.o.Stream)
	q.finished = q.finished[:0]
}

// Restrict passes over all fragments, up to the next Restart, but those of which something was recorded in
// [from, to), zero being unbounded, and that without does not name.
func (q *Queue) Restrict(from, to time.Time, without func(ID) bool) {
	q.wanted = wanted{from, to, without}
}

// Release lets go of the open segment.
func (q *Queue) Release() {
	if q.open.reader != nil {
		_ = q.open.reader.Close() // was only read
	}
	q.open = opened{}
}

// Peek returns the fragment that goes next; ok is false when nothing is pending now.
func (q *Queue) Peek() (f Fragment, ok bool) {
	for {
		if q.open.reader == nil && !q.openNext() {
			return Fragment{}, false
		}
		o := &q.open
		for ; o.next < len(o.list); o.next, o.part = o.next+1, 0 {
			f := NewFragment(q.o.Store, o.reader.Key(), o.list[o.next])
			if !q.wants(f) || q.o.Store.Done(f.Key, f.Stored.Start) {
				continue
			}
			o.tracks.follow(o.reader, q.o.Audio())
			if q.divide(&f) {
				return f, true
			}
		}
		if o.final {
			q.finished = append(q.finished, o.reader.Key())
			q.after = o.reader.Key()
			q.Release()
			continue
		}
		known := len(o.list)
		if err := q.load(); err != nil {
			continue
		}
		if len(o.list) == known && !o.final {
			return Fragment{}, false
		}
	}
}

func (q *Queue) wants(f Fragment) bool {
	id := f.ID()
	return q.Covers(f) && !q.o.Isolation.Deferred(id) && (q.wanted.without == nil || !q.wanted.without(id))
}

// divide makes the next part of a fragment that is split, in place of the whole. It is false when no part is
// left.
func (q *Queue) divide(f *Fragment) (ok bool) {
	p := q.o.Isolation.SplitOf(f.ID())
	if p == nil {
		return true
	}
	if now := p.follow(q.open.reader, &q.open.tracks, f.Stored); now != p {
		q.o.Isolation.SplitAgain(f.ID(), now)
		p, q.open.part = now, 0
	}
	if q.open.part, ok = p.next(q.open.part); ok {
		f.Split, f.Part = p, q.open.part
	}
	return ok
}

// Take moves on behind what Peek returned.
func (q *Queue) Take(f Fragment) {
	if f.Split != nil {
		q.open.part++
		return
	}
	q.open.next, q.open.part = q.open.next+1, 0
}

// openNext opens the oldest segment that was not returned.
func (q *Queue) openNext() bool {
	for {
		key, ok := q.find()
		if !ok {
			return false
		}
		reader, err := q.o.Store.OpenSegment(key)
		if err != nil {
			q.fail(key, err)
			continue
		}
		q.open.reader = reader
		if q.load() == nil {
			q.passedOver.remove(key)
			return true
		}
	}
}

// find returns the oldest segment that was not returned.
func (q *Queue) find() (segment.Key, bool) {
	for after := q.after; ; {
		key, ok := q.o.Store.NextPending(after, q.wanted.from, q.wanted.to)
		if !ok {
			return segment.Key{}, false
		}
		if !q.passedOver.has(key) {
			return key, true
		}
		after = key
	}
}

// load lists the fragments of the open segment, or lets go of it.
func (q *Queue) load() error {
	var err error
	if q.open.list, q.open.final, err = q.open.reader.Fragments(); err != nil {
		key := q.open.reader.Key()
		q.Release()
		q.fail(key, err)
	}
	return err
}

// fail passes over a segment that cannot be read; one that is gone is none of our business.
func (q *Queue) fail(key segment.Key, err error) {
	q.after = key
	if !errors.Is(err, segment.ErrNotFound) {
		q.passedOver.add(key, err)
		q.o.Unreadable(err)
	}
}

// Covers reports whether a fragment is one of those that Restrict left.
func (q *Queue) Covers(f Fragment) bool { return f.In(q.wanted.from, q.wanted.to) }
