package uploader

import "time"

const (
	maxStalls = 4
	// passesPerStall is how many fragments must get through before the timeout halves again.
	passesPerStall = 16
)

// stallTimeout is how long nothing may move in a session.
type stallTimeout struct {
	base      time.Duration
	stalls    int // how often base is doubled
	successes int // fragments since stalls changed
}

// lasts is how long it lasts. With a fragment that fails while others pass it does not grow: it is the
// fragment that stalls, and others wait behind it.
func (s *stallTimeout) lasts(failsAlone bool) time.Duration {
	if failsAlone {
		return s.base
	}
	return s.base << s.stalls
}

// stalled notes that nothing moved for so long.
func (s *stallTimeout) stalled() { s.stalls, s.successes = min(s.stalls+1, maxStalls), 0 }

// passed notes that a fragment got through.
func (s *stallTimeout) passed() {
	if s.successes++; s.successes >= passesPerStall {
		s.stalls, s.successes = max(s.stalls-1, 0), 0
	}
}
