package recorder

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// simulated is a camera whose frames are due at even distances of true time. It stamps them by a clock of
// its own, and a network brings them late.
type simulated struct {
	fps     float64
	reorder bool                                                     // frames are sent as I P B B
	factor  func(at time.Duration) float64                           // of the camera's clock, at a true time. Default 1
	stamp   func(i int, media time.Duration) time.Duration           // changes a frame's stamp. Default none
	late    func(i int, at time.Duration) time.Duration              // of the network. Default none
	arrives func(i int, arrival, before time.Duration) time.Duration // changes an arrival. Default none
}

// unit is a frame as it is sent, and what became of it.
type unit struct {
	sent, arrival, media time.Duration // since noon; sent is when it is shown, had it been timely
	producer             time.Duration
	jumped, odd          bool // odd: its stamp was changed
}

func steady(factor float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return factor }
}

// run plays so much true time.
func (c simulated) run(length time.Duration) []unit {
	if c.fps == 0 {
		c.fps = 25
	}
	step := time.Duration(float64(time.Second) / c.fps)
	order := []int{0, 0, 0, 0}
	if c.reorder {
		order = []int{0, 2, -1, -1} // display position, from decode position
	}
	var units []unit
	media, before := time.Duration(0), time.Duration(0)
	for i := 0; time.Duration(i)*step < length; i++ {
		at := time.Duration(i) * step
		factor := 1.0
		if c.factor != nil {
			factor = c.factor(at)
		}
		if i > 0 {
			media += time.Duration(float64(step) * factor)
		}
		u := unit{sent: at + time.Duration(order[i%4]-order[1])*step, arrival: at, media: media + time.Duration(float64(order[i%4])*float64(step)*factor)}
		if c.stamp != nil {
			changed := c.stamp(i, u.media)
			u.odd, u.media = changed != u.media, changed
		}
		if c.late != nil {
			u.arrival += c.late(i, at)
		}
		u.arrival = max(u.arrival, before) // TCP keeps the order
		if c.arrives != nil {
			u.arrival = max(c.arrives(i, u.arrival, before), before)
		}
		before = u.arrival
		units = append(units, u)
	}
	return units
}

// play assigns times, behind the hold of an opening as a session does.
func play(line *timeline, units []unit) {
	const base = 4_294_900_000
	raw := func(u unit) uint32 { return uint32(int64(base) + int64(math.Round(float64(u.media)*9/100_000))) }
	var gauge openingGauge
	held := 0
	release := func(until int) {
		line.opening = gauge.measure(line.rate)
		for ; held < until; held++ {
			u := &units[held]
			at, jumped := line.assign(raw(*u), noon.Add(u.arrival))
			u.producer, u.jumped = at.Sub(noon), jumped
		}
	}
	open := true
	for i := range units {
		if open && gauge.add(raw(units[i]), noon.Add(units[i].arrival), line.rate) {
			release(i + 1)
			open = false
			continue
		}
		if !open {
			u := &units[i]
			at, jumped := line.assign(raw(*u), noon.Add(u.arrival))
			u.producer, u.jumped = at.Sub(noon), jumped
		}
	}
	if open {
		release(len(units))
	}
}

// jitter is even lateness up to most.
func jitter(most time.Duration) func(int, time.Duration) time.Duration {
	random := rand.New(rand.NewPCG(1, 2))
	return func(int, time.Duration) time.Duration { return time.Duration(random.Int64N(int64(most) + 1)) }
}

// everyN makes every n-th frame a stray one.
func everyN(n int, off time.Duration) func(int, time.Duration) time.Duration {
	return func(i int, media time.Duration) time.Duration {
		if i%n == n-1 {
			return media + off
		}
		return media
	}
}

