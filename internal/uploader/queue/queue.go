// Package queue owns which of a stream's fragments is sent next: those that are pending, oldest first, in one piece
// or in parts, with the tracks that are sent. It must not know how they are sent, nor with which result.
package queue

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Store is the recording directory; see segment.Store.
type Store interface {
	Offsets
	NextPending(after segment.Key, from, to time.Time) (segment.Key, bool)
	NotesUnread(k segment.Key) bool
	OpenSegment(k segment.Key) (*segment.Reader, error)
	Done(k segment.Key, fragmentStart time.Duration) bool
	MarkUploaded(k segment.Key) error
}

// Isolation determines which fragments are not sent in order, or not in one piece; see poison.List.
type Isolation interface {
	Deferred(id ID) bool    // it is passed over for now
	SplitOf(id ID) *Split   // nil = it is sent in one piece
	Divide(id ID, p *Split) // has it sent in these parts
}

// Options of a Queue. All are required.
type Options struct {
	Stream    string
	Store     Store
	Isolation Isolation
	// Audio returns which audio is sent. Its answer may change at any time.
	Audio func() Audio
	// Longest returns how long a fragment may be that is sent in one piece, where it can be split, from its first frame to its last;
	// 0: any length.
	Longest func() time.Duration
	// Unreadable is called with the error of a segment that cannot be read.
	Unreadable func(error)
	// Now is a monotonic clock, for the pauses of segments that cannot be read.
	Now func() time.Time
}

// Queue returns a stream's pending fragments, oldest first. It holds one segment open. It is for one goroutine.
type Queue struct {
	o          Options
	open       opened
	wanted     wanted
	after      segment.Key   // all fragments of the segments up to this one were returned
	finished   []segment.Key // segments of which all were returned, not yet moved to uploaded
	passedOver passedOver
}

// opened is the segment whose fragments are returned; zero between segments.
type opened struct {
	reader *segment.Reader
	list   []mkv.Fragment
	final  bool // no fragment will be added to list
	next   int  // index in list
	part   int  // of that fragment, when it is split
	single int  // how many fragments up to one that is too long and cannot be split
	tracks trackChoice
}

// wanted are the fragments that are returned.
type wanted struct {
	from, to time.Time     // when they were recorded; zero: unbounded
	without  func(ID) bool // which of these are passed over; nil = none
}

// errNotNoted is the fault of a segment of which it is not known yet which fragments are uploaded: none may be sent, as it could be
// sent twice.
var errNotNoted = fmt.Errorf("the disk does not say yet which fragments of a recording are uploaded: %w", syscall.EIO)

// New returns a queue that begins with the oldest fragment.
func New(o Options) *Queue {
	return &Queue{o: o, after: segment.Before(o.Stream), passedOver: newPassedOver(o.Now)}
}

// Restart starts again with the oldest fragment, and closes the open segment.
func (q *Queue) Restart() {
	q.Release()
	q.wanted = wanted{}
	q.after = segment.Before(q.o.Stream)
	q.finished = q.finished[:0]
}

// Restrict limits the queue, up to the next Restart, to fragments that were at least partly recorded in
// [from, to), where a zero time is unbounded, and for which without returns false.
func (q *Queue) Restrict(from, to time.Time, without func(ID) bool) {
	q.wanted = wanted{from, to, without}
}

// Release closes the open segment.
func (q *Queue) Release() {
	if q.open.reader != nil {
		_ = q.open.reader.Close() // was only read
	}
	q.open = opened{}
}

// Peek returns the next fragment; ok is false when nothing is pending now.
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

// divide replaces a fragment that is split by its next part. ok is false when no part is left.
func (q *Queue) divide(f *Fragment) (ok bool) {
	p := q.o.Isolation.SplitOf(f.ID())
	if p == nil {
		p = q.splitLong(*f)
	}
	if p == nil {
		return true
	}
	if now := p.follow(q.open.reader, &q.open.tracks, f.Stored); now != p {
		q.o.Isolation.Divide(f.ID(), now)
		p, q.open.part = now, 0
	}
	if q.open.part, ok = p.next(q.open.part); ok {
		f.Split, f.Part = p, q.open.part
	}
	return ok
}

// splitLong splits a fragment that is too long to be sent in one piece; nil when it is not, or has a single GOP.
func (q *Queue) splitLong(f Fragment) *Split {
	o, most := &q.open, q.o.Longest()
	if most == 0 || f.Stored.Last-f.Stored.Start <= most || o.next < o.single {
		return nil
	}
	parts, err := mkv.Parts(o.reader, f.Stored, o.tracks.Selection, kvslimit.MinFragment)
	if err != nil || len(parts) < 2 {
		o.single = o.next + 1
		return nil
	}
	p := newSplit(o.tracks.mode, parts)
	q.o.Isolation.Divide(f.ID(), p)
	return p
}

// Take advances the queue past the fragment that Peek returned.
func (q *Queue) Take(f Fragment) {
	if f.Split != nil {
		q.open.part++
		return
	}
	q.open.next, q.open.part = q.open.next+1, 0
}

// openNext opens the oldest segment that was not returned. It reports whether there is one.
func (q *Queue) openNext() bool {
	for {
		key, ok := q.find()
		if !ok {
			return false
		}
		if q.o.Store.NotesUnread(key) {
			q.fail(key, errNotNoted)
			continue
		}
		reader, err := q.o.Store.OpenSegment(key)
		if err != nil {
			q.fail(key, err)
			continue
		}
		q.open.reader = reader
		if q.load() == nil {
			q.passedOver.read(key)
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
		if !q.PassedOver(key) {
			return key, true
		}
		after = key
	}
}

// load lists the fragments of the open segment, or closes it when they cannot be read.
func (q *Queue) load() error {
	var err error
	if q.open.list, q.open.final, err = q.open.reader.Fragments(); err != nil {
		key := q.open.reader.Key()
		q.Release()
		q.fail(key, err)
	}
	return err
}

// fail passes over a segment that cannot be read. One that was deleted is not an error.
func (q *Queue) fail(key segment.Key, err error) {
	q.after = key
	if !errors.Is(err, segment.ErrNotFound) {
		q.passedOver.unreadable(key, err)
		q.o.Unreadable(err)
	}
}

// Covers reports whether a fragment was recorded in the time range of Restrict.
func (q *Queue) Covers(f Fragment) bool { return f.In(q.wanted.from, q.wanted.to) }
