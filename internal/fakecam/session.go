package fakecam

import (
	"sync"
	"time"
)

// Session is what one reader got, from its PLAY to its end.
type Session struct {
	First, Last  uint64    // counters of the first (a keyframe) and last frame; without meaning when Frames is 0
	Frames       int       // frames written to the socket, whole
	Queued       int       // frames that are still to be written to it
	Cut          bool      // it ended within a frame, of which a part was written
	Skipped      int       // frames left out, without a counter, because the reader did not keep up
	Began, Ended time.Time // Ended is zero while the session lives
}

// session counts the frames of a reader. A frame counts once its last packet is in the socket:
// what is still queued when a session ends was never handed over.
type session struct {
	first uint64
	began time.Time

	mu      sync.Mutex
	queued  uint64   // packets queued
	pending []uint64 // value of queued at the end of each frame that is not yet known to be written
	settled uint64   // packets known to be written
	whole   uint64   // of these, those of whole frames
	cut     bool
	frames  int
	skipped int
	ended   time.Time
	written func() uint64 // packets written to the socket
}

// fits says whether n more packets leave at most limit packets queued but not written.
func (s *session) fits(n, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queued-s.settled+uint64(n) > uint64(limit) || len(s.pending) >= 64 {
		s.settle()
	}
	return s.queued-s.settled+uint64(n) <= uint64(limit)
}

// frame counts one frame; queued is how many packets of the session are queued with it.
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

// end fixes the numbers: nothing is written any more.
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

// settle counts the frames that were written since it was last called. Asking for the number
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
