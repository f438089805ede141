package retention

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

const (
	// clockStep is a difference between wall and monotonic clock that is a step, and not drift.
	clockStep = time.Hour
	// trustAfter is how long a clock must run without a step, after one, to be believed.
	trustAfter = time.Hour
	// maxOff is how far the newest media may lie behind a clock that is believed at once: hubs are
	// off for a night or a weekend.
	maxOff = 72 * time.Hour
)

// plausibility tells whether the wall clock can be trusted with deletions by age: a clock that
// jumped forward by years would make all media old at once.
type plausibility struct {
	began      bool
	wall       time.Time     // of the pass before
	uptime     time.Duration // of the pass before
	doubt      bool
	doubtSince time.Duration // uptime
}

// check takes the wall clock and the monotonic time of a pass, and the newest media.
func (p *plausibility) check(wall time.Time, uptime time.Duration, newest time.Time) bool {
	step := wall.Round(0).Sub(p.wall) - (uptime - p.uptime) // Round: the wall's readings, not the monotonic ones
	if !p.began || step.Abs() >= clockStep {
		// A step that leads back to the media's time ends a doubt at once.
		p.doubt, p.doubtSince = !newest.IsZero() && wall.Sub(newest) >= maxOff, uptime
	}
	p.began, p.wall, p.uptime = true, wall.Round(0), uptime
	if p.doubt && uptime-p.doubtSince >= trustAfter {
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
		"The clock is far ahead of the newest recording, so nothing is deleted by age until it has run for an hour: check the hub's time.")) {
		k.o.Log.Warn("the clock is far ahead of the newest recording: no deletions by age for an hour")
	}
}