// TestTheClockTable has what cameras' clocks and networks do. Times must stay within a second of the true ones
// throughout, and no frame may be thought to have jumped unless it did.
func TestTheClockTable(t *testing.T) {
	t.Parallel()
	rows := map[string]simulated{
		"ordinary":              {late: jitter(40 * time.Millisecond)},
		"1000 ppm fast":         {factor: steady(1.001), late: jitter(40 * time.Millisecond)},
		"1000 ppm slow":         {factor: steady(0.999), late: jitter(40 * time.Millisecond)},
		"bad Wi-Fi":             {late: jitter(200 * time.Millisecond)},
		"kilohertz, B-frames":   {factor: steady(1. / 90), reorder: true},
		"fast 142, B-frames":    {factor: steady(1.42), reorder: true, late: jitter(40 * time.Millisecond)},
		"fast 10, B-frames":     {factor: steady(10.5), reorder: true},
		"fast 90, B-frames":     {factor: steady(90), reorder: true},
		"one frame in 2 s":      {fps: 0.5},
		"one in 2 s, fast":      {fps: 0.5, factor: steady(1.42)},
		"one in 2 s, slow":      {fps: 0.5, factor: steady(0.5)},
		"60 fps":                {fps: 60, late: jitter(30 * time.Millisecond)},
		"becomes 1.42":          {factor: from(30*time.Second, 1, 1.42), late: jitter(40 * time.Millisecond)},
		"becomes right":         {factor: from(30*time.Second, 10.5, 1), late: jitter(40 * time.Millisecond)},
		"becomes 90":            {factor: from(30*time.Second, 1, 90), late: jitter(40 * time.Millisecond)},
		"becomes 0.01":          {factor: from(30*time.Second, 1, 0.01), late: jitter(40 * time.Millisecond)},
		"0.01 becomes right":    {factor: from(30*time.Second, 0.01, 1), late: jitter(40 * time.Millisecond)},
		"becomes 1.03":          {factor: from(30*time.Second, 1, 1.03), late: jitter(40 * time.Millisecond)},
		"leaps 14.9 s a frame":  {factor: steady(14.9 * 25)},
		"runs back":             {factor: steady(-0.5)},
		"random":                {stamp: randomStamp()},
		"a burst of 4 s":        {stamp: nil, late: burstAt(0, 4*time.Second)},
		"a burst of 2 s, late":  {late: sum(burstAt(0, 2*time.Second), jitter(40*time.Millisecond))},
		"stray every 2 s back":  {stamp: everyN(50, -5*time.Hour), late: jitter(40 * time.Millisecond)},
		"stray every 2 s ahead": {stamp: everyN(50, 5*time.Hour), late: jitter(40 * time.Millisecond)},
		"stray, 7 s":            {stamp: everyN(50, 7*time.Second), late: jitter(40 * time.Millisecond)},
		"stray, B-frames":       {stamp: everyN(50, 5*time.Hour), reorder: true, late: jitter(30 * time.Millisecond)},
		"stray, 1.42":           {stamp: everyN(50, -5*time.Hour), factor: steady(1.42)},
		"stalls":                {late: stallsOf(3*time.Second, 20*time.Second)},
		"a stall that goes on":  {arrives: slowly(5*time.Second, 2)},
	}
	for _, factor := range []float64{0.01, 1. / 90, 0.3, 0.7, 0.84, 0.95, 0.97, 1.03, 1.05, 1.2, 1.42, 3, 10.5, 42, 90, 100} {
		rows[fmt.Sprintf("%.2f times", factor)] = simulated{factor: steady(factor), late: jitter(40 * time.Millisecond)}
	}
	for name, camera := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := timeline{rate: 90000}
			units := camera.run(2 * time.Minute)
			play(&line, units)
			expectTrue(t, units, name == "random") // two may go with each other
		})
	}
}

// expectTrue looks for times within a second of when frames were sent, that are never ahead of arrival by more than the bound.
func expectTrue(t *testing.T, units []unit, mayJump bool) {
	t.Helper()
	bad := 0
	report := func(i int, format string, args ...any) {
		if bad++; bad <= 5 {
			t.Errorf("frame %d: "+format, append([]any{i}, args...)...)
		}
	}
	for i, u := range units {
		if off := u.producer - u.sent; off.Abs() > time.Second {
			report(i, "%s off", off)
		}
		if ahead := u.producer - u.arrival; ahead > aheadLimit+time.Millisecond {
			report(i, "%s ahead of its arrival", ahead)
		}
		if u.jumped && !mayJump {
			report(i, "taken for a jump")
		}
	}
	first, last := units[0], units[len(units)-1]
	if span := (last.producer - first.producer) - (last.sent - first.sent); span.Abs() > time.Second {
		t.Errorf("the span is %s off", span)
	}
}

