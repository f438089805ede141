package timeline

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

// UnsyncedClock tracks media recorded before the hub's clock was set. The zero value is ready for use.
type UnsyncedClock struct {
	from, until time.Time // producer timestamps of the first and the last frame; zero: there is none
	arrival     time.Time // of the last frame
}

// Correction is what must be added to the producer timestamps of media recorded with a wrong clock.
type Correction struct {
	From, Until time.Time // producer timestamps of the first and the last frame; Until may be zero: to the end of the epoch
	Add         time.Duration
}

// Recorded notes the newest producer timestamp, of a frame recorded now. known reports that it is the first since the clock was
// set, which determines the correction of the media before it: the monotonic clock ran all the time.
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
