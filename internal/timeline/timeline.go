// Package timeline decides the producer timestamp of each frame of a camera: the time by the hub's clock under which it is
// recorded. A camera says when a frame was captured only by RTP timestamps: ticks of a clock with an unknown start, whose
// pace may be wrong, and which may jump or stop; the network delays frames; and the hub's own clock may be set
// during a recording. The resulting times must increase, keep the camera's distances and stay near the truth.
//
// A [Timeline] has the times of one track. Distances are those of the timestamps, while arrival bounds their
// sum: times are slewed to the arrival of the timeliest access units, and leave a band around arrival only as far as a
// stall of the network explains. The pace of the camera's clock is measured over 10 s, and distances are scaled by it
// where it is not ordinary. Before it is measured, and while it changes, the band applies: then arrival decides.
//
// Its callers pass it other knowledge: the [Opening] of a session, in which a camera may send buffered frames at once, as an
// [OpeningGauge] measures it; and the camera's own time, as a [CameraClock] judges it. [EpochWatch] and [UnsyncedClock]
// track what was recorded while the hub's clock was ahead, or not set yet.
//
// There is no I/O and no goroutine. Times of arrival are arguments: readings of the hub's wall clock that include
// the monotonic one, which shows steps of the wall clock; times without it serve as both. Nothing here is
// safe for concurrent use, and no call for a single access unit allocates, except those of an OpeningGauge.
package timeline

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

// Timeline assigns producer timestamps to the access units, or the audio frames, of one track.
type Timeline struct {
	rate    clockRate
	longest time.Duration // longest stall of the network for which times lag
	newest  time.Time     // newest producer timestamp assigned, or on disk; later ones must be after it
	opening Opening       // of the session's first moments
	camera  time.Time     // the camera's time of the next access unit, to which times are slewed; zero: the hub's
	target  time.Duration // where times should be, relative to arrival: the offset of the camera's clock from the hub's
	pace    clockPace
	emitted emitted
	frame   time.Duration // last plausible distance of two access units
	sinceAnchor
}

// emitted is the last assigned producer timestamp.
type emitted struct {
	at    time.Time
	exact bool // it is that of the last plausible access unit
}

// sinceAnchor is the anchor of times, and the state since. Durations count from the anchor's arrival, except
// those of producer timestamps.
type sinceAnchor struct {
	anchored bool
	anchor   time.Time     // arrival of the anchor
	origin   time.Time     // its producer timestamp, if it had been timely
	absorbed time.Duration // the steps of the wall clock since, as far as times are slewed to it

	believed believed
	band     band
	slewing  slewing
	stall    networkStall
	order    displayOrder
	strays   strays
	chain    chain
	still    stillness
	burst    burst
}

// believed is the last access unit with a plausible timestamp.
type believed struct {
	raw     uint32
	media   time.Duration // by the camera's clock
	arrival time.Duration
	at      time.Duration // its producer timestamp, from origin
}

// burst is the buffered frames of the opening that overlap recorded ones.
type burst struct {
	gain float64       // the factor by which it is compressed
	left time.Duration // the rest of it, by the camera's clock
}

// New returns the timeline of a video track of rate RTP ticks per second, whose times are after newest.
func New(rate int, newest time.Time) Timeline {
	return Timeline{rate: clockRate(max(rate, 1)), longest: longestStall, newest: newest}
}

// NewAudio returns the timeline of an audio track, which may pause.
func NewAudio(rate int, newest time.Time) Timeline {
	return Timeline{rate: clockRate(max(rate, 1)), longest: longestAudioStall, newest: newest}
}

// BeginSession restarts times for a session of rate RTP ticks per second.
func (t *Timeline) BeginSession(rate int) {
	t.rate = clockRate(max(rate, 1))
	t.Restart()
}

// Restart forgets the anchor: times count from the next access unit. A known odd pace of the camera's clock
// stays, until it is measured again.
func (t *Timeline) Restart() {
	t.anchored, t.opening = false, Opening{}
	t.pace.restart()
}

// Open sets the measurement of the session's first moments, before the first of its access units; the zero Opening
// removes it.
func (t *Timeline) Open(o Opening) { t.opening = o }

