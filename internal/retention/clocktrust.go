package retention

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

const (
	// trustAfter is how long a clock must be plausible, after a doubt, to be believed.
	trustAfter = time.Hour
	// maxOff is how far the newest media may lie behind a clock that is believed at once: hubs are
	// off for a night or a weekend.
	maxOff = 72 * time.Hour
	// maxAway is how far it may lie behind a clock that nobody synchronises: hubs are off for a
	// holiday, but not for years.
	maxAway = 60 * 24 * time.Hour
)

// clockTrust decides whether the wall clock can be trusted with deletions by age: a clock that
// jumped forward by years would make all media old at once.
type clockTrust struct {
	began          bool
	wall           time.Time     // of the pass before
	uptime         time.Duration // of the pass before
	before         time.Time     // newest media as of the pass before
	newest         time.Time     // media of before the doubt: what came since cannot vouch for the clock
	suspect        bool
	plausibleSince time.Duration // uptime since which the clock has been plausible, while it is suspect
}

// check takes the wall clock, the monotonic time of a pass, the newest media as it was before they
// were read, and whether the clock is being synchronised.
func (p *clockTrust) check(wall time.Time, uptime time.Duration, newest time.Time, synchronised bool) bool {
	wall = wall.Round(0) // the wall's readings, not the monotonic ones
	step := wall.Sub(p.wall) - (uptime - p.uptime)
	if !p.began {
		p.before = newest
	}
	if !p.began || step.Abs() >= hubclock.DoubtStep {
		if !p.suspect { // the newest now may be of after the step
			p.newest = p.before
		}
		// A step that leads back to the media's time ends a doubt at once.
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
