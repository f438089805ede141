package timeline

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

// UnsyncedClock remembers what was recorded before the hub's clock was set. The zero value is ready for use.
type UnsyncedClock struct {
	from, until time.Time // producer times of the first and the last frame; zero: there is none
	arrival     time.Time // of the last frame
}

// Correction is what must be added to the producer times of what was recorded by a wrong clock.
type Correction struct {
	From, Until time.Time // of the first and the last frame; Until may be zero: up to the end of the epoch
	Add         time.Duration
}

// Recorded takes the newest producer time, which was recorded now. known reports that it is the first since the clock was
// set, so that the media before it can be placed in time: the monotonic clock went on all the while.
func (u *UnsyncedClock) Recorded(newest, now time.Time) (c Correction, known bool) {
	if hubclock.Unset(now) {
		if u.from.IsZero() {
			u.from = newest
		}
		u.until, u.arrival = newest, now
		return Correction{}, false
	}
	if u.from.IsZero() {
		return Correction{}, false
	}
	add := now.Round(0).Add(-now.Sub(u.arrival)).Sub(u.until)
	c = Correction{From: u.from, Until: u.until, Add: add}
	*u = UnsyncedClock{}
	return c, true
}
