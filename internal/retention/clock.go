package retention

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// clock decides whether retention trusts the hub's clock. judge and report are for one goroutine.
type clock struct {
	o       *Options
	trust   clockTrust
	boot    time.Duration // since the hub booted, when judge read the clock
	trusted atomic.Bool   // the result of the last judge
}

// judge reads the clock and decides whether it can be trusted with deletions by age.
func (c *clock) judge(streams []string, synchronised bool) (now time.Time, plausible bool) {
	newest := c.newest(streams, c.o.Now()) // before the clock is read: so no media is from after an unnoticed step of the clock
	now, c.boot = c.o.Now(), c.o.SinceBoot()
	if !c.trust.began {
		newest = c.trustedNewest(streams, newest, now, synchronised)
	}
	plausible = c.trust.check(now, c.o.Uptime(), newest, synchronised)
	c.trusted.Store(plausible)
	return now, plausible
}

// newest returns when the newest media was recorded by a clock that was set, and that is not ahead of now: media ahead of
// the clock does not prove that the clock is right.
func (c *clock) newest(streams []string, now time.Time) time.Time {
	var newest time.Time
	for _, stream := range streams {
		if t := c.o.Store.NewestBefore(stream, now.Add(hubclock.DoubtStep)); t.After(newest) && !hubclock.Unset(t) {
			newest = t
		}
	}
	return newest
}

// trustedNewest returns the end of the newest media that supports the clock at a start. Media recorded by a suspect clock
// before the start does not: it follows a gap as a clock that is far ahead leaves one, or a hub that was off. A clock that
// has continued for trustAfter since is trusted here as well.
func (c *clock) trustedNewest(streams []string, newest, now time.Time, synchronised bool) time.Time {
	type span struct{ start, end int64 } // in Unix ms
	many := 0
	for _, stream := range streams {
		many += c.o.Store.Usage(stream).Segments
	}
	media := make([]span, 0, many)
	for _, stream := range streams {
		for s := range c.o.Store.Walk(stream, segment.Finished) {
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

func (c *clock) report(plausible bool) {
	part := c.o.Health.Component("", health.JobRetention)
	if plausible {
		part.OK(scopeClock)
		return
	}
	fault := health.SystemFault(codeClock, nil,
		"The clock is far ahead of the newest recording, so nothing is deleted by age until it has been right for an hour: check the hub's "+
			"time and its synchronisation.")
	if part.Report(scopeClock, health.Info, fault) {
		logevent.Condition(c.o.Log, fault)
	}
}
