package uploader

import (
	"errors"
	"math"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// fragmentID tells a stream's fragments apart.
type fragmentID struct {
	segment  segment.Key
	fragment time.Duration
}

// shot is one fragment on its way.
type shot struct {
	key  segment.Key
	frag mkv.Fragment
	sent time.Time // when its last byte was written; zero before
	size int64     // of what is sent of the cluster; 0 before
	left string    // names the sound that is not sent; "" when all tracks are
}

func (s shot) id() fragmentID { return fragmentID{s.key, s.frag.Start} }

// at is the fragment's timecode on the wire: ms since 1970.
func (s shot) at() int64 { return s.key.Start + s.frag.Start.Milliseconds() }

// end is the time of its last frame, in ms since 1970.
func (s shot) end() int64 { return s.key.Start + s.frag.Last.Milliseconds() }

// unreadableFor is how long a segment is passed over that cannot be opened, or not be moved to
// uploaded.
const unreadableFor = 10 * time.Minute

// queue gives a stream's pending fragments, oldest first. It holds one segment open.
type queue struct {
	store  Store
	stream string
	held   func(fragmentID) bool // set aside: to be passed over
	broken func(error)           // told of a segment that cannot be read
	audio  func() Audio          // which sound is sent

	reader   *segment.Reader // nil between segments
	list     []mkv.Fragment
	finished bool // list is final
	next     int  // in list
	chosen   choice

	from, to   int64                     // fragments that end before from, or begin at to or later, are passed over
	after      segment.Key               // segments up to this one were given out
	passed     []segment.Key             // given out whole, and not yet moved to uploaded
	unreadable map[segment.Key]time.Time // segments that the disk fails with, and when to try again
}

func newQueue(o Options, held func(fragmentID) bool, broken func(error)) *queue {
	return &queue{
		store: o.Store, stream: o.Stream, held: held, broken: broken, audio: o.Audio,
		from: math.MinInt64, to: math.MaxInt64, after: segment.Before(o.Stream), unreadable: make(map[segment.Key]time.Time),
	}
}

// restart begins again with the oldest of all, and lets go of the open segment.
func (q *queue) restart() {
	q.release()
	q.from, q.to = math.MinInt64, math.MaxInt64
	q.after = segment.Before(q.stream)
	q.passed = q.passed[:0]
}

func (q *queue) release() {
	if q.reader != nil {
		_ = q.reader.Close() // was only read
	}
	q.reader, q.list, q.finished, q.next = nil, nil, false, 0
	q.chosen = choice{}
}

// peek gives the fragment that goes next; ok is false when nothing is pending now.
func (q *queue) peek() (s shot, ok bool) {
	for {
		if q.reader == nil && !q.open() {
			return shot{}, false
		}
		for ; q.next < len(q.list); q.next++ {
			s := shot{key: q.reader.Key(), frag: q.list[q.next]}
			if s.end() < q.from || q.held(s.id()) || q.store.Done(s.key, s.frag.Start) {
				continue
			}
			q.choose()
			return s, s.at() < q.to
		}
		if q.finished {
			q.passed = append(q.passed, q.reader.Key())
			q.after = q.reader.Key()
			q.release()
			continue
		}
		known := len(q.list)
		if err := q.load(); err != nil {
			continue
		}
		if len(q.list) == known && !q.finished {
			return shot{}, false
		}
	}
}

// take moves on behind what peek gave.
func (q *queue) take() { q.next++ }

// header of the segment that peek's fragment is in, with the tracks that are sent.
func (q *queue) header() mkv.Header { return q.chosen.Header }

// open opens the oldest segment that was not given out.
func (q *queue) open() bool {
	for {
		key, ok := q.find()
		if !ok {
			return false
		}
		reader, err := q.store.OpenSegment(key)
		if err != nil {
			q.fail(key, err)
			continue
		}
		q.reader = reader
		if q.load() == nil {
			delete(q.unreadable, key)
			return true
		}
	}
}

// load lists the fragments of the open segment, or lets go of it.
func (q *queue) load() error {
	var err error
	if q.list, q.finished, err = q.reader.Fragments(); err != nil {
		key := q.reader.Key()
		q.release()
		q.fail(key, err)
	}
	return err
}

// fail passes over a segment that cannot be read; one that is gone is none of our business.
func (q *queue) fail(key segment.Key, err error) {
	q.after = key
	if !errors.Is(err, segment.ErrNotFound) {
		q.unreadable[key] = time.Now().Add(unreadableFor)
		q.broken(err)
	}
}

// find gives the oldest segment that was not given out.
func (q *queue) find() (segment.Key, bool) {
	for after := q.after; ; {
		key, ok := q.store.NextPending(after, q.from)
		if !ok {
			return segment.Key{}, false
		}
		if key.Start < q.to && !q.isUnreadable(key) {
			return key, true
		}
		after = key
	}
}

func (q *queue) isUnreadable(key segment.Key) bool { return time.Now().Before(q.unreadable[key]) }

// readable tells whether no segment that waits for its upload is passed over. It forgets those that
// are gone.
func (q *queue) readable() bool {
	for key := range q.unreadable {
		before := key
		before.Start--
		if found, ok := q.store.NextPending(before, math.MinInt64); !ok || found != key {
			delete(q.unreadable, key)
		}
	}
	return len(q.unreadable) == 0
}

// settle moves segments to uploaded of which nothing is in flight any more. A disk that refuses it
// is not asked again with every acknowledgement: it may take its time to refuse.
func (q *queue) settle(flight []shot) error {
	var all error
	left := q.passed[:0]
	for _, key := range q.passed {
		if inFlight(flight, key) {
			left = append(left, key)
			continue
		}
		err := q.store.MarkUploaded(key)
		if err != nil && !errors.Is(err, segment.ErrIncomplete) && !errors.Is(err, segment.ErrNotFound) {
			all = errors.Join(all, err)
			q.unreadable[key] = time.Now().Add(unreadableFor)
		}
	}
	q.passed = left
	return all
}

func inFlight(flight []shot, key segment.Key) bool {
	for _, s := range flight {
		if s.key == key {
			return true
		}
	}
	return false
}