func from(at time.Duration, before, after float64) func(time.Duration) float64 {
	return func(now time.Duration) float64 {
		if now < at {
			return before
		}
		return after
	}
}

func randomStamp() func(int, time.Duration) time.Duration {
	random := rand.New(rand.NewPCG(3, 4))
	return func(int, time.Duration) time.Duration { return time.Duration(random.Int64N(int64(13 * time.Hour))) }
}

// burstAt holds up what is sent from at on for so long, and then sends it at once.
func burstAt(at, length time.Duration) func(int, time.Duration) time.Duration {
	return func(_ int, now time.Duration) time.Duration {
		if now < at {
			return 0
		}
		return max(at+length-now, 0)
	}
}

func stallsOf(length, every time.Duration) func(int, time.Duration) time.Duration {
	return func(_ int, now time.Duration) time.Duration { return max(length-now%every, 0) }
}

func sum(a, b func(int, time.Duration) time.Duration) func(int, time.Duration) time.Duration {
	return func(i int, now time.Duration) time.Duration { return a(i, now) + b(i, now) }
}

// slowly has a stall every 40 s, after which the line brings frames only so many times as fast as they are due.
func slowly(length time.Duration, speed int) func(int, time.Duration, time.Duration) time.Duration {
	return func(_ int, arrival, before time.Duration) time.Duration {
		const every = 40 * time.Second
		if in := arrival % every; arrival >= every && in < length {
			arrival += length - in
		}
		if arrival-before < tick { // it was held up
			return max(arrival, before+tick/time.Duration(speed))
		}
		return arrival
	}
}

// TestDistancesAreTheCamerasOwn has ordinary cameras for hours: from the first frame on no distance differs from that of
// the timestamps by more than 1 ms, whatever the network does.
func TestDistancesAreTheCamerasOwn(t *testing.T) {
	t.Parallel()
	rows := map[string]simulated{}
	for _, fps := range []float64{1, 5, 12.5, 15, 23.976, 25, 29.97, 30, 50, 60} {
		for _, ppm := range []float64{-1000, -100, 0, 30, 1000} {
			rows[fmt.Sprintf("%v fps, %v ppm", fps, ppm)] = simulated{fps: fps, factor: steady(1 + ppm/1e6), late: jitter(50 * time.Millisecond)}
		}
	}
	rows["B-frames"] = simulated{reorder: true, late: jitter(50 * time.Millisecond)}
	rows["burst of 4 s"] = simulated{late: sum(burstAt(0, 4*time.Second), jitter(20*time.Millisecond))}
	rows["burst of 3 s, slowly"] = simulated{arrives: func(i int, arrival, before time.Duration) time.Duration {
		return max(arrival, 3*time.Second, before+tick/20)
	}}
	rows["first frame 800 ms late"] = simulated{late: burstAt(0, 800*time.Millisecond)}
	rows["stalls"] = simulated{late: sum(stallsOf(5*time.Second, 37*time.Second), jitter(20*time.Millisecond))}
	rows["stalls, 1000 ppm"] = simulated{factor: steady(1.001),
		late: sum(stallsOf(3*time.Second, 37*time.Second), jitter(20*time.Millisecond))}
	for name, camera := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := timeline{rate: 90000}
			units := camera.run(time.Hour)
			play(&line, units)
			bad := 0
			for i := 1; i < len(units); i++ {
				d := (units[i].producer - units[i-1].producer) - (units[i].media - units[i-1].media)
				if d.Abs() > time.Millisecond+20*time.Microsecond { // a tick of the timestamps
					if bad++; bad <= 5 {
						t.Errorf("frame %d: the distance differs by %s", i, d)
					}
				}
				if off := units[i].producer - units[i].sent; bad == 0 && off.Abs() > 300*time.Millisecond {
					t.Fatalf("frame %d: %s off", i, off)
				}
			}
		})
	}
}

