package uploader

import (
	"errors"
	"syscall"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// fragmentID tells a stream's fragments apart.
type fragmentID struct {
	segment  segment.Key
	fragment time.Duration
}

// shot is one fragment, or a part of one, on its way.
type shot struct {
	key   segment.Key
	frag  mkv.Fragment
	split *split    // nil = whole
	part  int       // of split
	sent  time.Time // when its last byte was written; zero before
	size  int64     // of what is sent of the cluster; 0 before
	left  string    // names the sound that is not sent; "" when all tracks are

	wire, recorded time.Duration // to be added to the file's times; see segment.Store.Offsets
	heard          int           // the rank of the farthest acknowledgement; see advance
}

func (s shot) id() fragmentID { return fragmentID{s.key, s.frag.Start} }

// newShot is a fragment of a segment.
func newShot(store Store, key segment.Key, f mkv.Fragment) shot {
	s := shot{key: key, frag: f}
	s.wire, s.recorded = store.Offsets(key, f.Start)
	return s
}

// same tells whether both are the same fragment, and the same part of it.
func (s shot) same(other shot) bool {
	return s.id() == other.id() && s.split == other.split && s.part == other.part
}

// span is its first and its last time since the segment's start.
func (s shot) span() (first, last time.Duration) {
	if s.split != nil {
		return s.split.parts[s.part].Start, s.split.parts[s.part].Last
	}
	return s.frag.Start, s.frag.Last
}

// at is the timecode on the wire: ms since 1970.
func (s shot) at() int64 {
	first, _ := s.span()
	return s.key.Start + (first + s.wire).Milliseconds()
}

// end is the time of its last frame on the wire, in ms since 1970.
func (s shot) end() int64 {
	_, last := s.span()
	return s.key.Start + (last + s.wire).Milliseconds()
}

// began and ended are when it was recorded, as far as is known.
func (s shot) began() time.Time {
	first, _ := s.span()
	return s.key.StartTime().Add(first + s.recorded)
}

func (s shot) ended() time.Time {
	_, last := s.span()
	return s.key.StartTime().Add(last + s.recorded)
}

// in reports whether some of it was recorded in [from, to); a zero time is unbounded.
func (s shot) in(from, to time.Time) bool {
	return (from.IsZero() || !s.ended().Before(from)) && (to.IsZero() || s.began().Before(to))
}

// whole is the fragment that it is of.
func (s shot) whole() shot {
	s.split, s.part = nil, 0
	return s
}

// bytes is the most that is sent of it.
func (s shot) bytes() int64 {
	if s.split != nil {
		return s.split.parts[s.part].Size
	}
	return s.frag.Size
}

// A segment that cannot be opened, or not be moved to uploaded, is passed over for unreadableFor. Where
// the disk or the system fails, which may pass, it is tried again after unreadableFirst, and after twice
// as long with every failure in a row.
const (
	unreadableFirst = time.Second
	unreadableFor   = 10 * time.Minute
	// unreadableWait is up to which pause an upload that is to end waits for such a segment.
	unreadableWait = 16 * time.Second
)

// queue gives a stream's pending fragments, oldest first. It holds one segment open.
type queue struct {
	store  Store
	stream string
	held   func(fragmentID) bool // set aside: to be passed over
	split  func(fragmentID) *split
	again  func(fragmentID, *split) // it is split otherwise from now on
	broken func(error)              // told of a segment that cannot be read
	audio  func() Audio             // which sound is sent

	reader   *segment.Reader // nil between segments
	list     []mkv.Fragment
	finished bool // list is final
	next     int  // in list
	part     int  // of that fragment, when it is split
	chosen   choice

	from, to   time.Time                 // fragments that were not recorded in [from, to) are passed over; zero: unbounded
	without    func(fragmentID) bool     // those that are passed over besides; nil = none
	after      segment.Key               // segments up to this one were given out
	damaged    []segment.Key             // uploaded but for what cannot be read, and not reported yet
	passed     []segment.Key             // given out whole, and not yet moved to uploaded
	unreadable map[segment.Key]time.Time // segments that the disk fails with, and when to try again
	pauses     map[segment.Key]time.Duration
}

func newQueue(o Options, suspects *suspects, broken func(error)) *queue {
	return &queue{
		store: o.Store, stream: o.Stream, held: suspects.aside, split: suspects.parts, again: suspects.splitAgain,
		broken: broken, audio: o.Audio, pauses: make(map[segment.Key]time.Duration),
		after: segment.Before(o.Stream), unreadable: make(map[segment.Key]time.Time),
	}
}

// restart begins again with the oldest of all, and lets go of the open segment.
func (q *queue) restart() {
	q.release()
	q.from, q.to, q.without = time.Time{}, time.Time{}, nil
	q.after = segment.Before(q.stream)
	q.passed = q.passed[:0]
}

func (q *queue) release() {
	if q.reader != nil {
		_ = q.reader.Close() // was only read
	}
	q.reader, q.list, q.finished, q.next, q.part = nil, nil, false, 0, 0
	q.chosen = choice{}
}

// peek gives the fragment that goes next; ok is false when nothing is pending now.
func (q *queue) peek() (s shot, ok bool) {
	for {
		if q.reader == nil && !q.open() {
			return shot{}, false
		}
		for ; q.next < len(q.list); q.next, q.part = q.next+1, 0 {
			s := newShot(q.store, q.reader.Key(), q.list[q.next])
			if !s.in(q.from, q.to) || q.held(s.id()) || q.without != nil && q.without(s.id()) || q.store.Done(s.key, s.frag.Start) {
				continue
			}
			q.choose()
			if q.divide(&s) {
				return s, true
			}
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

// divide makes the next part of a fragment that is split, of what is the whole. It is false when no part is
// left.
func (q *queue) divide(s *shot) (ok bool) {
	p := q.split(s.id())
	if p == nil {
		return true
	}
	if now := p.follow(q, s.frag); now != p {
		q.again(s.id(), now)
		p, q.part = now, 0
	}
	if q.part, ok = p.next(q.part); ok {
		s.split, s.part = p, q.part
	}
	return ok
}

// take moves on behind what peek gave.
func (q *queue) take(s shot) {
	if s.split != nil {
		q.part++
		return
	}
	q.next, q.part = q.next+1, 0
}

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
			q.mended(key)
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
		q.pause(key, err)
		q.broken(err)
	}
}

// pause passes over a segment for a while. What is wrong in a file stays wrong.
func (q *queue) pause(key segment.Key, err error) {
	wait := unreadableFor
	if system := syscall.Errno(0); errors.As(err, &system) {
		if wait = unreadableFirst; q.pauses[key] > 0 {
			wait = min(2*q.pauses[key], unreadableFor)
		}
		q.pauses[key] = wait
	}
	q.unreadable[key] = time.Now().Add(wait)
}

// mended forgets that a segment was passed over.
func (q *queue) mended(key segment.Key) {
	delete(q.unreadable, key)
	delete(q.pauses, key)
}

// retry tells when the first segment that is passed over is to be tried again, of those whose pauses are
// at most that long.
func (q *queue) retry(most time.Duration) (at time.Time, ok bool) {
	for key, t := range q.unreadable {
		if !q.to.IsZero() && !newShot(q.store, key, mkv.Fragment{}).began().Before(q.to) {
			continue
		}
		pause := unreadableFor
		if p, has := q.pauses[key]; has {
			pause = p
		}
		if pause <= most && (!ok || t.Before(at)) {
			at, ok = t, true
		}
	}
	return at, ok
}

// find gives the oldest segment that was not given out.
func (q *queue) find() (segment.Key, bool) {
	for after := q.after; ; {
		key, ok := q.store.NextPending(after, q.from, q.to)
		if !ok {
			return segment.Key{}, false
		}
		if !q.isUnreadable(key) {
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
		if found, ok := q.store.NextPending(before, time.Time{}, time.Time{}); !ok || found != key {
			q.mended(key)
		}
	}
	return len(q.unreadable) == 0
}

// overdue tells whether a segment that was passed over is to be tried again now.
func (q *queue) overdue() bool {
	at, ok := q.retry(unreadableFor)
	return ok && !time.Now().Before(at)
}

// covers tells whether a fragment is one of those that are given out.
func (q *queue) covers(s shot) bool { return s.in(q.from, q.to) }

// pends tells whether a fragment is there and not done.
func (q *queue) pends(id fragmentID) bool {
	before := id.segment
	before.Start--
	found, ok := q.store.NextPending(before, time.Time{}, time.Time{})
	return ok && found == id.segment && !q.store.Done(id.segment, id.fragment)
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
		if errors.Is(err, segment.ErrDamaged) {
			q.damaged = append(q.damaged, key)
			continue
		}
		if err != nil && !errors.Is(err, segment.ErrIncomplete) && !errors.Is(err, segment.ErrNotFound) {
			all = errors.Join(all, err)
			q.pause(key, err)
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
