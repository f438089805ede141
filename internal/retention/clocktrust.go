package retention

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

const (
	// trustAfter is how long a suspect clock must be plausible to be trusted again.
	trustAfter = time.Hour
	// maxOff is how far the newest media may be behind a clock that is trusted at once: hubs are off for a night or a
	// weekend.
	maxOff = 72 * time.Hour
	// maxAway is how far it may be behind a clock that is not synchronised: hubs are off for a holiday, but not for years.
	maxAway = 60 * 24 * time.Hour
)

// clockTrust decides whether the wall clock can be trusted with deletions by age: a clock that
// jumped forward by years would make all media old at once.
type clockTrust struct {
	began          bool
	wall           time.Time     // of the previous pass
	uptime         time.Duration // of the previous pass
	before         time.Time     // newest media as of the previous pass
	newest         time.Time     // media from before the clock became suspect: later media cannot confirm the clock
	suspect        bool
	plausibleSince time.Duration // uptime since which the clock has been plausible, while it is suspect
}

// check is called with the wall clock, the monotonic time of a pass, the newest media as it was before they were read, and
// whether the clock is being synchronised. It returns whether the clock is trusted.
func (p *clockTrust) check(wall time.Time, uptime time.Duration, newest time.Time, synchronised bool) bool {
	wall = wall.Round(0) // the wall's readings, not the monotonic ones
	step := wall.Sub(p.wall) - (uptime - p.uptime)
	if !p.began {
		p.before = newest
	}
	if !p.began || step.Abs() >= hubclock.DoubtStep {
		if !p.suspect { // the newest media may already be from after the step
			p.newest = p.before
		}
		// A step back to the media's time makes the clock trusted at once.
		p.suspect, p.plausibleSince = !p.newest.IsZero() && wall.Sub(p.newest) >= maxOff, uptime
	}
	p.began, p.wall, p.uptime, p.before = true, wall, uptime, newest
	if !p.suspect {
		return true
	}
	if !synchronised && wall.Sub(p.newest) >= maxAway {
		p.plausibleSince = uptime
	}
	if uptime-p.plausibleSince >= trustAfter {
		p.suspect = false
	}
	return !p.suspect
}
