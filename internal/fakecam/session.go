package fakecam

import (
	"sync"
	"time"
)

// Session is what one reader received, from its PLAY to its end.
type Session struct {
	First, Last  uint64    // counters of the first (a keyframe) and last frame; undefined when Frames is 0
	Frames       int       // frames completely written to the socket
	Queued       int       // frames not written to it yet
	Cut          bool      // it ended in the middle of a frame, after a part was written
	Skipped      int       // frames left out, without a counter, because the reader did not keep up
	Began, Ended time.Time // Ended is zero while the session lives
}

// session counts the frames of a reader. A frame counts once its last packet is in the socket:
// frames still queued when a session ends were never sent.
type session struct {
	first uint64
	began time.Time

	mu      sync.Mutex
	queued  uint64   // packets queued
	pending []uint64 // value of queued at the end of each frame that is not yet known to be written
	settled uint64   // packets known to be written
	whole   uint64   // of these, those of complete frames
	cut     bool
	frames  int
	skipped int
	ended   time.Time
	written func() uint64 // packets written to the socket
}

// fits reports whether n more packets leave at most limit packets queued but not written.
func (s *session) fits(n, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queued-s.settled+uint64(n) > uint64(limit) || len(s.pending) >= 64 {
		s.settle()
	}
	return s.queued-s.settled+uint64(n) <= uint64(limit)
}

// frame counts one frame; queued is the number of packets of the session queued with it.
func (s *session) frame(queued uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queued = queued
	s.pending = append(s.pending, s.queued)
}

// skip counts one frame that was not queued.
func (s *session) skip() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skipped++
}

// end fixes the numbers: no more packets are written.
func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	final := s.settled
	s.written = func() uint64 { return final } // releases the server's session
	s.cut = len(s.pending) > 0 && s.settled > s.whole
	s.pending = nil
	s.ended = time.Now()
}

func (s *session) report() Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	return Session{
		First: s.first, Last: s.first + uint64(max(s.frames, 1)-1),
		Frames: s.frames, Queued: len(s.pending), Cut: s.cut, Skipped: s.skipped,
		Began: s.began, Ended: s.ended,
	}
}

// settle counts the frames written since its last call. Reading the number
// of written packets is not free, so it is not done for each frame.
func (s *session) settle() {
	s.settled = s.written()
	n := 0
	for n < len(s.pending) && s.pending[n] <= s.settled {
		n++
	}
	if n > 0 {
		s.frames, s.whole = s.frames+n, s.pending[n-1]
	}
	s.pending = append(s.pending[:0], s.pending[n:]...)
}
