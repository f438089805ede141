// Package timeline decides the producer time of each frame of a camera: the time by the hub's clock that its recording
// carries. A camera says when a frame was taken only by RTP timestamps, ticks of a clock with an unknown start whose
// pace may be wrong, which may jump or stand still; the network brings frames late; and the hub's own clock may be set
// while it records. What must come out of it are times that rise, keep the camera's distances and stay near the truth.
//
// A [Timeline] has the times of one track. Distances are those of the timestamps, while arrival bounds what they add up
// to: times are slewed to the arrival of the timeliest access units, and leave a band around arrival only as far as a
// stall of the network explains. The pace of the camera's clock is measured over 10 s, and distances are scaled by it
// where it is not an ordinary one. Before it is measured, and while it changes, the band holds: then arrival decides.
//
// Its callers hand it what else is known: the [Opening] of a session, in which a camera may send at once what it has kept, as an
// [OpeningGauge] measures it; and the camera's own time, as a [CameraClock] judges it. [EpochWatch] and [UnsyncedClock]
// remember what was recorded by a clock of the hub that was ahead, or was not set yet.
//
// Everything is pure and starts no goroutine. Times of arrival are arguments: readings of the hub's wall clock that carry
// the monotonic one, by which a step of the wall clock is noticed; times without it serve as both. Nothing here is
// safe for concurrent use, and no call for a single access unit allocates, but for those of an OpeningGauge.
package timeline

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

// Timeline assigns producer times to the access units, or the audio frames, of one track.
type Timeline struct {
	rate    clockRate
	longest time.Duration // stall of the network that times lag for
	newest  time.Time     // newest producer time ever assigned, or on disk; nothing new may start at or before it
	opening Opening       // what is known of the session's first moments
	camera  time.Time     // the camera's time of the next access unit, which times are slewed to; zero: the hub's
	target  time.Duration // where times are to be, from arrival: the camera's clock, from the hub's
	pace    clockPace
	emitted emitted
	frame   time.Duration // last plausible distance of two access units
	sinceAnchor
}

// emitted is the producer time assigned last.
type emitted struct {
	at    time.Time
	exact bool // it stands for the place of the access unit believed last
}

// sinceAnchor is what times count from, and what is known since. Durations count from the anchor's arrival, but for
// those of producer times.
type sinceAnchor struct {
	anchored bool
	anchor   time.Time     // arrival of the anchor
	origin   time.Time     // its producer time, had it been timely
	absorbed time.Duration // what the wall clock was stepped since, as far as times are slewed to it

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

// believed is the access unit whose timestamp was believed last.
type believed struct {
	raw     uint32
	media   time.Duration // by the camera's clock
	arrival time.Duration
	at      time.Duration // its producer time, from origin
}

// burst is what came at once in the opening and overlaps what is recorded.
type burst struct {
	gain float64       // what it is squeezed by
	left time.Duration // of it, by the camera's clock
}

// New returns the timeline of a video track of rate RTP ticks per second, whose times lie after newest.
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

// Restart forgets what times count from: they count from the next access unit. What is known of an odd pace of the camera
// stays, until it is measured again.
func (t *Timeline) Restart() {
	t.anchored, t.opening = false, Opening{}
	t.pace.restart()
}

// Open takes what is known of the session's first moments, before the first of its access units; the zero Opening
// takes it back.
func (t *Timeline) Open(o Opening) { t.opening = o }

// Continue sets the newest producer time that is on disk: what begins from now on lies after it.
func (t *Timeline) Continue(newest time.Time) { t.newest = newest }

// FollowCamera has times go to the camera's own time of the next access unit, whose clock is ahead of the hub's by
// offset.
func (t *Timeline) FollowCamera(camera time.Time, offset time.Duration) {
	t.camera = camera
	t.aim(offset)
}

// FollowHub has times go to arrival by the hub's clock.
func (t *Timeline) FollowHub() { t.FollowCamera(time.Time{}, 0) }

// FollowTrack has times go to where those of another track are to be.
func (t *Timeline) FollowTrack(other *Timeline) { t.aim(other.target) }

// Anchored reports whether times count from an access unit of this session.
func (t *Timeline) Anchored() bool { return t.anchored }

// Constant reports whether timestamps do not advance, so that times are those of arrival.
func (t *Timeline) Constant() bool { return t.still.constant }

// OddPace returns the pace of the camera's clock (seconds of it in one of the hub's) when it is known not to be an
// ordinary one, else 0. scaled reports that it is within 5 %, so that distances are scaled by it and not replaced by
// arrival.
func (t *Timeline) OddPace() (pace float64, scaled bool) { return t.pace.odd() }

// Assign returns the producer time of an access unit, in whole ms. jumped reports that the timestamps
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
	if t.still.constant { // the timestamps move again
		return t.AnchorAt(rtpTime, arrival, t.Expected(arrival)), false
	}
	since := t.sinceArrival(arrival)
	step := t.rate.duration(delta)
	t.chain.media += t.rate.duration(int64(int32(rtpTime - t.chain.raw)))
	t.chain.raw = rtpTime
	t.pace.recent.add(paceSample{arrival: since, media: t.chain.media})
	if t.plausible(step, since) {
		t.strays = strays{}
		return t.advance(rtpTime, step, since), false
	}
	return t.takeStray(rtpTime, since)
}

// Expected is the producer time of what arrives now, and was not held up.
func (t *Timeline) Expected(now time.Time) time.Time { return t.origin.Add(t.sinceArrival(now)) }

// WallClockLead is by how much the hub's wall clock has been stepped past producer times, 0 when it was not: then times
// are to begin again from the clock (AnchorAt). For one that was stepped back see EpochWatch.
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

