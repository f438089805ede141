package timeline

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/simcam"
)

// play assigns times, after the hold of an opening as in a session.
func play(tl *Timeline, units []simcam.Frame) {
	const base = 4_294_900_000
	raw := func(u simcam.Frame) uint32 {
		return uint32(int64(base) + int64(math.Round(float64(u.Media)*9/100_000)))
	}
	gauge := NewOpeningGauge(int(tl.rate))
	held := 0
	release := func(until int) {
		tl.Open(gauge.Measure())
		for ; held < until; held++ {
			u := &units[held]
			at, jumped := tl.Assign(raw(*u), noon.Add(u.Arrival))
			u.Producer, u.Jumped = at.Sub(noon), jumped
		}
	}
	open := true
	for i := range units {
		if open && gauge.Add(raw(units[i]), noon.Add(units[i].Arrival)) {
			release(i + 1)
			open = false
			continue
		}
		if !open {
			u := &units[i]
			at, jumped := tl.Assign(raw(*u), noon.Add(u.Arrival))
			u.Producer, u.Jumped = at.Sub(noon), jumped
		}
	}
	if open {
		release(len(units))
	}
}

// TestTheClockTable has what cameras' clocks and networks do. Times must stay within a second of the true ones
// throughout, and no frame may be thought to have jumped unless it did.
func TestTheClockTable(t *testing.T) {
	t.Parallel()
	rows := map[string]simcam.Camera{
		"ordinary":               {Late: simcam.Jitter(40 * time.Millisecond)},
		"1000 ppm fast":          {Factor: simcam.Steady(1.001), Late: simcam.Jitter(40 * time.Millisecond)},
		"1000 ppm slow":          {Factor: simcam.Steady(0.999), Late: simcam.Jitter(40 * time.Millisecond)},
		"bad Wi-Fi":              {Late: simcam.Jitter(200 * time.Millisecond)},
		"kilohertz, B-frames":    {Factor: simcam.Steady(1. / 90), Reorder: true},
		"fast 142, B-frames":     {Factor: simcam.Steady(1.42), Reorder: true, Late: simcam.Jitter(40 * time.Millisecond)},
		"fast 10, B-frames":      {Factor: simcam.Steady(10.5), Reorder: true},
		"fast 90, B-frames":      {Factor: simcam.Steady(90), Reorder: true},
		"one frame in 2 s":       {FPS: 0.5},
		"one in 2 s, fast":       {FPS: 0.5, Factor: simcam.Steady(1.42)},
		"one in 2 s, slow":       {FPS: 0.5, Factor: simcam.Steady(0.5)},
		"one in 2 s, kilohertz":  {FPS: 0.5, Factor: simcam.Steady(1. / 90)},
		"2 fps, 0.3 times":       {FPS: 2, Factor: simcam.Steady(0.3)},
		"2 fps, kilohertz":       {FPS: 2, Factor: simcam.Steady(1. / 90)},
		"60 fps":                 {FPS: 60, Late: simcam.Jitter(30 * time.Millisecond)},
		"becomes 1.42":           {Factor: simcam.From(30*time.Second, 1, 1.42), Late: simcam.Jitter(40 * time.Millisecond)},
		"becomes right":          {Factor: simcam.From(30*time.Second, 10.5, 1), Late: simcam.Jitter(40 * time.Millisecond)},
		"becomes 90":             {Factor: simcam.From(30*time.Second, 1, 90), Late: simcam.Jitter(40 * time.Millisecond)},
		"becomes 0.01":           {Factor: simcam.From(30*time.Second, 1, 0.01), Late: simcam.Jitter(40 * time.Millisecond)},
		"0.01 becomes right":     {Factor: simcam.From(30*time.Second, 0.01, 1), Late: simcam.Jitter(40 * time.Millisecond)},
		"becomes 1.03":           {Factor: simcam.From(30*time.Second, 1, 1.03), Late: simcam.Jitter(40 * time.Millisecond)},
		"jumps 14.9 s a frame":   {Factor: simcam.Steady(14.9 * 25)},
		"runs back":              {Factor: simcam.Steady(-0.5)},
		"random":                 {Stamp: randomStamp()},
		"a burst of 4 s":         {Stamp: nil, Late: simcam.BurstAt(0, 4*time.Second)},
		"a burst of 2 s, late":   {Late: simcam.Sum(simcam.BurstAt(0, 2*time.Second), simcam.Jitter(40*time.Millisecond))},
		"stray every 2 s back":   {Stamp: simcam.EveryN(50, -5*time.Hour), Late: simcam.Jitter(40 * time.Millisecond)},
		"stray every 2 s ahead":  {Stamp: simcam.EveryN(50, 5*time.Hour), Late: simcam.Jitter(40 * time.Millisecond)},
		"stray, 7 s":             {Stamp: simcam.EveryN(50, 7*time.Second), Late: simcam.Jitter(40 * time.Millisecond)},
		"stray, B-frames":        {Stamp: simcam.EveryN(50, 5*time.Hour), Reorder: true, Late: simcam.Jitter(30 * time.Millisecond)},
		"stray, 1.42":            {Stamp: simcam.EveryN(50, -5*time.Hour), Factor: simcam.Steady(1.42)},
		"stalls":                 {Late: simcam.StallsOf(3*time.Second, 20*time.Second)},
		"a stall that continues": {Arrives: slowly(5*time.Second, 2)},
	}
	for _, factor := range []float64{0.01, 1. / 90, 0.3, 0.7, 0.84, 0.95, 0.97, 1.03, 1.05, 1.2, 1.42, 3, 10.5, 42, 90, 100} {
		rows[fmt.Sprintf("%.2f times", factor)] = simcam.Camera{Factor: simcam.Steady(factor), Late: simcam.Jitter(40 * time.Millisecond)}
	}
	for name, camera := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tl := New(90000, time.Time{})
			units := camera.Frames(2 * time.Minute)
			play(&tl, units)
			expectTrue(t, units, name == "random") // two may agree with each other
		})
	}
}

