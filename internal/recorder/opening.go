package recorder

import (
	"math"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
)

const (
	// openLeast is how long the first moments of a session are held back at least, by arrival, and openMost at most.
	openLeast = 500 * time.Millisecond
	openMost  = 2500 * time.Millisecond
	// openSlow is how long they are held back where the camera's clock seems to be slow.
	openSlow = time.Second
	// openCalm is how long no access unit may have been less late than those before, for what the camera
	// kept to be over, but for openGrowth.
	openCalm   = 400 * time.Millisecond
	openGrowth = 100 * time.Millisecond
	// openFew are too few access units to tell what the camera kept from how it orders them.
	openFew = 8
	// openUnits and openBytes bound what is held back.
	openUnits = 1024
	openBytes = 8 << 20
	// openKept is more than any camera has kept.
	openKept = 30 * time.Second
	// openStray is the least distance of two access units that may be a stray one's.
	openStray = 2 * time.Second
	// openFar is further than timestamps of one session's first moments can lie apart.
	openFar = time.Minute
)

// opening is what is known of a session's first moments, in which a camera may send at once what it has kept.
type opening struct {
	raw     uint32        // timestamp of an access unit
	arrival time.Time     // when it came; zero: nothing is known
	lead    time.Duration // how much less late than it the timeliest of all was
	pace    float64       // of the camera's clock, roughly; 0: not known
}

// stray reports whether a timestamp is none of the opening's.
func (o opening) stray(raw uint32, rate int64) bool {
	return !o.arrival.IsZero() && math.Abs(float64(int32(raw-o.raw))) > float64(rate)*openFar.Seconds()*mostPace
}

// openingGauge measures an opening. It is pure.
type openingGauge struct {
	base  time.Time // arrival of the first unit
	raws  []uint32
	units []paceSample // since the first
	sound []paceSample // those that are no stray ones; reused
	firm  int          // index in units of the first in sound
}

