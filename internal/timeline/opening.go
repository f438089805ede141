package timeline

import (
	"math"
	"time"
)

const (
	// openLeast is how long the first moments of a session are held at least, by arrival, and openMost at most.
	openLeast = 500 * time.Millisecond
	openMost  = 2500 * time.Millisecond
	// openSlow is how long they are held where the camera's clock seems to be slow.
	openSlow = time.Second
	// openCalm is how long no access unit may have been less late than earlier ones, for the camera's buffered
	// frames to be over, except by openGrowth.
	openCalm   = 400 * time.Millisecond
	openGrowth = 100 * time.Millisecond
	// openFew is too few access units to recognise buffered frames by their order.
	openFew = 8
	// OpeningUnits bounds how many access units are held.
	OpeningUnits = 1024
	// openKept is longer than any camera buffers.
	openKept = 30 * time.Second
	// openStray is the least distance of a stray access unit from its neighbours.
	openStray = 2 * time.Second
	// openFar is more than the distance of any two timestamps of a session's first moments.
	openFar = time.Minute
)

// Opening is the measurement of a session's first moments, in which a camera may send buffered frames at once. The zero
// value means unknown.
type Opening struct {
	raw      uint32        // timestamp of an access unit
	arrival  time.Time     // when it arrived; zero: nothing is known
	lead     time.Duration // how much less late the timeliest of all was
	pace     float64       // of the camera's clock, roughly; 0: unknown
	distance time.Duration // of access units, where the pace is about 1; else 0
}

// stray reports whether a timestamp does not belong to the opening.
func (o Opening) stray(raw uint32, rate clockRate) bool {
	return !o.arrival.IsZero() && math.Abs(float64(int32(raw-o.raw))) > float64(rate)*openFar.Seconds()*mostPace
}

// OpeningGauge measures an opening, by its access units, which are held meanwhile.
type OpeningGauge struct {
	rate  clockRate
	base  time.Time // arrival of the first unit
	raws  []uint32
	units []paceSample // since the first
	kept  []paceSample // those that are not stray; reused
	first int          // index in units of the first of kept
}

// NewOpeningGauge returns a gauge for a track of rate RTP ticks per second.
func NewOpeningGauge(rate int) OpeningGauge { return OpeningGauge{rate: clockRate(max(rate, 1))} }

// Add adds the RTP timestamp and the arrival of an access unit, and reports whether the measurement is complete.
func (g *OpeningGauge) Add(raw uint32, arrival time.Time) (done bool) {
	if len(g.units) == 0 {
		g.base = arrival
		g.raws, g.units = append(g.raws, raw), append(g.units, paceSample{})
		return false
	}
	last := len(g.units) - 1
	step := float64(int32(raw-g.raws[last])) / float64(g.rate) * float64(time.Second)
	passed := arrival.Sub(g.base)
	g.raws, g.units = append(g.raws, raw), append(g.units, paceSample{passed, g.units[last].media + time.Duration(step)})
	switch {
	case len(g.units) >= OpeningUnits, passed >= openMost:
		return true
	case passed < openLeast, len(g.units) < openFew:
		return false
	}
	g.sift()
	if _, slow := g.slow(); slow && passed < openSlow {
		return false
	}
	return g.growth() <= openGrowth
}

// sift leaves out stray units: those far from both neighbours, which are near each other.
func (g *OpeningGauge) sift() {
	g.kept, g.first = g.kept[:0], -1
	for i, u := range g.units {
		before, after := u, u
		switch n := len(g.units); {
		case n < 3:
		case i == 0:
			before, after = g.units[1], g.units[2]
		case i == n-1:
			before, after = g.units[i-1], g.units[i-2]
		default:
			before, after = g.units[i-1], g.units[i+1]
		}
		gap := min((u.media - before.media).Abs(), (u.media - after.media).Abs())
		if gap > openStray && gap > 4*(after.media-before.media).Abs() {
			continue
		}
		if g.first < 0 {
			g.first = i
		}
		g.kept = append(g.kept, u)
	}
}

// growth is by how much the latest units are less late than the earlier ones.
func (g *OpeningGauge) growth() time.Duration {
	if len(g.kept) < 2 {
		return 0
	}
	last := g.kept[len(g.kept)-1].arrival
	calm := last - max(openCalm, last/3)
	early, all := g.kept[0].lead(), g.kept[0].lead()
	for _, u := range g.kept {
		all = max(all, u.lead())
		if u.arrival <= calm {
			early = max(early, u.lead())
		}
	}
	return all - early
}

// slow is the pace of all units, and whether the camera's clock seems to be very slow. The longest wait is left out: units
// delayed by a stall may not have arrived yet, and would make the clock seem slow.
func (g *OpeningGauge) slow() (pace float64, slow bool) {
	n := len(g.kept)
	if n < openFew {
		return 0, false
	}
	var stall paceSample
	for i := 1; i < n; i++ {
		if wait := g.kept[i].arrival - g.kept[i-1].arrival; wait > stall.arrival {
			stall = paceSample{wait, g.kept[i].media - g.kept[i-1].media}
		}
	}
	first, last := g.kept[0], g.kept[n-1]
	pace = float64(last.media-first.media-stall.media) / float64(max(last.arrival-first.arrival-stall.arrival, 1))
	return pace, pace > leastPace && pace < 0.5
}

// fast is the pace of the latest units, when they agree on one.
func (g *OpeningGauge) fast() (pace float64, ok bool) {
	from := g.kept[len(g.kept)-1].arrival - openMost/2
	var r recent
	// A few, evenly spaced, are sufficient.
	late := g.kept
	for len(late) > 0 && late[0].arrival < from {
		late = late[1:]
	}
	if n := len(g.kept); len(late) < recentUnits { // a low frame rate
		pace = float64(g.kept[n-1].media-g.kept[0].media) / float64(max(g.kept[n-1].arrival-g.kept[0].arrival, 1))
		return pace, pace > leastPace && pace < mostPace
	}
	for i := range recentUnits {
		r.add(late[i*(len(late)-1)/(recentUnits-1)])
	}
	return r.pace(recentUnits)
}

// Measure returns the measurement by the units added so far.
func (g *OpeningGauge) Measure() Opening {
	if len(g.units) < 2 {
		return Opening{}
	}
	g.sift()
	if len(g.kept) < 2 {
		return Opening{}
	}
	o := Opening{raw: g.raws[g.first], arrival: g.base.Add(g.kept[0].arrival)}
	pace, odd := g.slow()
	if !odd && g.growth() > openGrowth {
		if pace, odd = g.fast(); !odd {
			return Opening{}
		}
	}
	gain := 1.0
	if odd {
		o.pace, gain = pace, 1/pace
	} else if n := len(g.kept); n >= openFew && g.growth() <= openGrowth {
		o.pace, o.distance = 1, (g.kept[n-1].media-g.kept[0].media)/time.Duration(n-1)
	}
	for _, u := range g.kept {
		u.arrival -= g.kept[0].arrival
		u.media = time.Duration(float64(u.media-g.kept[0].media) * gain)
		o.lead = max(o.lead, u.lead())
	}
	if o.lead > openKept {
		return Opening{}
	}
	return o
}