// TestAStrayFrameTakesNoOtherWithIt looks at the frames around stray ones.
func TestAStrayFrameTakesNoOtherWithIt(t *testing.T) {
	t.Parallel()
	for name, camera := range map[string]simulated{
		"back":             {stamp: everyN(50, -5*time.Hour), late: jitter(30 * time.Millisecond)},
		"ahead":            {stamp: everyN(50, 9*time.Hour), late: jitter(30 * time.Millisecond)},
		"back, B-frames":   {stamp: everyN(49, -5*time.Hour), reorder: true},
		"10 s, B-frames":   {stamp: everyN(51, 10*time.Second), reorder: true},
		"one in the burst": {stamp: everyN(7, 3*time.Hour), late: burstAt(0, 3*time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := timeline{rate: 90000}
			units := camera.run(5 * time.Minute)
			play(&line, units)
			before := units[0]
			for i, u := range units[1:] {
				if u.jumped {
					t.Fatalf("frame %d: taken for a jump", i+1)
				}
				if u.odd {
					if off := u.producer - u.sent; off.Abs() > 300*time.Millisecond {
						t.Errorf("stray frame %d: %s off", i+1, off)
					}
					continue
				}
				if d := (u.producer - before.producer) - (u.media - before.media); d.Abs() > 1100*time.Microsecond {
					t.Fatalf("frame %d: the distance differs by %s", i+1, d)
				}
				before = u
			}
		})
	}
}

// TestAClockThatIsSetIsOneJump has a camera that sets its clock, after which all frames go on from there.
func TestAClockThatIsSetIsOneJump(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{5 * time.Hour, -5 * time.Hour, 3 * time.Second, -3 * time.Second, 14 * time.Hour} {
		for _, reorder := range []bool{false, true} {
			t.Run(fmt.Sprint(by, reorder), func(t *testing.T) {
				t.Parallel()
				line := timeline{rate: 90000}
				units := simulated{reorder: reorder, late: jitter(20 * time.Millisecond), stamp: func(i int, media time.Duration) time.Duration {
					if i >= 500 {
						media += by
					}
					return media
				}}.run(time.Minute)
				play(&line, units)
				jumps := 0
				for i, u := range units {
					if off := u.producer - u.sent; off.Abs() > 300*time.Millisecond {
						t.Fatalf("frame %d: %s off", i, off)
					}
					if u.jumped {
						jumps++
					}
				}
				if jumps != 1 {
					t.Errorf("%d jumps", jumps)
				}
			})
		}
	}
}

// TestABurstThatOverlapsWhatIsRecorded has a camera that sends at once what it has kept, of which a part is on disk.
func TestABurstThatOverlapsWhatIsRecorded(t *testing.T) {
	t.Parallel()
	for _, kept := range []time.Duration{2 * time.Second, 4 * time.Second, 10 * time.Second} {
		for _, newest := range []time.Duration{-20 * time.Second, -3 * time.Second, -time.Second, -100 * time.Millisecond, 0, 400 * time.Millisecond} {
			t.Run(fmt.Sprint(kept, newest), func(t *testing.T) {
				t.Parallel()
				units := simulated{late: burstAt(0, kept)}.run(time.Minute)
				line := timeline{rate: 90000, newest: noon.Add(kept + newest)}
				play(&line, units)
				before := kept + newest
				for i, u := range units {
					if u.producer <= before {
						t.Fatalf("frame %d: %s after %s", i, u.producer, before)
					}
					if ahead := u.producer - u.arrival; ahead > epochAhead {
						t.Fatalf("frame %d: %s ahead of its arrival", i, ahead)
					}
					before = u.producer
				}
				if last := units[len(units)-1]; (last.producer - last.sent).Abs() > aheadLimit+time.Millisecond {
					t.Errorf("the last frame is %s off", last.producer-last.sent)
				}
			})
		}
	}
}

// TestTimesOfASmallStep has a wall clock that is set by less than begins times again: they are slewed to it.
func TestTimesOfASmallStep(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{time.Second, -time.Second} {
		begun := time.Now()
		line := timeline{rate: 90000}
		var last time.Time
		for i := range 25 * 120 {
			at := time.Duration(i) * tick
			now := begun.Add(at)
			if i > 500 {
				now = testtools.Stepped(now, by)
			}
			got, jumped := line.assign(uint32(at*9/100_000), now)
			if d := got.Sub(last) - tick; jumped || i > 0 && d.Abs() > time.Millisecond {
				t.Fatalf("frame %d comes %s after the one before", i, d+tick)
			}
			last = got
		}
		if off := last.Sub(testtools.Stepped(begun.Add(25*120*tick), by).Round(0)); off.Abs() > 100*time.Millisecond {
			t.Errorf("in the end %s off", off)
		}
	}
}