// add takes an access unit and reports whether enough is known.
func (g *openingGauge) add(raw uint32, arrival time.Time, rate int64) (done bool) {
	if len(g.units) == 0 {
		g.base = arrival
		g.raws, g.units = append(g.raws, raw), append(g.units, paceSample{})
		return false
	}
	last := len(g.units) - 1
	step := float64(int32(raw-g.raws[last])) / float64(max(rate, 1)) * float64(time.Second)
	passed := arrival.Sub(g.base)
	g.raws, g.units = append(g.raws, raw), append(g.units, paceSample{passed, g.units[last].media + time.Duration(step)})
	switch {
	case len(g.units) >= openUnits, passed >= openMost:
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
func (g *openingGauge) sift() {
	g.sound, g.firm = g.sound[:0], -1
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
		if g.firm < 0 {
			g.firm = i
		}
		g.sound = append(g.sound, u)
	}
}

// growth is by how much units became timelier of late.
func (g *openingGauge) growth() time.Duration {
	if len(g.sound) < 2 {
		return 0
	}
	last := g.sound[len(g.sound)-1].arrival
	calm := last - max(openCalm, last/3)
	early, all := g.sound[0].lead(), g.sound[0].lead()
	for _, u := range g.sound {
		all = max(all, u.lead())
		if u.arrival <= calm {
			early = max(early, u.lead())
		}
	}
	return all - early
}

// slow is the pace of all units, and whether the camera's clock seems to be slow by far.
func (g *openingGauge) slow() (pace float64, slow bool) {
	n := len(g.sound)
	if n < openFew {
		return 0, false
	}
	pace = float64(g.sound[n-1].media-g.sound[0].media) / float64(g.sound[n-1].arrival-g.sound[0].arrival)
	return pace, pace > leastPace && pace < 0.5
}

// fast is the pace of the units of late, when they have one.
func (g *openingGauge) fast() (pace float64, ok bool) {
	from := g.sound[len(g.sound)-1].arrival - openMost/2
	var r recent
	// Some, evenly, are enough.
	late := g.sound
	for len(late) > 0 && late[0].arrival < from {
		late = late[1:]
	}
	if n := len(g.sound); len(late) < recentUnits { // few frames a second
		pace = float64(g.sound[n-1].media-g.sound[0].media) / float64(max(g.sound[n-1].arrival-g.sound[0].arrival, 1))
		return pace, pace > leastPace && pace < mostPace
	}
	for i := range recentUnits {
		r.add(late[i*(len(late)-1)/(recentUnits-1)])
	}
	return r.pace(recentUnits)
}

// measure says what the units taken so far tell.
func (g *openingGauge) measure(rate int64) opening {
	if len(g.units) < 2 || rate <= 0 {
		return opening{}
	}
	g.sift()
	if len(g.sound) < 2 {
		return opening{}
	}
	o := opening{raw: g.raws[g.firm], arrival: g.base.Add(g.sound[0].arrival)}
	pace, odd := g.slow()
	if !odd && g.growth() > openGrowth {
		if pace, odd = g.fast(); !odd {
			return opening{}
		}
	}
	gain := 1.0
	if odd {
		o.pace, gain = pace, 1/pace
	} else if n := len(g.sound); n >= openFew && g.growth() <= openGrowth {
		o.pace = 1
	}
	for _, u := range g.sound {
		u.arrival -= g.sound[0].arrival
		u.media = time.Duration(float64(u.media-g.sound[0].media) * gain)
		o.lead = max(o.lead, u.lead())
	}
	if o.lead > openKept {
		return opening{}
	}
	return o
}

// datedSink is a sink that is told of a session's opening.
type datedSink interface {
	accessunit.Sink
	// opened tells what is known of the video and of the audio, before their first frames.
	opened(video, audio opening)
}

// openingHold holds the first moments of a session back, until it is known by how much what comes first was held
// up on its way: a camera may send at once what it has kept, and a frame that is written cannot be dated back.
// After that everything goes straight on. Arrivals stay as they were.
type openingHold struct {
	to      datedSink
	holds   bool // else everything goes straight on
	holding bool
	rate    [2]int64 // of the video and of the audio
	gauge   [2]openingGauge
	bytes   int
	held    []func()
}

func newOpeningHold(to datedSink, holds bool) *openingHold { return &openingHold{to: to, holds: holds} }

// Begin implements accessunit.Sink.
func (h *openingHold) Begin(c accessunit.Codec, rate int, parameterSets [][]byte, audio *accessunit.AudioTrack) {
	h.release()
	h.to.Begin(c, rate, parameterSets, audio)
	h.holding, h.rate = h.holds, [2]int64{int64(max(rate, 1)), 1}
	if audio != nil {
		h.rate[1] = int64(max(audio.Rate, 1))
	}
}

// release hands everything over that is held back.
func (h *openingHold) release() {
	if !h.holding {
		return
	}
	held := h.held
	h.holding, h.held, h.bytes = false, nil, 0
	h.to.opened(h.gauge[0].measure(h.rate[0]), h.gauge[1].measure(h.rate[1]))
	h.gauge = [2]openingGauge{}
	for _, hand := range held {
		hand()
	}
}

// do does something now, or when what was held back before it has been handed over.
func (h *openingHold) do(what func()) {
	if !h.holding {
		what()
		return
	}
	h.held = append(h.held, what)
	if len(h.held) > 2*openUnits {
		h.release()
	}
}

// AccessUnit implements accessunit.Sink.
func (h *openingHold) AccessUnit(nalus [][]byte, rtpTime uint32, now time.Time) {
	if !h.holding {
		h.to.AccessUnit(nalus, rtpTime, now)
		return
	}
	own := make([][]byte, len(nalus))
	for i, nal := range nalus {
		own[i] = append([]byte(nil), nal...)
		h.bytes += len(nal)
	}
	h.do(func() { h.to.AccessUnit(own, rtpTime, now) })
	if h.holding && h.gauge[0].add(rtpTime, now, h.rate[0]) || h.bytes > openBytes {
		h.release()
	}
}

// Audio implements accessunit.Sink.
func (h *openingHold) Audio(frame []byte, rtpTime uint32, now time.Time) {
	if !h.holding {
		h.to.Audio(frame, rtpTime, now)
		return
	}
	own := append([]byte(nil), frame...)
	h.bytes += len(own)
	h.gauge[1].add(rtpTime, now, h.rate[1])
	h.do(func() { h.to.Audio(own, rtpTime, now) })
	if h.bytes > openBytes {
		h.release()
	}
}

// Damaged implements accessunit.Sink.
func (h *openingHold) Damaged(frames int64, err error) { h.do(func() { h.to.Damaged(frames, err) }) }

// Missed implements accessunit.Sink.
func (h *openingHold) Missed(frames int64) { h.do(func() { h.to.Missed(frames) }) }

// AudioLeft implements accessunit.Sink.
func (h *openingHold) AudioLeft(names []string) { h.do(func() { h.to.AudioLeft(names) }) }

// CameraTime implements accessunit.Sink.
func (h *openingHold) CameraTime(ntp time.Time, rtpTime uint32) {
	h.do(func() { h.to.CameraTime(ntp, rtpTime) })
}

// Noticed implements accessunit.Sink.
func (h *openingHold) Noticed(err error) { h.do(func() { h.to.Noticed(err) }) }

// Panicked implements accessunit.Sink.
func (h *openingHold) Panicked(frames int64, value any) (until time.Time) {
	h.release()
	return h.to.Panicked(frames, value)
}