// AnchorAt begins times again with an access unit that arrives now, and returns its producer time: wanted, less what the
// opening says that it was held up by, but after the newest.
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
	if *at += excess; *at > ReorderLimit { // nobody knows which clock was right: times continue from the newest
		t.origin = t.origin.Add(*at + late)
		*at = -late
		return
	}
	t.band.ceiling = max(*at, 0)
	if room := aheadLimit - max(*at, 0); excess > room && late > 0 {
		t.burst = burst{gain: max(float64(late-excess+room)/float64(late), 0.01), left: late}
	}
}

// heldUp is how much later than the timeliest access unit of the opening one came, and the distance of access units as far
// as the opening knows it. It takes the opening's pace.
func (t *Timeline) heldUp(raw uint32, now time.Time) (late, distance time.Duration) {
	o := t.opening
	if o.arrival.IsZero() || now.Sub(o.arrival) > 2*openMost {
		return 0, 0
	}
	t.pace.expect(o.pace)
	return max(o.lead-(t.pace.scale(t.rate.duration(int64(int32(raw-o.raw))))-now.Sub(o.arrival)), 0), o.distance
}

// sinceArrival is how long after the anchor something arrives, with what the wall clock was stepped by since.
func (t *Timeline) sinceArrival(now time.Time) time.Duration {
	if step := hubclock.Step(t.anchor, now) - t.absorbed; step.Abs() >= hubclock.SlewStep && step.Abs() < hubclock.RestartStep {
		t.absorbed += step
		t.band.excuse(t.believed.at - t.believed.arrival - step)
		t.pace.meter = paceMeter{}
	}
	return now.Sub(t.anchor) + t.absorbed
}

// aim says where times are to be, from arrival.
func (t *Timeline) aim(target time.Duration) {
	if (target - t.target).Abs() > leastSlew {
		t.band.excuse(t.believed.at - t.believed.arrival - target)
	}
	t.target = target
}

// followArrival assigns an access unit the time of its arrival.
func (t *Timeline) followArrival(now time.Time) time.Time {
	producer := t.Expected(now)
	if least := t.newest.Add(time.Millisecond); producer.Before(least) {
		producer = least
	}
	return t.emit(producer, false)
}

// plausible reports whether a timestamp goes with the one before it and the time that has passed.
func (t *Timeline) plausible(step, arrival time.Duration) bool {
	scaled := t.pace.scale(step)
	if scaled < -ReorderLimit {
		return false
	}
	ahead := t.believed.at + scaled - arrival - t.target
	return scaled <= arrival-t.believed.arrival+strayLimit || ahead <= t.band.most()
}

// takeStray takes an access unit whose timestamp does not go with those before. It gets the time of its arrival, and
// the next one shows what it was: one that goes with those before is followed as if nothing had been, one
// that goes with the stray shows a jump, and many that go with nothing are a pace or nothing at all.
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
	if s.row == 1 && passed < stallFrom { // it may have come late
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

// advance goes on to an access unit whose timestamp is believed.
func (t *Timeline) advance(raw uint32, step, arrival time.Duration) time.Time {
	scaled := t.pace.scale(step)
	if t.burst.left > 0 && step > 0 {
		t.burst.left -= step
		scaled = time.Duration(float64(scaled) * t.burst.gain)
	}
	before := t.believed.at
	t.believed = believed{raw: raw, media: t.believed.media + step, arrival: arrival, at: before + scaled}
	t.order.add(t.believed.media)
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

// lead is how far the access unit is ahead of where times are to be.
func (t *Timeline) lead() time.Duration { return t.believed.at - t.believed.arrival - t.target }

// slew corrects the place of an access unit a little towards arrival, or towards the camera's own time.
func (t *Timeline) slew(scaled time.Duration) {
	switch {
	case !t.camera.IsZero():
		t.slewing.correction = -t.origin.Add(t.believed.at).Sub(t.camera)
	case t.stall.credit <= 0:
		t.slewing.watch(t.believed.arrival, t.lead())
	}
	t.believed.at += t.slewing.next(scaled, t.pace.ordinary())
}

// bound keeps times in the band around arrival, and reports whether they had to be. before is the place of
// the access unit before.
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

// place returns the time of the access unit believed last. While the camera's clock is an ordinary one no distance to
// the one before differs from the camera's by more than 1 ms, which rounding and slewing together might exceed.
func (t *Timeline) place(scaled time.Duration, bound bool) time.Time {
	// Access units of one timestamp must not have one time.
	exact := t.origin.Add(t.believed.at + time.Duration(t.still.same)*time.Millisecond)
	producer, last := exact.Round(time.Millisecond), t.emitted.at
	if t.emitted.exact && !bound && t.still.same == 0 && t.pace.ordinary() {
		most := last.Add(scaled + time.Millisecond).Truncate(time.Millisecond)
		least := last.Add(scaled - 1).Truncate(time.Millisecond) // times are whole ms
		switch {
		case producer.After(most):
			producer = most
			t.believed.at += most.Add(time.Millisecond / 2).Sub(exact)
		case producer.Before(least):
			producer = least
			t.believed.at += least.Add(-time.Millisecond / 2).Sub(exact)
		}
	}
	if (scaled > 0 && producer.Before(last) || producer.Equal(last)) && last.Sub(t.origin)-t.believed.arrival < ReorderLimit-aheadLimit {
		producer = last.Add(time.Millisecond)
	}
	return t.emit(producer, true)
}

// emit notes a producer time. exact says that it stands for the place of the access unit believed last.
func (t *Timeline) emit(producer time.Time, exact bool) time.Time {
	producer = producer.Round(time.Millisecond)
	if producer.After(t.newest) {
		t.newest = producer
	}
	t.emitted = emitted{at: producer, exact: exact}
	return producer
}
