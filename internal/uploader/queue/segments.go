package queue

import (
	"errors"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Settle moves to uploaded the segments of which every fragment is done and none is inFlight; damaged are those
// that were uploaded except for fragments that cannot be read. When the disk fails, the move is not tried again with every
// acknowledgement: a failing disk may be slow.
func (q *Queue) Settle(inFlight func(segment.Key) bool) (damaged []segment.Key, err error) {
	left := q.finished[:0]
	for _, key := range q.finished {
		if inFlight(key) {
			left = append(left, key)
			continue
		}
		isDamaged, e := q.move(key)
		if isDamaged {
			damaged = append(damaged, key)
		}
		if e != nil {
			err = errors.Join(err, e)
			q.passedOver.immovable(key, e)
			continue
		}
		q.passedOver.remove(key)
	}
	q.finished = left
	return damaged, err
}

// move moves a segment to uploaded, unless it is not complete or no longer there. Its error is one of the disk; damaged is as of Settle.
func (q *Queue) move(key segment.Key) (damaged bool, err error) {
	switch err := q.o.Store.MarkUploaded(key); {
	case errors.Is(err, segment.ErrDamaged):
		return true, nil
	case errors.Is(err, segment.ErrIncomplete), errors.Is(err, segment.ErrNotFound):
		return false, nil
	default:
		return false, err
	}
}

// PassedOver reports whether a segment is passed over now, as it cannot be read. One of which it was not known what is uploaded is so
// until that is known.
func (q *Queue) PassedOver(key segment.Key) bool {
	return q.passedOver.has(key) && (!q.passedOver.notNoted[key] || q.o.Store.NotesUnread(key))
}

// NextRetry returns when the first segment that is passed over is to be tried again, of those whose pauses are
// at most that long. Those that the queue would not find then, as they are outside its range or no longer wait, are none: who waits for
// one of them would do so for ever.
func (q *Queue) NextRetry(most time.Duration) (at time.Time, ok bool) {
	return q.passedOver.next(most, func(key segment.Key) bool { return q.waits(key, q.wanted.from, q.wanted.to) })
}

// Overdue reports whether a segment that was passed over is to be tried again now.
func (q *Queue) Overdue() bool {
	at, ok := q.NextRetry(UnreadableFor)
	return ok && !q.o.Now().Before(at)
}

// Retry tries again to read, and to move, the segments that are passed over and due, where nothing else does, as nothing is to be
// uploaded. damaged are as of Settle. It ends early when stop reports true.
func (q *Queue) Retry(stop func() bool) (damaged []segment.Key) {
	for key := range q.passedOver.until {
		if stop() {
			break
		}
		if q.PassedOver(key) || !q.pending(key) {
			continue
		}
		if err := q.readable(key); err != nil && !errors.Is(err, segment.ErrNotFound) {
			q.passedOver.unreadable(key, err)
			continue
		}
		q.passedOver.read(key)
		isDamaged, err := q.move(key)
		if err != nil {
			q.passedOver.immovable(key, err)
			continue
		}
		if isDamaged {
			damaged = append(damaged, key)
		}
		q.passedOver.remove(key)
	}
	return damaged
}

// readable returns why a segment cannot be sent.
func (q *Queue) readable(key segment.Key) error {
	if q.o.Store.NotesUnread(key) {
		return errNotNoted
	}
	_, err := ListFragments(q.o.Store, key)
	return err
}

// ListFragments returns the fragments of a segment.
func ListFragments(s interface {
	OpenSegment(k segment.Key) (*segment.Reader, error)
}, k segment.Key) ([]mkv.Fragment, error) {
	reader, err := s.OpenSegment(k)
	if err != nil {
		return nil, err
	}
	defer func() { _ = reader.Close() }() // was only read
	list, _, err := reader.Fragments()
	return list, err
}

// Readable reports whether no segment that waits for its upload is passed over. It forgets segments that
// no longer wait.
func (q *Queue) Readable() bool {
	q.passedOver.prune(q.pending)
	return len(q.passedOver.until) == 0
}

// Pends reports whether a fragment exists and is not done.
func (q *Queue) Pends(id ID) bool {
	return q.pending(id.Segment) && !q.o.Store.Done(id.Segment, id.Fragment)
}

// pending reports whether a segment waits for its upload.
func (q *Queue) pending(key segment.Key) bool { return q.waits(key, time.Time{}, time.Time{}) }

// waits reports whether a segment waits for its upload and has media of a time range; a zero time is unbounded.
func (q *Queue) waits(key segment.Key, from, to time.Time) bool {
	before := key
	before.Start--
	found, ok := q.o.Store.NextPending(before, from, to)
	return ok && found == key
}
