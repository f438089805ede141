package timeline

import "time"

const (
	// stallFrom is the least delay of one access unit that is a stall of the network. What was held up comes
	// soon after it, and times may lag as far as that until then.
	stallFrom = 250 * time.Millisecond
	// stallGrace is how long after a stall the first of it must come.
	stallGrace = 3 * time.Second
	// longestStall is the longest that times lag for: that of a hub that was frozen. Audio may pause, and lags for no
	// longer than a session lasts without video.
	longestStall      = 10 * time.Minute
	longestAudioStall = sessionStall
)

// networkStall lets times lag for a stall of the network. Durations count from the anchor.
type networkStall struct {
	credit   time.Duration // how far times may lag for a stall; 0: there is none
	creditAt time.Duration // arrival when it was granted or has shrunk
	distance time.Duration // of arrivals, as it mostly is
	seen     time.Duration // arrival of the access unit before, believed or not
}

// arrived takes an access unit. A stall is one that comes much later than its distance to the one before says, and
// not as late as they always do. lag is how far its time lies behind its arrival, and longest the longest stall.
func (s *networkStall) arrived(arrival, scaled, lag, longest time.Duration) {
	passed := arrival - s.seen
	s.seen = arrival
	// Of the second frame only a camera of many frames is known to be late, and only by far.
	known := s.distance > 0 || passed >= openMost && scaled <= stallFrom
	stalled := passed-max(scaled, 0) >= stallFrom && known && passed >= 2*s.distance && lag <= longest
	if s.distance == 0 {
		s.distance = passed
	}
	s.distance += (passed - s.distance) / 16
	if stalled {
		s.credit, s.creditAt = lag, arrival
	}
}

// expire takes the credit back as what was held up has come, or does not come.
func (s *networkStall) expire(arrival, lag time.Duration) {
	if s.credit == 0 {
		return
	}
	if lag < s.credit-stallFrom/4 { // what was held up comes
		s.credit, s.creditAt = lag, arrival
	}
	if arrival-s.creditAt > stallGrace || s.credit <= 2*leastSlew {
		s.credit = 0
	}
}
