package timeline

import (
	"math"
	"time"
)

// paceClass is how a camera's clock runs, by the hub's.
type paceClass uint8

const (
	paceUnknown  paceClass = iota // not measured yet
	paceOrdinary                  // within ordinaryPace: distances are the camera's
	paceScaled                    // within scaledPace: distances are scaled
	paceBeyond                    // arrival decides
)

const (
	// ordinaryLeast is how far a clock may be off its pace and be an ordinary one: 1,000 ppm. ordinaryPace has in it what
	// measuring costs.
	ordinaryLeast = 0.001
	ordinaryPace  = 0.0012
	// scaledPace is how far it may be off and still be taken for a clock: 5 %, and what measuring it costs.
	scaledPace = 0.0505
	// earlyPace is the least deviation that is followed before a whole interval was watched.
	earlyPace = 0.015
	// surePace is the least deviation that one interval shows whatever the network does: 60 ms in 10 s.
	surePace = 0.006
	// earlyLead is the least that a pace must have cost before it is followed early.
	earlyLead = 60 * time.Millisecond
	// paceMemory is over how many intervals a pace is averaged.
	paceMemory = 6
	// reportedFrom is how many intervals in a row must show an odd pace before anybody is notified.
	reportedFrom = 2
)

// classOf is the class of a pace: seconds of the camera's clock in one of the hub's.
func classOf(pace float64) paceClass {
	switch off := math.Abs(pace - 1); {
	case off <= ordinaryPace:
		return paceOrdinary
	case off <= scaledPace:
		return paceScaled
	}
	return paceBeyond
}

// near reports whether two paces are one, measured twice.
func near(a, b float64) bool {
	return math.Abs(a-b) <= max(math.Abs(a-1)/4, surePace/4)
}

// clockPace is what is known of the pace of a camera's clock.
type clockPace struct {
	gain     float64 // seconds of the hub in one of the camera's clock
	class    paceClass
	doubted  float64 // a pace that makes an ordinary clock an odd one, if it is measured twice
	measures int     // intervals in a row of one class
	mean     float64 // pace over them
	meter    paceMeter
	recent   recent
}

// restart forgets the session. What is known of an odd pace stays, until it is measured again.
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

// ordinary reports whether distances are the camera's, as far as is known.
func (p *clockPace) ordinary() bool { return p.class <= paceOrdinary }

// scale is a time by the camera's clock in the hub's.
func (p *clockPace) scale(d time.Duration) time.Duration {
	if p.gain == 1 {
		return d
	}
	return time.Duration(math.Round(float64(d) * p.gain))
}

// add measures with an access unit that was not held up.
func (p *clockPace) add(s paceSample) {
	if pace, over, ok := p.meter.add(s); ok {
		p.judge(pace, over)
	}
}

// expect takes the pace of a session's first moments; 0: not known.
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

// guess takes the pace of so many last access units, whose timestamps are implausible by it, and reports whether they
// have one.
func (p *clockPace) guess(units int) bool {
	pace, ok := p.recent.pace(units)
	if ok {
		p.gain, p.class, p.measures = 1/pace, paceUnknown, 0
		p.meter = paceMeter{}
	}
	return ok
}

// judge takes a pace that was measured over so long.
func (p *clockPace) judge(pace float64, over time.Duration) {
	if pace < leastPace || pace > mostPace {
		return // they are no timestamps: the band holds
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
		case off > surePace: // a network may look like that once
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

// adopt takes a pace for known. odd says that it is surely none of an ordinary clock.
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

// odd returns the pace of the camera's clock when it is known not to be an ordinary one, else 0, and whether it
// is within what distances are scaled by.
func (p *clockPace) odd() (pace float64, scaled bool) {
	if p.measures < reportedFrom || p.class < paceScaled {
		return 0, false
	}
	return p.mean, p.class == paceScaled
}
