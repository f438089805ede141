package queue

import (
	"errors"
	"maps"
	"syscall"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// A segment that cannot be opened, or cannot be moved to uploaded, is passed over for UnreadableFor. Where
// the disk or the system fails, which may be transient, it is tried again after unreadableFirst, and after twice
// as long with every failure in a row.
const (
	unreadableFirst = time.Second
	// UnreadableFor is the longest pause of a segment that cannot be read.
	UnreadableFor = 10 * time.Minute
	// UnreadableWait is the longest pause for which an upload that ends when nothing is pending waits for such a segment.
	UnreadableWait = 16 * time.Second
)

// passedOver are the segments that could not be read or moved.
type passedOver struct {
	now      func() time.Time
	until    map[segment.Key]time.Time     // when to try again
	pause    map[segment.Key]time.Duration // the one that ends then
	reading  map[segment.Key]time.Duration // the last one of failures to read in a row, where pauses grow
	moving   map[segment.Key]time.Duration // of failures to move in a row; between them the segment can be read
	notNoted map[segment.Key]bool          // of those in until: it was not known which fragments are uploaded
}

func newPassedOver(now func() time.Time) passedOver {
	return passedOver{
		now: now, until: make(map[segment.Key]time.Time), pause: make(map[segment.Key]time.Duration),
		reading: make(map[segment.Key]time.Duration), moving: make(map[segment.Key]time.Duration), notNoted: make(map[segment.Key]bool),
	}
}

// unreadable passes over a segment that cannot be read for a while.
func (p *passedOver) unreadable(key segment.Key, err error) {
	p.add(p.reading, key, err)
	if errors.Is(err, errNotNoted) {
		p.notNoted[key] = true
	}
}

// immovable passes over a segment that cannot be moved for a while.
func (p *passedOver) immovable(key segment.Key, err error) { p.add(p.moving, key, err) }

// add passes over a segment for a while. A fault in the file itself does not go away, so its pause does not grow.
func (p *passedOver) add(grown map[segment.Key]time.Duration, key segment.Key, err error) {
	wait := UnreadableFor
	if system := syscall.Errno(0); errors.As(err, &system) {
		if wait = unreadableFirst; grown[key] > 0 {
			wait = min(2*grown[key], UnreadableFor)
		}
		grown[key] = wait
	}
	p.until[key], p.pause[key] = p.now().Add(wait), wait
	delete(p.notNoted, key)
}

// read notes that a segment could be read: it is not passed over, but where it could not be moved its pauses continue to grow.
func (p *passedOver) read(key segment.Key) {
	delete(p.until, key)
	delete(p.pause, key)
	delete(p.reading, key)
	delete(p.notNoted, key)
}

// remove forgets that a segment was passed over.
func (p *passedOver) remove(key segment.Key) {
	p.read(key)
	delete(p.moving, key)
}

// prune forgets the segments that no longer wait.
func (p *passedOver) prune(waits func(segment.Key) bool) {
	for key := range p.until {
		if !waits(key) {
			p.remove(key)
		}
	}
	maps.DeleteFunc(p.moving, func(key segment.Key, _ time.Duration) bool { return !waits(key) })
}

// has reports whether a segment is passed over now.
func (p *passedOver) has(key segment.Key) bool { return p.now().Before(p.until[key]) }

// next returns when the first of them is to be tried again, of those that want accepts and whose pauses are at
// most that long.
func (p *passedOver) next(most time.Duration, want func(segment.Key) bool) (at time.Time, ok bool) {
	for key, t := range p.until {
		if p.pause[key] <= most && (!ok || t.Before(at)) && want(key) {
			at, ok = t, true
		}
	}
	return at, ok
}
