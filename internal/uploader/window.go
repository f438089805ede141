package uploader

import (
	"math"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/pace"
)

const (
	// windowMedia is how much media may be in flight: so much comes twice when the agent is killed.
	windowMedia = 5 * time.Second
	// windowLeast fragments may always be: a service may acknowledge one only when the next begins.
	windowLeast = 2
)

// window says how much may be in flight. More than windowMedia only helps where acknowledgements
// take so long that the pace would suffer; how long they take at best is measured, as anything
// beyond that is our own queue.
type window struct{ lag time.Duration } // the shortest from written to acknowledged; 0 = not known

// acknowledged measures.
func (w *window) acknowledged(s shot, now time.Time) {
	if s.sent.IsZero() {
		return // while its last bytes were still being written
	}
	if lag := max(now.Sub(s.sent), time.Microsecond); w.lag == 0 || lag < w.lag {
		w.lag = lag
	}
}

// admits tells whether next may join what is in flight.
func (w *window) admits(flight []shot, next shot) bool {
	if len(flight) < max(windowLeast, int(math.Ceil(w.lag.Seconds()*pace.FragmentsPerSecond))) {
		return true
	}
	media := next.end() - next.at()
	for i, s := range flight {
		after := next
		if i+1 < len(flight) {
			after = flight[i+1]
		}
		// Where nothing was recorded between two fragments, nothing is in flight either.
		media += min(after.at()-s.at(), s.end()-s.at()+time.Second.Milliseconds())
	}
	return media <= windowMedia.Milliseconds()
}

// admits tells whether next may join what is in flight.
func (e *session) admits(next shot) bool {
	o, n := &e.u.o, len(e.flight)
	switch {
	case n == 0:
		return true
	case n >= o.MaxInFlight, n >= windowLeast && e.bytes+next.bytes() > o.MaxInFlightBytes:
		return false
	}
	return e.u.window.admits(e.flight, next)
}

// endsFragments tells whether fragments are sent with the tag that ends them: where the next may
// be long in coming, or waits for the acknowledgement of the one before.
func (e *session) endsFragments() bool { return !e.mode.drain || e.u.o.MaxInFlight < windowLeast }
