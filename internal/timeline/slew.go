package timeline

import "time"

const (
	// gentleSlew is how fast small deviations are corrected, as a share of the media's own pace: distances of
	// frames stay the camera's. leastSlew is the least deviation that is corrected: networks jitter.
	gentleSlew = 0.002
	leastSlew  = 10 * time.Millisecond
	// quickSlew corrects deviations of more than quickFrom, and mostSlew bounds the correction of a frame.
	quickSlew = 0.02
	quickFrom = 100 * time.Millisecond
	mostSlew  = time.Millisecond
)

// slewing corrects how far times are ahead of their target, a little with each access unit. Only the
// timeliest of an interval counts.
type slewing struct {
	intervalEnd time.Duration // by arrival
	lead        time.Duration // greatest lead of times in the interval, minus the pending correction
	measured    bool          // lead is valid
	correction  time.Duration // still to be slewed
}

// watch notes the lead of an access unit that was not delayed.
func (s *slewing) watch(arrival, lead time.Duration) {
	if lead += s.correction; !s.measured || lead > s.lead {
		s.lead, s.measured = lead, true
	}
	if arrival < s.intervalEnd {
		return
	}
	if s.lead.Abs() > leastSlew {
		s.correction -= s.lead
	}
	s.intervalEnd, s.measured = arrival+paceInterval, false
}

// next returns the correction for an access unit at a distance from the previous one. ordinary: distances
// are the camera's, and must stay so to 1 ms.
func (s *slewing) next(distance time.Duration, ordinary bool) time.Duration {
	if s.correction == 0 || distance <= 0 {
		return 0
	}
	most := time.Duration(float64(distance) * gentleSlew)
	if s.correction.Abs() > quickFrom {
		most = time.Duration(float64(distance) * quickSlew)
	}
	if ordinary {
		most = min(most, mostSlew)
	}
	by := min(max(s.correction, -most), most)
	s.correction -= by
	return by
}