// expectTrue expects times within a second of when frames were sent, and never further ahead of arrival than the limit.
func expectTrue(t *testing.T, units []simcam.Frame, mayJump bool) {
	t.Helper()
	bad := 0
	report := func(i int, format string, args ...any) {
		if bad++; bad <= 5 {
			t.Errorf("frame %d: "+format, append([]any{i}, args...)...)
		}
	}
	var mostOff, mostAhead time.Duration
	for i, u := range units {
		mostOff, mostAhead = max(mostOff, (u.Producer-u.Sent).Abs()), max(mostAhead, u.Producer-u.Arrival)
		if off := u.Producer - u.Sent; off.Abs() > time.Second {
			report(i, "%s off", off)
		}
		if ahead := u.Producer - u.Arrival; ahead > aheadLimit+time.Millisecond {
			report(i, "%s ahead of its arrival", ahead)
		}
		if u.Jumped && !mayJump {
			report(i, "treated as a jump")
		}
	}
	t.Logf("at most %d ms off, and %d ms ahead of arrival", mostOff.Milliseconds(), mostAhead.Milliseconds())
	first, last := units[0], units[len(units)-1]
	if span := (last.Producer - first.Producer) - (last.Sent - first.Sent); span.Abs() > time.Second {
		t.Errorf("the span is %s off", span)
	}
}

func randomStamp() func(int, time.Duration) time.Duration {
	random := rand.New(rand.NewPCG(3, 4))
	return func(int, time.Duration) time.Duration { return time.Duration(random.Int64N(int64(13 * time.Hour))) }
}

// slowly has a stall every 40 s, after which the network delivers frames only speed times as fast as they are due.
func slowly(length time.Duration, speed int) func(int, time.Duration, time.Duration) time.Duration {
	return func(_ int, arrival, before time.Duration) time.Duration {
		const every = 40 * time.Second
		if in := arrival % every; arrival >= every && in < length {
			arrival += length - in
		}
		if arrival-before < tick { // it was delayed
			return max(arrival, before+tick/time.Duration(speed))
		}
		return arrival
	}
}

