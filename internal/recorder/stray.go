package recorder

import (
	"math"
	"time"
)

// earlyLead is the least that a pace must have cost before it is followed early.
const earlyLead = 60 * time.Millisecond

// stray takes an access unit whose timestamp does not go with those before. It gets the time of its arrival, and
// the next one shows what it was: one that goes with those before is followed as if nothing had been, one
// that goes with the stray shows a jump, and many that go with nothing are a pace or nothing at all.
func (t *timeline) stray(raw uint32, arrival time.Duration) (producer time.Time, jumped bool) {
	if t.wild > 0 {
		if step, passed := t.duration(int64(int32(raw-t.odd))), arrival-t.oddArrival; t.agree(step, passed) {
			t.wild = 0
			t.media += time.Duration(float64(t.oddArrival-t.arrival) / t.gain)
			t.raw, t.at, t.arrival = t.odd, t.oddAt, t.oddArrival
			return t.advance(raw, step, arrival), true
		}
	}
	t.wild++
	t.seen = arrival
	passed := arrival - t.arrival
	if t.wild == 1 && passed < stallFrom { // it may have come late
		passed = min(passed, t.frame)
	}
	t.odd, t.oddArrival, t.oddAt = raw, arrival, t.at+passed
	producer = t.origin.Add(t.oddAt)
	if t.wild >= wildLimit {
		t.takePace(raw, arrival)
	}
	if least := t.last.Add(time.Millisecond); producer.Before(least) && least.Sub(t.origin)-arrival < reorderLimit {
		producer = least
	}
	return t.give(producer, false), false
}

// agree reports whether two implausible timestamps go with each other.
func (t *timeline) agree(step, passed time.Duration) bool {
	scaled := t.scale(step)
	return scaled >= -reorderLimit && scaled <= passed+strayLimit/2
}

// takePace follows timestamps that are implausible by their pace, when they have one.
func (t *timeline) takePace(raw uint32, arrival time.Duration) {
	pace, ok := t.recent.pace(wildLimit)
	if !ok {
		return
	}
	t.gain, t.class, t.measures = 1/pace, paceUnknown, 0
	t.raw, t.at, t.arrival, t.wild = raw, t.oddAt, arrival, 0
	t.meter.began = false
}

// judge takes a pace that was measured over so long.
func (t *timeline) judge(pace float64, over time.Duration) {
	if pace < leastPace || pace > mostPace {
		return // they are no timestamps: the band holds
	}
	off := math.Abs(pace - 1)
	if over < paceWindow {
		if t.class == paceUnknown {
			t.gain = 1
			if off > earlyPace && off*float64(over) > float64(earlyLead) {
				t.gain = 1 / pace
			}
		}
		return
	}
	switch t.class {
	case paceUnknown:
		t.settle(pace, off > surePace)
	case paceOrdinary:
		long, took := t.meter.long(false)
		small := math.Abs(long - 1)
		switch {
		case off > surePace && near(pace, t.doubted):
			t.settle(pace, true)
		case off > surePace: // a network may look like that once
			t.doubted = pace
		case small > ordinaryPace && (small-ordinaryLeast)*float64(took) > float64(earlyLead):
			t.settle(long, true)
		default:
			t.doubted = 0
		}
	default:
		changed := math.Abs(pace-t.mean) > max(math.Abs(t.mean-1)/4, surePace)
		if changed {
			t.settle(pace, off > surePace)
			return
		}
		t.measures++
		t.mean += (pace - t.mean) / float64(min(t.measures, paceMemory))
		t.settle(t.mean, math.Abs(t.mean-1) > ordinaryPace)
	}
}

// settle takes a pace for known. odd tells that it is surely none of an ordinary clock.
func (t *timeline) settle(pace float64, odd bool) {
	class := paceOrdinary
	if odd {
		class = max(classOf(pace), paceScaled)
	}
	if class != t.class || !near(pace, t.mean) {
		t.measures = 1
		t.meter.long(true)
	}
	t.class, t.mean, t.doubted, t.gain = class, pace, 0, 1
	if odd {
		t.gain = 1 / pace
	}
}

// paceMemory is over how many windows a pace is averaged.
const paceMemory = 6

// near reports whether two paces are one, measured twice.
func near(a, b float64) bool {
	return math.Abs(a-b) <= max(math.Abs(a-1)/4, surePace/4)
}

// paceTold is how many windows in a row must show an odd pace before anybody is told.
const paceTold = 2

// oddPace returns the pace of the camera's clock when it is known not to be an ordinary one, else 0.
func (t *timeline) oddPace() float64 {
	if t.measures < paceTold || t.class < paceScaled {
		return 0
	}
	return t.mean
}

// heldUp is how much later than the timeliest access unit of the opening one came, and takes the opening's pace.
func (t *timeline) heldUp(raw uint32, now time.Time) time.Duration {
	o := t.opening
	if o.arrival.IsZero() || now.Sub(o.arrival) > 2*openMost {
		return 0
	}
	if o.pace > 0 {
		if odd := o.pace < 0.5 || o.pace > 1.25; odd || t.gain*o.pace < 0.5 || t.gain*o.pace > 2 {
			t.gain, t.class, t.measures = 1, paceUnknown, 0
			if odd {
				t.gain = 1 / o.pace
			}
		}
	}
	return max(o.lead-(t.scale(t.duration(int64(int32(raw-o.raw))))-now.Sub(o.arrival)), 0)
}