// Continue sets the newest producer timestamp on disk: what starts from now on is after it.
func (t *Timeline) Continue(newest time.Time) { t.newest = newest }

// FollowCamera makes times follow the camera's own time of the next access unit; its clock is ahead of the hub's by
// offset.
func (t *Timeline) FollowCamera(camera time.Time, offset time.Duration) {
	t.camera = camera
	t.aim(offset)
}

// FollowHub makes times follow arrival by the hub's clock.
func (t *Timeline) FollowHub() { t.FollowCamera(time.Time{}, 0) }

// FollowTrack sets the target of times to that of another track.
func (t *Timeline) FollowTrack(other *Timeline) { t.aim(other.target) }

// Anchored reports whether times count from an access unit of this session.
func (t *Timeline) Anchored() bool { return t.anchored }

// Constant reports whether timestamps do not advance, so that times are those of arrival.
func (t *Timeline) Constant() bool { return t.still.constant }

// OddPace returns the pace of the camera's clock (its seconds per second of the hub's) when it is known not to be
// ordinary, else 0. scaled reports that it is within 5 %, so that distances are scaled by it and not replaced by
// arrival.
func (t *Timeline) OddPace() (pace float64, scaled bool) { return t.pace.odd() }

// Assign returns the producer timestamp of an access unit, in whole ms. jumped reports that the RTP timestamps
// jumped, and times continue from arrival.
func (t *Timeline) Assign(rtpTime uint32, arrival time.Time) (producer time.Time, jumped bool) {
	if !t.anchored {
		o := t.opening
		if !o.stray(rtpTime, t.rate) {
			return t.AnchorAt(rtpTime, arrival, arrival), false
		}
		t.anchorAt(o.raw, o.arrival, o.arrival)
	}
	delta := int64(int32(rtpTime - t.believed.raw))
	if t.still.add(delta) {
		return t.followArrival(arrival), false
	}
	if t.still.constant { // the timestamps advance again
		return t.AnchorAt(rtpTime, arrival, t.Expected(arrival)), false
	}
	since := t.sinceArrival(arrival)
	step := t.rate.duration(delta)
	t.chain.media += t.rate.duration(int64(int32(rtpTime - t.chain.raw)))
	t.chain.raw = rtpTime
	t.pace.recent.add(paceSample{arrival: since, media: t.chain.media})
	fromStray := t.pace.scale(t.rate.duration(int64(int32(rtpTime - t.strays.raw))))
	back := t.setBack(step, since)
	if !back && t.plausible(step, since) && !t.strays.follows(fromStray, t.pace.scale(step), t.frame) {
		t.strays = strays{}
		return t.advance(rtpTime, step, since), false
	}
	t.strays.back = back
	return t.takeStray(rtpTime, since)
}

// Expected is the producer timestamp of a frame that arrives now, without delay.
func (t *Timeline) Expected(now time.Time) time.Time { return t.origin.Add(t.sinceArrival(now)) }

// WallClockLead is how far the hub's wall clock has been stepped ahead of producer timestamps, 0 when it was not: then times
// should restart from the clock (AnchorAt). For a clock that was stepped back see EpochWatch.
func (t *Timeline) WallClockLead(now time.Time) time.Duration {
	if !t.anchored {
		return 0
	}
	ahead := now.Round(0).Sub(t.Expected(now))
	if hubclock.Step(t.anchor, now)-t.absorbed < hubclock.RestartStep || ahead < hubclock.RestartStep {
		return 0
	}
	return ahead
}

// AnchorAt restarts times at an access unit that arrives now, and returns its producer timestamp: wanted, minus its delay
// according to the opening, but after the newest.
func (t *Timeline) AnchorAt(rtpTime uint32, now, wanted time.Time) time.Time {
	t.anchorAt(rtpTime, now, wanted)
	return t.emit(t.origin.Add(t.believed.at), true)
}