// TestDistancesAreTheCamerasOwn has ordinary cameras for hours: from the first frame on no distance differs from that of
// the timestamps by more than 1 ms, whatever the network does.
func TestDistancesAreTheCamerasOwn(t *testing.T) {
	t.Parallel()
	rows := map[string]simcam.Camera{}
	for _, fps := range []float64{1, 5, 12.5, 15, 23.976, 25, 29.97, 30, 50, 60} {
		for _, ppm := range []float64{-1000, -100, 0, 30, 1000} {
			rows[fmt.Sprintf("%v fps, %v ppm", fps, ppm)] = simcam.Camera{
				FPS: fps, Factor: simcam.Steady(1 + ppm/1e6), Late: simcam.Jitter(50 * time.Millisecond),
			}
		}
	}
	rows["B-frames"] = simcam.Camera{Reorder: true, Late: simcam.Jitter(50 * time.Millisecond)}
	rows["burst of 4 s"] = simcam.Camera{Late: simcam.Sum(simcam.BurstAt(0, 4*time.Second), simcam.Jitter(20*time.Millisecond))}
	rows["burst of 3 s, slowly"] = simcam.Camera{Arrives: func(i int, arrival, before time.Duration) time.Duration {
		return max(arrival, 3*time.Second, before+tick/20)
	}}
	rows["first frame 800 ms late"] = simcam.Camera{Late: simcam.BurstAt(0, 800*time.Millisecond)}
	rows["stalls"] = simcam.Camera{Late: simcam.Sum(simcam.StallsOf(5*time.Second, 37*time.Second), simcam.Jitter(20*time.Millisecond))}
	rows["stalls, 1000 ppm"] = simcam.Camera{Factor: simcam.Steady(1.001),
		Late: simcam.Sum(simcam.StallsOf(3*time.Second, 37*time.Second), simcam.Jitter(20*time.Millisecond))}
	for name, camera := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tl := New(90000, time.Time{})
			units := camera.Frames(time.Hour)
			play(&tl, units)
			expectDistances(t, units)
		})
	}
}

// expectDistances expects the distances of the timestamps, and correct times.
func expectDistances(t *testing.T, units []simcam.Frame) {
	t.Helper()
	bad := 0
	for i := 1; i < len(units); i++ {
		d := (units[i].Producer - units[i-1].Producer) - (units[i].Media - units[i-1].Media)
		if d.Abs() > time.Millisecond+20*time.Microsecond { // a tick of the timestamps
			if bad++; bad <= 5 {
				t.Errorf("frame %d: the distance differs by %s", i, d)
			}
		}
		if off := units[i].Producer - units[i].Sent; bad == 0 && off.Abs() > 300*time.Millisecond {
			t.Fatalf("frame %d: %s off", i, off)
		}
	}
}

// TestAStallInTheOpeningMovesNoFrame has a network, or a hub, that delays frames in the first seconds of a session, while
// the pace of the camera's clock is unknown.
func TestAStallInTheOpeningMovesNoFrame(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Duration{40, 80, 100, 200, 400, 600, 800, 960, 1200, 2000} {
		for _, length := range []time.Duration{200, 400, 700, 1000, 1500, 3000, 8000} {
			at, length := at*time.Millisecond, length*time.Millisecond
			t.Run(fmt.Sprintf("%s after %s", length, at), func(t *testing.T) {
				t.Parallel()
				tl := New(90000, time.Time{})
				units := simcam.Camera{Late: simcam.Sum(simcam.BurstAt(at, length), simcam.Jitter(20*time.Millisecond))}.Frames(30 * time.Second)
				play(&tl, units)
				expectDistances(t, units)
			})
		}
	}
}

