package timeline

import "time"

const (
	// stallFrom is the least delay of one access unit that is a stall of the network. The delayed ones arrive
	// soon after it, and until then times may lag by that much.
	stallFrom = 250 * time.Millisecond
	// stallGrace is how long after a stall the first delayed access unit must arrive.
	stallGrace = 3 * time.Second
	// longestStall is the longest stall for which times lag: that of a hub that was frozen. Audio may pause, and lags for no
	// longer than a session may be without video.
	longestStall      = 10 * time.Minute
	longestAudioStall = sessionStall
)

// networkStall lets times lag during a stall of the network. Durations count from the anchor.
type networkStall struct {
	credit   time.Duration // how far times may lag because of a stall; 0: there is none
	creditAt time.Duration // arrival at which it was granted or reduced
	distance time.Duration // the typical distance of arrivals
	seen     time.Duration // arrival of the previous access unit, plausible or not
}

// arrived handles an access unit. A stall is one that arrives much later than its distance to the previous one says, and
// not as late as access units always do. lag is how far its time is behind its arrival, and longest the longest stall.
func (s *networkStall) arrived(arrival, scaled, lag, longest time.Duration) {
	passed := arrival - s.seen
	s.seen = arrival
	// The second frame is known to be late only for a camera of many frames, and only if it is very late.
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

// expire ends the credit when the delayed access units have arrived, or do not arrive.
func (s *networkStall) expire(arrival, lag time.Duration) {
	if s.credit == 0 {
		return
	}
	if lag < s.credit-stallFrom/4 { // the delayed ones arrive
		s.credit, s.creditAt = lag, arrival
	}
	if arrival-s.creditAt > stallGrace || s.credit <= 2*leastSlew {
		s.credit = 0
	}
}
