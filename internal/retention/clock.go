package retention

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

const (
	// clockStep is a difference between wall and monotonic clock that is a step, and not drift.
	clockStep = time.Hour
	// trustAfter is how long a clock must be plausible, after a doubt, to be believed.
	trustAfter = time.Hour
	// maxOff is how far the newest media may lie behind a clock that is believed at once: hubs are
	// off for a night or a weekend.
	maxOff = 72 * time.Hour
	// maxAway is how far it may lie behind a clock that nobody synchronises: hubs are off for a
	// holiday, but not for years.
	maxAway = 60 * 24 * time.Hour
)

// unsetUntil is a time that no clock shows once it was set: media from before has no known age.
var unsetUntil = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// Synchronised reports whether the kernel's clock is being synchronised. Source: adjtimex(2).
func Synchronised() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}

// plausibility tells whether the wall clock can be trusted with deletions by age: a clock that
// jumped forward by years would make all media old at once.
type plausibility struct {
	began     bool
	wall      time.Time     // of the pass before
	uptime    time.Duration // of the pass before
	newest    time.Time     // media of before the doubt: what came since cannot vouch for the clock
	doubt     bool
	plausible time.Duration // uptime since which the clock has been plausible, within a doubt
}

// check takes the wall clock, the monotonic time of a pass, the newest media, and whether the
// clock is being synchronised.
func (p *plausibility) check(wall time.Time, uptime time.Duration, newest time.Time, synchronised bool) bool {
	wall = wall.Round(0) // the wall's readings, not the monotonic ones
	step := wall.Sub(p.wall) - (uptime - p.uptime)
	if !p.began || step.Abs() >= clockStep {
		if !p.doubt {
			p.newest = newest
		}
		// A step that leads back to the media's time ends a doubt at once.
		p.doubt, p.plausible = !p.newest.IsZero() && wall.Sub(p.newest) >= maxOff, uptime
	}
	p.began, p.wall, p.uptime = true, wall, uptime
	if !p.doubt {
		return true
	}
	if !synchronised && wall.Sub(p.newest) >= maxAway {
		p.plausible = uptime
	}
	if uptime-p.plausible >= trustAfter {
		p.doubt = false
	}
	return !p.doubt
}

func (k *Keeper) reportClock(plausible bool) {
	part := k.o.Health.Part("", health.JobRetention)
	if plausible {
		part.Clear(codeClock)
		return
	}
	if part.Raise(health.Info, health.SystemFault(codeClock, nil,
		"The clock is far ahead of the newest recording, so nothing is deleted by age until it has been right for an hour: check the hub's time and its synchronisation.")) {
		k.o.Log.Warn("the clock is far ahead of the newest recording: no deletions by age until it has been right for an hour")
	}
}