// TestAStrayFrameTakesNoOtherWithIt checks the frames around stray ones.
func TestAStrayFrameTakesNoOtherWithIt(t *testing.T) {
	t.Parallel()
	for name, camera := range map[string]simcam.Camera{
		"back":             {Stamp: simcam.EveryN(50, -5*time.Hour), Late: simcam.Jitter(30 * time.Millisecond)},
		"ahead":            {Stamp: simcam.EveryN(50, 9*time.Hour), Late: simcam.Jitter(30 * time.Millisecond)},
		"back, B-frames":   {Stamp: simcam.EveryN(49, -5*time.Hour), Reorder: true},
		"10 s, B-frames":   {Stamp: simcam.EveryN(51, 10*time.Second), Reorder: true},
		"one in the burst": {Stamp: simcam.EveryN(7, 3*time.Hour), Late: simcam.BurstAt(0, 3*time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tl := New(90000, time.Time{})
			units := camera.Frames(5 * time.Minute)
			play(&tl, units)
			before := units[0]
			for i, u := range units[1:] {
				if u.Jumped {
					t.Fatalf("frame %d: treated as a jump", i+1)
				}
				if u.Odd {
					if off := u.Producer - u.Sent; off.Abs() > 300*time.Millisecond {
						t.Errorf("stray frame %d: %s off", i+1, off)
					}
					continue
				}
				if d := (u.Producer - before.Producer) - (u.Media - before.Media); d.Abs() > 1100*time.Microsecond {
					t.Fatalf("frame %d: the distance differs by %s", i+1, d)
				}
				before = u
			}
		})
	}
}

// TestAClockThatIsSetIsOneJump has a camera whose clock is set, and all later frames follow the new clock.
func TestAClockThatIsSetIsOneJump(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{5 * time.Hour, -5 * time.Hour, 3 * time.Second, -3 * time.Second, 14 * time.Hour} {
		for _, reorder := range []bool{false, true} {
			t.Run(fmt.Sprint(by, reorder), func(t *testing.T) {
				t.Parallel()
				tl := New(90000, time.Time{})
				set := func(i int, media time.Duration) time.Duration {
					if i >= 500 {
						media += by
					}
					return media
				}
				units := simcam.Camera{Reorder: reorder, Late: simcam.Jitter(20 * time.Millisecond), Stamp: set}.Frames(time.Minute)
				play(&tl, units)
				jumps := 0
				for i, u := range units {
					if off := u.Producer - u.Sent; off.Abs() > 300*time.Millisecond {
						t.Fatalf("frame %d: %s off", i, off)
					}
					if u.Jumped {
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

// TestABurstThatOverlapsWhatIsRecorded has a camera that sends its buffered frames at once, a part of which is on disk.
func TestABurstThatOverlapsWhatIsRecorded(t *testing.T) {
	t.Parallel()
	for _, kept := range []time.Duration{2 * time.Second, 4 * time.Second, 10 * time.Second} {
		for _, newest := range []time.Duration{
			-20 * time.Second, -3 * time.Second, -time.Second, -100 * time.Millisecond, 0, 400 * time.Millisecond,
		} {
			t.Run(fmt.Sprint(kept, newest), func(t *testing.T) {
				t.Parallel()
				units := simcam.Camera{Late: simcam.BurstAt(0, kept)}.Frames(time.Minute)
				tl := New(90000, noon.Add(kept+newest))
				play(&tl, units)
				before := kept + newest
				for i, u := range units {
					if u.Producer <= before {
						t.Fatalf("frame %d: %s after %s", i, u.Producer, before)
					}
					if ahead := u.Producer - u.Arrival; ahead > MaxAhead {
						t.Fatalf("frame %d: %s ahead of its arrival", i, ahead)
					}
					before = u.Producer
				}
				if last := units[len(units)-1]; (last.Producer - last.Sent).Abs() > aheadLimit+time.Millisecond {
					t.Errorf("the last frame is %s off", last.Producer-last.Sent)
				}
			})
		}
	}
}

// TestTimesOfASmallStep has a wall clock that is set by less than what restarts times: they are slewed to it.
func TestTimesOfASmallStep(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{time.Second, -time.Second} {
		started := time.Now()
		tl := New(90000, time.Time{})
		var last time.Time
		for i := range 25 * 120 {
			at := time.Duration(i) * tick
			now := started.Add(at)
			if i > 500 {
				now = testtools.Stepped(now, by)
			}
			got, jumped := tl.Assign(uint32(at*9/100_000), now)
			if d := got.Sub(last) - tick; jumped || i > 0 && d.Abs() > time.Millisecond {
				t.Fatalf("frame %d comes %s after the previous one", i, d+tick)
			}
			last = got
		}
		if off := last.Sub(testtools.Stepped(started.Add(25*120*tick), by).Round(0)); off.Abs() > 100*time.Millisecond {
			t.Errorf("in the end %s off", off)
		}
	}
}