func (t *Timeline) anchorAt(raw uint32, now, wanted time.Time) {
	if t.frame <= 0 {
		t.frame = frameGuess
	}
	t.pace.anchor()
	late, distance := t.heldUp(raw, now)
	t.emitted.exact = false
	t.sinceAnchor = sinceAnchor{
		anchored: true, anchor: now, origin: wanted.Round(0).UTC(),
		believed: believed{raw: raw, at: -late},
		band:     band{floor: late},
		slewing:  slewing{intervalEnd: paceInterval},
		stall:    networkStall{distance: distance},
		chain:    chain{raw: raw},
	}
	at := &t.believed.at
	excess := t.newest.Add(t.frame).Sub(t.origin.Add(*at))
	if t.newest.IsZero() || excess <= 0 {
		return
	}
	if *at += excess; *at > ReorderLimit { // it is unknown which clock was right: times continue from the newest
		t.origin = t.origin.Add(*at + late)
		*at = -late
		return
	}
	t.band.ceiling = max(*at, 0)
	if room := aheadLimit - max(*at, 0); excess > room && late > 0 {
		t.burst = burst{gain: max(float64(late-excess+room)/float64(late), 0.01), left: late}
	}
}

// heldUp returns how much later than the timeliest access unit of the opening one arrived, and the distance of access units if
// the opening knows it. It adopts the opening's pace.
func (t *Timeline) heldUp(raw uint32, now time.Time) (late, distance time.Duration) {
	o := t.opening
	if o.arrival.IsZero() || now.Sub(o.arrival) > 2*openMost {
		return 0, 0
	}
	t.pace.expect(o.pace)
	return max(o.lead-(t.pace.scale(t.rate.duration(int64(int32(raw-o.raw))))-now.Sub(o.arrival)), 0), o.distance
}

// sinceArrival is how long after the anchor something arrives, including the steps of the wall clock since.
func (t *Timeline) sinceArrival(now time.Time) time.Duration {
	if step := hubclock.Step(t.anchor, now) - t.absorbed; step.Abs() >= hubclock.SlewStep && step.Abs() < hubclock.RestartStep {
		t.absorbed += step
		t.band.excuse(t.believed.at - t.believed.arrival - step)
		t.pace.meter = paceMeter{}
	}
	return now.Sub(t.anchor) + t.absorbed
}

// aim sets where times should be, relative to arrival.
func (t *Timeline) aim(target time.Duration) {
	if (target - t.target).Abs() > leastSlew {
		t.band.excuse(t.believed.at - t.believed.arrival - target)
	}
	t.target = target
}

// followArrival assigns the time of arrival to an access unit.
func (t *Timeline) followArrival(now time.Time) time.Time {
	producer := t.Expected(now)
	if least := t.newest.Add(time.Millisecond); producer.Before(least) {
		producer = least
	}
	return t.emit(producer, false)
}

// plausible reports whether a timestamp agrees with the previous one and the time that has passed.
func (t *Timeline) plausible(step, arrival time.Duration) bool {
	scaled := t.pace.scale(step)
	if scaled < -ReorderLimit {
		return false
	}
	ahead := t.believed.at + scaled - arrival - t.target
	return scaled <= arrival-t.believed.arrival+strayLimit || ahead <= t.band.most()
}

// takeStray handles an access unit whose timestamp does not agree with earlier ones. It gets the time of its arrival, and
// the next one shows what it was: if that agrees with the earlier ones, it is followed as if nothing had happened; if it
// agrees with the stray one, the timestamps jumped; and many that do not agree with any are a pace, or random.
func (t *Timeline) takeStray(raw uint32, arrival time.Duration) (producer time.Time, jumped bool) {
	s, b := &t.strays, &t.believed
	if step := t.rate.duration(int64(int32(raw - s.raw))); s.agree(t.pace.scale(step), arrival-s.arrival) {
		b.media += time.Duration(float64(s.arrival-b.arrival) / t.pace.gain)
		b.raw, b.at, b.arrival = s.raw, s.at, s.arrival
		*s = strays{}
		return t.advance(raw, step, arrival), true
	}
	s.row++
	t.stall.seen = arrival
	passed := arrival - b.arrival
	if s.row == 1 && passed < stallFrom { // it may have arrived late
		passed = min(passed, t.frame)
	}
	s.raw, s.arrival, s.at = raw, arrival, b.at+passed
	producer = t.origin.Add(s.at)
	if s.row >= wildUnits && t.pace.guess(wildUnits) {
		b.raw, b.at, b.arrival = raw, s.at, arrival
		*s = strays{}
	}
	if least := t.emitted.at.Add(time.Millisecond); producer.Before(least) && least.Sub(t.origin)-arrival < ReorderLimit {
		producer = least
	}
	return t.emit(producer, false), false
}

