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
	// since is from which time on nobody confirmed this clock, and floor what each stream had then: only later times are in doubt.
	since time.Time
	floor []dated
	found []behind // not noted yet
	fails bool     // noting failed in the previous pass
}

// dated is the newest time of a stream's present epoch.
type dated struct {
	stream string
	at     time.Time
}

func find(list []dated, stream string) (at time.Time, ok bool) {
	i := slices.IndexFunc(list, func(d dated) bool { return d.stream == stream })
	if i < 0 {
		return time.Time{}, false
	}
	return list[i].at, true
}

// behind says how far a stream's times from a time to another are behind.
type behind struct {
	stream      string
	from, until time.Time
	by          time.Duration
	seen        time.Duration // since the hub booted, of the step
}

// stragglers is how long after the clock was set frames may still have times of the former clock: until the next keyframe, and far less
// than a step.
const stragglers = hubclock.DoubtStep / 2

// see compares the clock with that of the previous pass. Where it was set forward, the times by which this process recorded are behind, and
// those of earlier processes since the hub booted. newest was read before the clock.
func (c *behindClock) see(wall time.Time, boot time.Duration, newest []dated) {
	if !c.began {
		c.began, c.since = true, wall.Add(-boot)
		for _, d := range newest {
			if d.at.After(wall.Add(hubclock.RestartStep)) { // of an earlier boot
				c.floor = append(c.floor, d)
			}
		}
		return
	}
	step := wall.Sub(c.wall) - (boot - c.boot)
	if step.Abs() < hubclock.DoubtStep {
		return
	}
	for i := range c.found {
		c.found[i].by += step
	}
	if step > 0 && !c.confirmed && !hubclock.Unset(c.wall) {
		for _, d := range newest {
			if b, ok := c.behind(d, wall, step); ok {
				b.seen = boot
				c.found = append(c.found, b)
			}
		}
	}
	c.found = slices.DeleteFunc(c.found, func(b behind) bool { return b.by < hubclock.DoubtStep })
	c.since, c.floor = wall, newest
}

// behind returns which times of a stream are behind. Those that were ahead of the clock, as the stream had later ones already, are so by
// less: the newest one was made when the clock was set, or before.
func (c *behindClock) behind(d dated, wall time.Time, step time.Duration) (b behind, ok bool) {
	old, at := wall.Add(-step), d.at
	if at.After(old.Add(stragglers)) { // by the present clock, unless it was so before
		if at, ok = find(c.newest, d.stream); !ok {
			return b, false
		}
		old = c.wall
	}
	b = behind{stream: d.stream, from: c.since, until: at, by: step}
	if ahead := at.Sub(old); ahead > hubclock.RestartStep {
		b.by -= ahead
	} else {
		b.until = old
	}
	if floor, known := find(c.floor, d.stream); known && !floor.Before(b.from) {
		b.from = floor.Add(time.Millisecond)
	}
	if b.until = b.until.Add(stragglers); !b.until.Before(wall) {
		b.until = wall.Add(-time.Millisecond)
	}
	return b, b.by >= hubclock.DoubtStep && !at.Before(b.from)
}

// ageless returns the streams the age of whose media is not known: it is to be noted how far a clock was behind, or is noted if somebody
// confirms the present one within an hour.
func (c *behindClock) ageless() (streams []string) {
	for _, b := range c.found {
		if c.confirmed || c.boot-b.seen < trustAfter {
			streams = append(streams, b.stream)
		}
	}
	return streams
}

// ages reports whether the age of a stream's media is known.
func (k *Keeper) ages(stream string) bool {
	ageless := k.ageless.Load()
	return ageless == nil || !slices.Contains(*ageless, stream)
}

// newestTimes returns the newest time of each stream.
func (k *Keeper) newestTimes() (list []dated) {
	for _, stream := range k.o.Store.Streams() {
		list = append(list, dated{stream, k.o.Store.LastEnd(stream)})
	}
	return list
}

// noteBehind has the store note by how much a clock was behind that was set, once somebody confirms the present one: a person may
// have set it wrong. What cannot be noted is tried again by the next pass. newest was read before the clock.
func (k *Keeper) noteBehind(now time.Time, synchronised bool, newest []dated) {
	c, boot := &k.behind, k.clock.boot
	now = now.Round(0)
	c.see(now, boot, newest)
	c.wall, c.boot, c.confirmed, c.newest = now, boot, synchronised, newest
	if synchronised {
		c.found = slices.DeleteFunc(c.found, k.notes)
		c.fails = len(c.found) > 0
		c.since, c.floor = now, newest // so far nothing more is in doubt
	}
	ageless := c.ageless()
	k.ageless.Store(&ageless)
}

// notes has the store note times that are behind, and reports whether nothing is left to do for them.
func (k *Keeper) notes(b behind) bool {
	if _, exists := find(k.behind.newest, b.stream); !exists {
		return true
	}
	if k.policy(b.stream).Local { // events and requests of such a stream find its media by the times that its files have
		return true
	}
	err := k.o.Store.NoteClock(b.stream, b.from, b.until, b.by)
	if err == nil || errors.Is(err, segment.ErrClosed) {
		return true
	}
	if !k.behind.fails { // said once, not with each pass
		logevent.CorrectionNotNoted.Log(k.o.Log, zap.String("stream", b.stream), zap.Error(err))
	}
	return false
}
