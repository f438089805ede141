package segment

import (
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// Limit is how much a stream's segments may take of the disk. The segment that is being written is
// counted with what it will have once it is finished, so that the limit holds at any moment.
type Limit struct {
	// Bytes is the most. 0: no limit.
	Bytes int64
	// Ahead is what should be free of it for the segment that is being written.
	Ahead int64
	// Deny begins no segment while less than Ahead is free.
	Deny bool
	// Low is called while less than Ahead is free, from the goroutine that writes: it must not wait,
	// nor call the store.
	Low func()
	// Full says why a frame is not written for which there is no room. Required with Bytes.
	Full *health.Fault
}

// bound is a stream's limit, and whether it is in force.
type bound struct {
	Limit
	// armed is unset while a limit that was lowered waits for a deletion. A frame that exceeds it is then
	// written, or a change of the limit would cost media.
	armed bool
	shut  bool // a frame was not written: no segment begins before Ahead is free again
}

// limitSteps is how often Low is called while Ahead is used up.
const limitSteps = 8

// maxSlack is what is left for sound and the end of a file where a frame of video has no room.
const maxSlack = 64 << 10

// slack is part of Ahead.
func (b *bound) slack() int64 { return min(maxSlack, b.Ahead/limitSteps) }

// SetLimit limits a stream. A limit that is lowered below what there is holds once enough is deleted.
func (s *Store) SetLimit(stream string, l Limit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stream(stream)
	before := st.bound
	st.bound = bound{Limit: l, shut: before.shut}
	switch free := st.room() - st.taken(); {
	case before.Bytes == 0:
		st.bound.armed = free >= 0
	default:
		st.bound.armed = free >= l.Ahead || before.armed && l.Bytes >= before.Bytes
	}
	st.recheck()
}

// Counted is how much of so many bytes that were set aside counts for a limit: at most three quarters of it, so that
// recording goes on beside a file that is larger than the limit.
func (l Limit) Counted(aside int64) int64 { return min(aside, l.Bytes/4*3) }

// sideFiles is the part of a limit that is left for the notes of what is uploaded: one in so many.
const sideFiles = 1000

// room is what is left of the limit for segments. Call with mu held.
func (st *stream) room() int64 {
	return st.bound.Bytes - st.bound.Bytes/sideFiles - st.bound.Counted(st.aside)
}

// taken is what a stream's segments take of the disk, or will when the one being written is
// finished. Call with mu held.
func (st *stream) taken() int64 { return st.catalog.Bytes + st.growing() + st.freeing }

// growing is what the index does not count yet of the segment that is being written. Call with mu held.
func (st *stream) growing() (bytes int64) {
	for k, a := range st.active {
		if i, ok := st.catalog.Find(k); ok && a.writer != nil {
			bytes += max(0, a.writer.final.Load()-st.catalog.Entries[i].Bytes)
		}
	}
	return bytes
}

// recheck has the writers ask for room again. Call with mu held.
func (st *stream) recheck() {
	for _, a := range st.active {
		if a.writer != nil {
			a.writer.allowed.Store(0)
		}
	}
}

// full is the error of a stream that has no room.
func (b *bound) full() error { return fmt.Errorf("%w: %w", ErrPaused, b.Full) }

// admit fails when there is no room for another segment. Call with mu held.
func (st *stream) admit() error {
	b := &st.bound
	if b.Bytes == 0 {
		return nil
	}
	free := st.room() - st.taken()
	if free >= b.Ahead {
		b.armed, b.shut = true, false
		return nil
	}
	b.low()
	if b.shut || b.Deny || b.armed && free < 2*b.slack() {
		return b.full()
	}
	return nil
}

func (b *bound) low() {
	if b.Low != nil {
		b.Low()
	}
}

// claim makes sure that the writer's file may have that many bytes once it is finished. All but the
// slack is for video.
func (w *Writer) claim(final int64, video bool) error {
	if final <= w.allowed.Load() {
		return nil
	}
	s, st := w.store, w.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &st.bound
	i, ok := st.catalog.Find(w.key.id())
	if b.Bytes == 0 || !ok {
		w.allowed.Store(1 << 62)
		return nil
	}
	most := st.room() - (st.catalog.Bytes - st.catalog.Entries[i].Bytes) - st.freeing // of this file
	slack := int64(0)
	if video {
		slack = b.slack()
	}
	switch free := most - final; {
	case free >= b.Ahead:
		b.armed = true
		w.allowed.Store(most - b.Ahead)
		return nil
	case b.armed && free < slack:
		b.shut = true
		b.low()
		return b.full()
	case b.armed:
		w.allowed.Store(min(most-b.slack(), final+b.Ahead/limitSteps))
	default:
		w.allowed.Store(final + b.Ahead/limitSteps)
	}
	b.low()
	return nil
}

// Pause makes Create refuse the stream with why, until Resume.
func (s *Store) Pause(stream string, why *health.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stream(stream).paused = why
}

// Resume ends a pause.
func (s *Store) Resume(stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stream(stream).paused = nil
}
