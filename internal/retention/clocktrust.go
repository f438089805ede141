package retention

import (
	"cmp"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
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

// clockTrust tells whether the wall clock can be trusted with deletions by age: a clock that
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

// judgeClock reads the clock and tells whether it can be trusted with deletions by age.
func (k *Keeper) judgeClock(streams []string, synchronised bool) (now time.Time, plausible bool) {
	newest := k.newest(streams, k.o.Now()) // before the clock is read: nothing in it is of after a step that is not seen
	now = k.o.Now()
	if !k.clock.began {
		newest = k.trustedNewest(streams, newest, now, synchronised)
	}
	plausible = k.clock.check(now, k.o.Uptime(), newest, synchronised)
	k.trusted.Store(plausible)
	return now, plausible
}

// newest is when the newest media was recorded that a clock dated which was set and not ahead of now: what lies
// ahead of a clock does not say that it is right.
func (k *Keeper) newest(streams []string, now time.Time) time.Time {
	var newest time.Time
	for _, stream := range streams {
		if t := k.o.Store.NewestBefore(stream, now.Add(hubclock.DoubtStep)); t.After(newest) && !hubclock.Unset(t) {
			newest = t
		}
	}
	return newest
}

// trustedNewest is the end of the newest media that speaks for the clock at a start. What was recorded
// before the start in a doubt does not: it lies behind a gap as a clock leaves that is far ahead, or a
// hub that was off. That the clock went on for trustAfter since ends a doubt here as well.
func (k *Keeper) trustedNewest(streams []string, newest, now time.Time, synchronised bool) time.Time {
	type span struct{ start, end int64 } // in Unix ms
	many := 0
	for _, stream := range streams {
		many += k.o.Store.Usage(stream).Segments
	}
	media := make([]span, 0, many)
	for _, stream := range streams {
		for s := range k.o.Store.Walk(stream, segment.Finished) {
			if !hubclock.Unset(s.RecordedTo) && !s.RecordedTo.After(newest) {
				media = append(media, span{s.RecordedFrom.UnixMilli(), s.RecordedTo.UnixMilli()})
			}
		}
	}
	slices.SortFunc(media, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	var end int64
	for i, s := range media {
		gap, since := time.Duration(s.start-end)*time.Millisecond, now.Sub(time.UnixMilli(s.start))
		if i > 0 && gap >= maxOff && (since < trustAfter || gap >= maxAway && !synchronised) {
			return time.UnixMilli(end).UTC()
		}
		end = max(end, s.end)
	}
	return newest
}

func (k *Keeper) reportClock(plausible bool) {
	part := k.o.Health.Part("", health.JobRetention)
	if plausible {
		part.OK(scopeClock)
		return
	}
	if part.Report(scopeClock, health.Info, health.SystemFault(codeClock, nil,
		"The clock is far ahead of the newest recording, so nothing is deleted by age until it has been right for an hour: check the hub's "+
			"time and its synchronisation.")) {
		k.o.Log.Warn("the clock is far ahead of the newest recording: no deletions by age until it has been right for an hour")
	}
}
