package timeline

import "time"

const (
	// gentleSlew is how fast small deviations are corrected, as a share of the media's own pace: distances of
	// frames stay the camera's. leastSlew is the least that is corrected: networks jitter.
	gentleSlew = 0.002
	leastSlew  = 10 * time.Millisecond
	// quickSlew corrects those of more than quickFrom, and mostSlew bounds it for a frame.
	quickSlew = 0.02
	quickFrom = 100 * time.Millisecond
	mostSlew  = time.Millisecond
)

// slewing corrects how far times run ahead of where they are to be, a little with each access unit. Only the
// timeliest of an interval counts.
type slewing struct {
	intervalEnd time.Duration // by arrival
	lead        time.Duration // greatest lead of times in the interval, with correction taken for done
	measured    bool          // lead is valid
	correction  time.Duration // still to be slewed
}

// watch takes the lead of an access unit that was not held up.
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

// next is what the times of an access unit are moved by that comes so long after the one before. ordinary says that
// distances are the camera's, and must stay so to 1 ms.
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
