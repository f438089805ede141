package recorder

import (
	"math"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

const (
	// reorderLimit is how far presentation times may go back between access units in decode order.
	reorderLimit = 1500 * time.Millisecond
	// reorderUnits is how many of them in a row may be shown before one that came earlier.
	reorderUnits = 16
	// aheadLimit and behindLimit are how far times may run ahead of arrival and lag behind it, whatever
	// the camera's timestamps say. Both leave room in the second within which a recorded span is true, and the
	// first also in what times may be ahead of the clock (epochAhead).
	aheadLimit  = 500 * time.Millisecond
	behindLimit = 750 * time.Millisecond
	// strayLimit is how far a timestamp may run ahead of what the time that passed allows, before it counts as a
	// stray one, or as the first after a jump.
	strayLimit = 500 * time.Millisecond
	// wildLimit is how many implausible timestamps in a row, of which none goes with another, are a pace
	// that no camera should have.
	wildLimit = 8
	// stallFrom is the least delay of one access unit that is a stall of the network. What was held up comes
	// soon after it, and times may lag as far as that until then.
	stallFrom = 250 * time.Millisecond
	// stallGrace is how long after a stall it must begin to come.
	stallGrace = 3 * time.Second
	// stallMost is the longest stall that times lag for: that of a hub that was frozen.
	stallMost = 10 * time.Minute
	// gentleSlew is how fast small deviations are corrected, as a share of the media's own pace: distances of
	// frames stay the camera's. leastSlew is the least that is corrected: networks jitter.
	gentleSlew = 0.002
	leastSlew  = 10 * time.Millisecond
	// quickSlew corrects those of more than quickFrom, and mostSlew bounds it for a frame.
	quickSlew = 0.02
	quickFrom = 100 * time.Millisecond
	mostSlew  = time.Millisecond
	// stepLimit is the least difference between wall and monotonic clock that is a step of the wall clock:
	// times begin again from it. They are slewed to one that was set by less.
	stepLimit = 1500 * time.Millisecond
	// stepLeast is the least such difference that is noticed.
	stepLeast = 20 * time.Millisecond
	// constantLimit is how many access units in a row may have one timestamp before times follow their
	// arrival: some cameras send all frames with the same.
	constantLimit = 10
	// frameGuess is a frame's duration when nothing is known of it.
	frameGuess = 40 * time.Millisecond
)

// timeline assigns producer times to access units. Distances are those of the RTP timestamps, while arrival
// bounds what they add up to: times are slewed to the arrival of the timeliest access units, and leave a band around
// arrival only as far as a stall of the network explains. The pace of the camera's clock is measured over 10 s, and
// distances are scaled by it where it is not an ordinary one. Before it is measured, and while it changes, the band
// holds: then arrival decides. It is pure: the times of arrival are given, with their monotonic readings where there
// are some.
type timeline struct {
	rate    int64         // RTP ticks per second
	camera  time.Time     // the camera's time of the next access unit, which times are slewed to; zero: the hub's
	target  time.Duration // where times are to be, from arrival: the camera's clock, from the hub's
	audio   bool          // of sound, which may pause
	newest  time.Time     // newest producer time ever given, or on disk; nothing new may start at or before it
	opening opening       // what is known of the session's first moments; zero: nothing

	anchored bool
	anchor   time.Time     // arrival of the anchor
	origin   time.Time     // its producer time, had it been timely
	absorbed time.Duration // what the wall clock was stepped since, as far as times are slewed to it
	ceiling  time.Duration // what times were ahead of the band when arrival was moved, until they are slewed
	floor    time.Duration // what they lagged behind it then

	// The access unit whose timestamp was believed last. Durations count from the anchor.
	raw     uint32
	media   time.Duration // by the camera's clock
	arrival time.Duration
	at      time.Duration // its producer time, from origin

	gain     float64 // seconds of the hub in one of the camera's clock
	class    paceClass
	doubted  float64 // a pace that makes an ordinary clock an odd one, if it is measured twice
	measures int     // windows in a row of one class
	mean     float64 // pace over them
	meter    paceMeter
	recent   recent

	phaseEnd   time.Duration // of the present window of slewing
	lead       time.Duration // greatest lead of times over arrival in it, with correction taken for done
	measured   bool          // lead is valid
	correction time.Duration // still to be slewed

	credit   time.Duration // how far times may lag for a stall
	creditAt time.Duration // arrival when it was given or has shrunk
	usual    time.Duration // distance of arrivals
	seen     time.Duration // arrival of the access unit before, believed or not
	front    time.Duration // greatest media of late
	back     int           // access units in a row that lie before it
	depth    int           // the most of them that did before one at the front came, up to reorderUnits
	forward  bool          // the access unit lies at the front, or the front is given up

	wild       int // implausible timestamps in a row
	odd        uint32
	oddArrival time.Duration // of the last of them
	oddAt      time.Duration // its producer time, from origin
	chain      uint32        // timestamp of the access unit before, believed or not
	chained    time.Duration // by the camera's clock, were all of them right

	burst     float64       // by how much a burst is squeezed that overlaps what is recorded
	burstLeft time.Duration // of it, by the camera's clock

	same     int  // access units in a row with the timestamp before them
	constant bool // same has reached its limit: times follow arrivals

	last  time.Time     // producer time given last
	exact bool          // it stands for at
	frame time.Duration // last plausible distance of two access units
}

// restart forgets the session: the next access unit is the first of a new one. What is known of the
// camera's pace stays, until it is measured again.
func (t *timeline) restart() {
	t.anchored, t.opening = false, opening{}
	if t.class == paceOrdinary {
		t.class = paceUnknown
	}
	t.measures = 0
}

// assign returns the producer time of an access unit, in whole ms. jumped reports that the timestamps
// jumped, and times continue from arrival.
func (t *timeline) assign(raw uint32, now time.Time) (producer time.Time, jumped bool) {
	if !t.anchored {
		if o := t.opening; !o.stray(raw, t.rate) {
			t.begin(raw, now, now)
			return t.first(), false
		} else {
			t.begin(o.raw, o.arrival, o.arrival)
		}
	}
	delta := int64(int32(raw - t.raw))
	if t.arrives(delta) {
		return t.follow(now), false
	}
	if t.constant { // the timestamps move again
		t.begin(raw, now, t.due(now))
		return t.first(), false
	}
	arrival := t.arrivalOf(now)
	step := t.duration(delta)
	t.chained += t.duration(int64(int32(raw - t.chain)))
	t.chain = raw
	t.recent.add(paceSample{arrival, t.chained})
	if t.plausible(step, arrival) {
		t.wild = 0
		return t.advance(raw, step, arrival), false
	}
	return t.stray(raw, arrival)
}

// arrives reports whether timestamps stand still, so that arrivals have to give the times.
func (t *timeline) arrives(delta int64) bool {
	if delta != 0 {
		t.same = 0
		return false
	}
	t.same++
	t.constant = t.constant || t.same >= constantLimit
	return t.constant
}

// follow gives an access unit the time of its arrival.
func (t *timeline) follow(now time.Time) time.Time {
	producer := t.due(now)
	if least := t.newest.Add(time.Millisecond); producer.Before(least) {
		producer = least
	}
	return t.give(producer, false)
}

// due is the producer time of what arrives now, and was not held up.
func (t *timeline) due(now time.Time) time.Time { return t.origin.Add(t.arrivalOf(now)) }

// arrivalOf is how long after the anchor something arrives, with what the wall clock was stepped by since.
func (t *timeline) arrivalOf(now time.Time) time.Duration {
	if step := hubclock.Step(t.anchor, now) - t.absorbed; step.Abs() >= stepLeast && step.Abs() < stepLimit {
		t.absorbed += step
		t.excuse(t.at - t.arrival - step)
		t.meter.began = false
	}
	return now.Sub(t.anchor) + t.absorbed
}

// begin anchors times at an access unit that arrives now: its producer time is wanted, less what the opening says
// that it was held up by, but after the newest.
func (t *timeline) begin(raw uint32, now, wanted time.Time) {
	if t.frame <= 0 {
		t.frame = frameGuess
	}
	if t.gain == 0 {
		t.gain = 1
	}
	late := t.heldUp(raw, now)
	t.anchored, t.anchor, t.origin = true, now, wanted.Round(0).UTC()
	t.raw, t.media, t.arrival, t.at = raw, 0, 0, -late
	t.chain, t.chained = raw, 0
	t.absorbed, t.ceiling, t.floor = 0, 0, late
	t.meter.began, t.recent.n, t.doubted = false, 0, 0
	t.phaseEnd, t.measured, t.correction = paceWindow, false, 0
	t.credit, t.usual, t.seen, t.wild, t.burstLeft = 0, 0, 0, 0, 0
	t.front, t.back, t.depth = 0, 0, 0
	t.same, t.constant, t.exact = 0, false, false
	excess := t.newest.Add(t.frame).Sub(t.origin.Add(t.at))
	if t.newest.IsZero() || excess <= 0 {
		return
	}
	if t.at += excess; t.at > reorderLimit { // nobody knows which clock was right: times continue from the newest
		t.origin = t.origin.Add(t.at + late)
		t.at = -late
		return
	}
	t.ceiling = max(t.at, 0)
	if room := aheadLimit - max(t.at, 0); excess > room && late > 0 {
		t.burst = max(float64(late-excess+room)/float64(late), 0.01)
		t.burstLeft = late
	}
}

// first gives the anchor its time.
func (t *timeline) first() time.Time { return t.give(t.origin.Add(t.at), true) }

// plausible reports whether a timestamp goes with the one before it and the time that has passed.
func (t *timeline) plausible(step, arrival time.Duration) bool {
	scaled := t.scale(step)
	if scaled < -reorderLimit {
		return false
	}
	ahead := t.at + scaled - arrival - t.target
	return scaled <= arrival-t.arrival+strayLimit || ahead <= max(aheadLimit, t.ceiling)
}

// advance goes on to an access unit whose timestamp is believed.
func (t *timeline) advance(raw uint32, step, arrival time.Duration) time.Time {
	scaled := t.scale(step)
	if t.burstLeft > 0 && step > 0 {
		t.burstLeft -= step
		scaled = time.Duration(float64(scaled) * t.burst)
	}
	before := t.at
	passed, lag := arrival-t.seen, arrival-t.at-scaled
	t.raw, t.media, t.at, t.arrival, t.seen = raw, t.media+step, t.at+scaled, arrival, arrival
	t.look()
	t.allow(passed, scaled, lag)
	if scaled > 0 && scaled < time.Second {
		t.frame = scaled
	}
	if t.credit == 0 {
		if pace, over, ok := t.meter.add(paceSample{arrival, t.media}); ok {
			t.judge(pace, over)
		}
	}
	t.slew(scaled)
	bound := t.bound(before, scaled)
	return t.place(scaled, bound)
}

// place gives the access unit at t.at its time. While the camera's clock is an ordinary one no distance to the one
// before differs from the camera's by more than 1 ms, which rounding and slewing together might exceed.
func (t *timeline) place(scaled time.Duration, bound bool) time.Time {
	// Access units of one timestamp must not have one time.
	exact := t.origin.Add(t.at + time.Duration(t.same)*time.Millisecond)
	producer := exact.Round(time.Millisecond)
	if t.exact && !bound && t.same == 0 && t.class <= paceOrdinary {
		most := t.last.Add(scaled + time.Millisecond).Truncate(time.Millisecond)
		least := t.last.Add(scaled - 1).Truncate(time.Millisecond) // times are whole ms
		switch {
		case producer.After(most):
			producer = most
			t.at += most.Add(time.Millisecond / 2).Sub(exact)
		case producer.Before(least):
			producer = least
			t.at += least.Add(-time.Millisecond / 2).Sub(exact)
		}
	}
	if (scaled > 0 && producer.Before(t.last) || producer.Equal(t.last)) && t.last.Sub(t.origin)-t.arrival < reorderLimit-aheadLimit {
		producer = t.last.Add(time.Millisecond)
	}
	return t.give(producer, true)
}

// give notes a producer time.
func (t *timeline) give(producer time.Time, exact bool) time.Time {
	producer = producer.Round(time.Millisecond)
	if producer.After(t.newest) {
		t.newest = producer
	}
	t.last, t.exact = producer, exact
	return producer
}

// behind is by how much the hub's wall clock has been stepped past producer times, 0 when it
// was not: then times are to begin again from the clock. For one that was stepped back see epochs.
func (t *timeline) behind(now time.Time) time.Duration {
	if !t.anchored {
		return 0
	}
	ahead := now.Round(0).Sub(t.due(now))
	if hubclock.Step(t.anchor, now)-t.absorbed < stepLimit || ahead < stepLimit {
		return 0
	}
	return ahead
}

// scale is a time by the camera's clock in the hub's.
func (t *timeline) scale(d time.Duration) time.Duration {
	if t.gain == 1 {
		return d
	}
	return time.Duration(math.Round(float64(d) * t.gain))
}

func (t *timeline) duration(ticks int64) time.Duration {
	// Seconds and the rest apart, so that years of ticks do not overflow.
	return time.Duration(ticks/t.rate)*time.Second + time.Duration(ticks%t.rate)*time.Second/time.Duration(t.rate)
}
