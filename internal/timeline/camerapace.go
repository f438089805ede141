package timeline

import (
	"math"
	"time"
)

// paceClass classifies the pace of a camera's clock against the hub's.
type paceClass uint8

const (
	paceUnknown  paceClass = iota // not measured yet
	paceOrdinary                  // within ordinaryPace: distances are the camera's
	paceScaled                    // within scaledPace: distances are scaled
	paceBeyond                    // arrival decides
)

const (
	// ordinaryLeast is the deviation up to which a clock's pace is ordinary: 1,000 ppm. ordinaryPace includes the
	// error of measurement.
	ordinaryLeast = 0.001
	ordinaryPace  = 0.0012
	// scaledPace is the deviation up to which distances are scaled: 5 %, and the error of measurement.
	scaledPace = 0.0505
	// earlyPace is the least deviation that is followed before a whole interval has passed.
	earlyPace = 0.015
	// surePace is the least deviation that one interval proves whatever the network does: 60 ms in 10 s.
	surePace = 0.006
	// earlyLead is the least error that a pace must have caused before it is followed early.
	earlyLead = 60 * time.Millisecond
	// paceMemory is the number of intervals over which a pace is averaged.
	paceMemory = 6
	// reportedFrom is how many consecutive intervals must show an odd pace before it is reported.
	reportedFrom = 2
)

// classOf returns the class of a pace: seconds of the camera's clock in one of the hub's.
func classOf(pace float64) paceClass {
	switch off := math.Abs(pace - 1); {
	case off <= ordinaryPace:
		return paceOrdinary
	case off <= scaledPace:
		return paceScaled
	}
	return paceBeyond
}

// near reports whether two paces are the same, within the error of measurement.
func near(a, b float64) bool {
	return math.Abs(a-b) <= max(math.Abs(a-1)/4, surePace/4)
}

// clockPace is the pace of a camera's clock, as far as known.
type clockPace struct {
	gain     float64 // seconds of the hub in one of the camera's clock
	class    paceClass
	doubted  float64 // a pace that would turn an ordinary clock into an odd one, if measured twice
	measures int     // consecutive intervals of one class
	mean     float64 // pace over them
	meter    paceMeter
	recent   recent
}

// restart forgets the session. A known odd pace stays, until it is measured again.
func (p *clockPace) restart() {
	if p.class == paceOrdinary {
		p.class = paceUnknown
	}
	p.measures = 0
}

// anchor forgets the access units before an anchor.
func (p *clockPace) anchor() {
	if p.gain == 0 {
		p.gain = 1
	}
	p.meter, p.recent, p.doubted = paceMeter{}, recent{}, 0
}

// ordinary reports whether distances are the camera's own, as far as known.
func (p *clockPace) ordinary() bool { return p.class <= paceOrdinary }

// scale converts a duration by the camera's clock to the hub's.
func (p *clockPace) scale(d time.Duration) time.Duration {
	if p.gain == 1 {
		return d
	}
	return time.Duration(math.Round(float64(d) * p.gain))
}

// add measures with an access unit that was not delayed.
func (p *clockPace) add(s paceSample) {
	if pace, over, ok := p.meter.add(s); ok {
		p.judge(pace, over)
	}
}

// expect sets the pace of a session's first moments; 0: unknown.
func (p *clockPace) expect(pace float64) {
	if pace <= 0 {
		return
	}
	if odd := pace < 0.5 || pace > 1.25; odd || p.gain*pace < 0.5 || p.gain*pace > 2 {
		p.gain, p.class, p.measures = 1, paceUnknown, 0
		if odd {
			p.gain = 1 / pace
		}
	}
}

// guess derives the pace from the last access units, whose timestamps are implausible at the present pace, and reports whether
// they agree on one.
func (p *clockPace) guess(units int) bool {
	pace, ok := p.recent.pace(units)
	if ok {
		p.gain, p.class, p.measures = 1/pace, paceUnknown, 0
		p.meter = paceMeter{}
	}
	return ok
}

// judge evaluates a pace that was measured over a time.
func (p *clockPace) judge(pace float64, over time.Duration) {
	if pace < leastPace || pace > mostPace {
		return // they are not timestamps: the band applies
	}
	off := math.Abs(pace - 1)
	if over < paceInterval {
		if p.class == paceUnknown {
			p.gain = 1
			if off > earlyPace && off*float64(over) > float64(earlyLead) {
				p.gain = 1 / pace
			}
		}
		return
	}
	switch p.class {
	case paceUnknown:
		p.adopt(pace, off > surePace)
	case paceOrdinary:
		long, took := p.meter.long(false)
		small := math.Abs(long - 1)
		switch {
		case off > surePace && near(pace, p.doubted):
			p.adopt(pace, true)
		case off > surePace: // a network may cause that once
			p.doubted = pace
		case small > ordinaryPace && (small-ordinaryLeast)*float64(took) > float64(earlyLead):
			p.adopt(long, true)
		default:
			p.doubted = 0
		}
	default:
		changed := math.Abs(pace-p.mean) > max(math.Abs(p.mean-1)/4, surePace)
		if changed {
			p.adopt(pace, off > surePace)
			return
		}
		p.measures++
		p.mean += (pace - p.mean) / float64(min(p.measures, paceMemory))
		p.adopt(p.mean, math.Abs(p.mean-1) > ordinaryPace)
	}
}

// adopt accepts a pace as known. odd: it is certainly not that of an ordinary clock.
func (p *clockPace) adopt(pace float64, odd bool) {
	class := paceOrdinary
	if odd {
		class = max(classOf(pace), paceScaled)
	}
	if class != p.class || !near(pace, p.mean) {
		p.measures = 1
		p.meter.long(true)
	}
	p.class, p.mean, p.doubted, p.gain = class, pace, 0, 1
	if odd {
		p.gain = 1 / pace
	}
}

// odd returns the pace of the camera's clock when it is known not to be ordinary, else 0, and whether
// distances are scaled by it.
func (p *clockPace) odd() (pace float64, scaled bool) {
	if p.measures < reportedFrom || p.class < paceScaled {
		return 0, false
	}
	return p.mean, p.class == paceScaled
}
