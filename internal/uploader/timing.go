package uploader

import "time"

// lingerTime is how long the uploader waits for the service to end a session when no fragment
// depends on it.
const lingerTime = 2 * time.Second

// timing has the times that a session's deadlines are measured from.
type timing struct {
	makeWay      time.Time // when the fragment that is being written has to make way; zero = never
	limit        time.Time // when to stop waiting, at the end or after an ERROR; zero = after a stall timeout
	lastProgress time.Time // when a byte or an acknowledgement moved last
	lastWrite    time.Time // when a fragment was written last
	written      int64     // bytes sent at lastProgress
}

// linger bounds the wait for the service to end the session.
func (t *timing) linger() {
	if limit := time.Now().Add(lingerTime); t.limit.IsZero() || limit.Before(t.limit) {
		t.limit = limit
	}
}

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

// lasts returns the current timeout. With a fragment that fails while others pass it does not grow: it is the
// fragment that stalls, and others wait behind it.
func (s *stallTimeout) lasts(failsAlone bool) time.Duration {
	if failsAlone {
		return s.base
	}
	return s.base << s.stalls
}

// stalled records that nothing moved for that long.
func (s *stallTimeout) stalled() { s.stalls, s.successes = min(s.stalls+1, maxStalls), 0 }

// passed records that a fragment got through.
func (s *stallTimeout) passed() {
	if s.successes++; s.successes >= passesPerStall {
		s.stalls, s.successes = max(s.stalls-1, 0), 0
	}
}