// advance moves on to an access unit with a plausible timestamp.
func (t *Timeline) advance(raw uint32, step, arrival time.Duration) time.Time {
	scaled := t.pace.scale(step)
	if t.burst.left > 0 && step > 0 {
		t.burst.left -= step
		scaled = time.Duration(float64(scaled) * t.burst.gain)
	}
	before := t.believed.at
	unordered := t.unordered(step, arrival)
	t.believed = believed{raw: raw, media: t.believed.media + step, arrival: arrival, at: before + scaled}
	if unordered {
		t.order.retreat(t.believed.media)
	} else {
		t.order.add(t.believed.media)
	}
	lag := arrival - t.believed.at
	t.stall.arrived(arrival, scaled, lag, t.longest)
	if t.order.forward {
		t.stall.expire(arrival, lag)
	}
	if scaled > 0 && scaled < time.Second {
		t.frame = scaled
	}
	if t.stall.credit == 0 {
		t.pace.add(paceSample{arrival: arrival, media: t.believed.media})
	}
	t.slew(scaled)
	bound := t.bound(before, scaled)
	return t.place(scaled, bound)
}

// lead is how far the access unit is ahead of its target.
func (t *Timeline) lead() time.Duration { return t.believed.at - t.believed.arrival - t.target }

// slew corrects the time of an access unit a little towards arrival, or towards the camera's own time.
func (t *Timeline) slew(scaled time.Duration) {
	switch {
	case !t.camera.IsZero():
		t.slewing.correction = -t.origin.Add(t.believed.at).Sub(t.camera)
	case t.stall.credit <= 0:
		t.slewing.watch(t.believed.arrival, t.lead())
	}
	t.believed.at += t.slewing.next(scaled, t.pace.ordinary())
}

// bound keeps times within the band around arrival, and reports whether it had to. before is the time of
// the previous access unit.
func (t *Timeline) bound(before, scaled time.Duration) bool {
	lead, slack := t.lead(), t.stall.credit
	if t.order.forward {
		t.band.narrow(lead)
	} else {
		slack += t.order.reach(t.believed.arrival, t.stall.distance)
	}
	by := t.band.correction(lead, slack)
	t.believed.at += by
	if by < 0 && scaled > 0 && t.believed.at <= before && lead < ReorderLimit {
		t.believed.at = before + min(scaled, time.Millisecond)
	}
	return by != 0
}

// place returns the time of the last plausible access unit. While the camera's clock is ordinary no distance to
// the previous one differs from the camera's by more than 1 ms, which rounding and slewing together might exceed.
func (t *Timeline) place(scaled time.Duration, bound bool) time.Time {
	// Access units with the same timestamp must not have the same time.
	exact := t.origin.Add(t.believed.at + time.Duration(t.still.same)*time.Millisecond)
	producer, last := exact.Round(time.Millisecond), t.emitted.at
	if t.emitted.exact && !bound && t.still.same == 0 && t.pace.ordinary() {
		most := last.Add(scaled + time.Millisecond).Truncate(time.Millisecond)
		least := last.Add(scaled - 1).Truncate(time.Millisecond) // times are multiples of a ms
		switch {
		case producer.After(most):
			producer = most
			t.believed.at += most.Add(time.Millisecond / 2).Sub(exact)
		case producer.Before(least):
			producer = least
			t.believed.at += least.Add(-time.Millisecond / 2).Sub(exact)
		}
	}
	inOrder := scaled > 0 || t.order.retreated(scaled)
	if (inOrder && producer.Before(last) || producer.Equal(last)) && last.Sub(t.origin)-t.believed.arrival < ReorderLimit-aheadLimit {
		producer = last.Add(time.Millisecond)
	}
	return t.emit(producer, true)
}

// emit notes a producer timestamp. exact: it is that of the last plausible access unit.
func (t *Timeline) emit(producer time.Time, exact bool) time.Time {
	producer = producer.Round(time.Millisecond)
	if producer.After(t.newest) {
		t.newest = producer
	}
	t.emitted = emitted{at: producer, exact: exact}
	return producer
}
