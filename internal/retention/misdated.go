package retention

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// codeMisdated is raised while there are recordings with wrong times.
const codeMisdated = "times-wrong"

const scopeMisdated health.Scope = "times"

// reportMisdated reports which recordings have wrong times, until they are deleted.
func (k *Keeper) reportMisdated(streams []string) {
	before := k.misdated
	k.misdated = make(map[string]bool)
	for _, stream := range streams {
		list := k.o.Store.Misdated(stream)
		if len(list) == 0 {
			continue
		}
		k.misdated[stream] = true
		fault := misdatedFault(stream, list)
		if k.o.Health.Component(stream, health.JobRetention).Report(scopeMisdated, health.Info, fault) {
			logevent.Condition(k.o.Log, fault, zap.String("stream", stream))
		}
	}
	for stream := range before {
		if !k.misdated[stream] {
			k.o.Health.Component(stream, health.JobRetention).OK(scopeMisdated)
		}
	}
}

// mayBeYoung reports whether media is young if its file's times are right. Where it is not known by how much times were
// ahead, the clock may have been right and later far behind for a while: then all earlier media seems to be old.
func mayBeYoung(s segment.Info, before, now time.Time) bool {
	doubtful := s.ClockAhead && s.ClockOffset == 0 && s.End.Sub(s.RecordedTo) >= maxOff
	return doubtful && !s.End.Before(before) && !s.End.After(now)
}

// misdatedFault describes the newest of some spans, and counts the others.
func misdatedFault(stream string, list []segment.Misdated) *health.Fault {
	m, others := list[len(list)-1], ""
	if n := len(list) - 1; n > 0 {
		others = fmt.Sprintf(", and so have %d spans before", n)
	}
	why, correction := "a clock was ahead", ""
	if m.Unset {
		why = "the hub's clock was not set"
	}
	switch {
	case !m.Known:
		correction = "by how much is not known, they were made before " + m.RecordedTo.Format(time.RFC3339)
	case m.Offset < 0:
		correction = fmt.Sprintf("subtract %s from them", -m.Offset)
	default:
		correction = fmt.Sprintf("add %s to them", m.Offset)
	}
	return health.SystemFault(codeMisdated, nil,
		"The recordings of stream %s dated %s to %s have wrong times%s, as %s: %s. `kvs-edge-agent segments --stream %s` shows which they are.",
		stream, health.Varying(m.From.Format(time.RFC3339)), m.To.Format(time.RFC3339), health.Varying(others), why, correction, stream)
}

// behindClock notices that a clock is set forward that nobody confirmed: what was recorded with it is younger than its times say.
// Its methods are for one goroutine.
type behindClock struct {
	began     bool
	wall      time.Time     // of the previous pass, as the next three
	boot      time.Duration // since the hub booted
	confirmed bool          // somebody confirmed the clock
	newest    []dated       // of each stream
	// since is from which time on this clock dated recordings: of each stream those with later times than it had before, its floor.
	since time.Time
	floor []dated
	found []behind // not noted yet
}

// dated is a time of a stream's present epoch.
type dated struct {
	stream string
	at     time.Time
}

// behind is how far a clock was behind by which streams were dated: from a time on that is that of each.
type behind struct {
	streams []dated
	until   time.Time
	by      time.Duration
	seen    time.Duration // when, since the hub booted
}

// stragglers is how long after the clock was set frames may still have times of the former clock: until the next keyframe, and far less
// than a step.
const stragglers = hubclock.DoubtStep / 2

// see compares the clock with that of the previous pass. Where it was set forward, the times by which this process recorded are behind, and
// those of earlier processes since the hub booted.
func (c *behindClock) see(wall time.Time, boot time.Duration) {
	if !c.began {
		c.began, c.since = true, wall.Add(-boot)
		return
	}
	elapsed := boot - c.boot
	step := wall.Sub(c.wall) - elapsed
	if step.Abs() < hubclock.DoubtStep {
		return
	}
	for i := range c.found {
		c.found[i].by += step
	}
	if step > 0 && !c.confirmed && !hubclock.Unset(c.wall) {
		c.found = append(c.found, behind{c.followed(), c.wall.Add(elapsed + stragglers), step, boot})
	}
	c.found = slices.DeleteFunc(c.found, func(b behind) bool { return b.by < hubclock.DoubtStep || len(b.streams) == 0 })
	c.since, c.floor = wall, c.newest
}

// followed returns the streams whose newest times are those of the clock of the previous pass, and from when on.
func (c *behindClock) followed() (list []dated) {
	for _, d := range c.newest {
		from := c.since
		if i := slices.IndexFunc(c.floor, func(f dated) bool { return f.stream == d.stream }); i >= 0 && !c.floor[i].at.Before(from) {
			from = c.floor[i].at.Add(time.Millisecond)
		}
		if !d.at.Before(from) && d.at.Before(c.wall.Add(hubclock.RestartStep)) {
			list = append(list, dated{d.stream, from})
		}
	}
	return list
}

// ageless returns the streams the age of whose media is not known: it is to be noted how far a clock was behind, or is noted if somebody
// confirms the present one within an hour.
func (c *behindClock) ageless() (streams []string) {
	for _, b := range c.found {
		if c.confirmed || c.boot-b.seen < trustAfter {
			for _, d := range b.streams {
				streams = append(streams, d.stream)
			}
		}
	}
	return streams
}

// ages reports whether the age of a stream's media is known.
func (k *Keeper) ages(stream string) bool {
	ageless := k.ageless.Load()
	return ageless == nil || !slices.Contains(*ageless, stream)
}

// noteBehind has the store note by how much a clock was behind that was set, once somebody confirms the present one: a person may
// have set it wrong. What cannot be noted is tried again by the next pass.
func (k *Keeper) noteBehind(now time.Time, synchronised bool) {
	c, boot := &k.behind, k.o.SinceBoot()
	now = now.Round(0)
	c.see(now, boot)
	c.wall, c.boot, c.confirmed, c.newest = now, boot, synchronised, nil
	for _, stream := range k.o.Store.Streams() {
		c.newest = append(c.newest, dated{stream, k.o.Store.LastEnd(stream)})
	}
	defer func() { ageless := c.ageless(); k.ageless.Store(&ageless) }()
	if !synchronised {
		return
	}
	for i := range c.found {
		b := &c.found[i]
		b.streams = slices.DeleteFunc(b.streams, func(d dated) bool {
			err := k.o.Store.NoteClock(d.stream, d.at, b.until, b.by)
			if err == nil || errors.Is(err, segment.ErrClosed) { // there is no such stream any more
				return true
			}
			logevent.CorrectionNotNoted.Log(k.o.Log, zap.String("stream", d.stream), zap.Error(err))
			return false
		})
	}
	c.found = slices.DeleteFunc(c.found, func(b behind) bool { return len(b.streams) == 0 })
}
