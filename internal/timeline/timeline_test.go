package timeline

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// cam makes RTP timestamps and arrivals like a camera and a network. Times without a monotonic
// reading serve as both clocks.
type cam struct {
	tl    Timeline
	raw   uint32
	media time.Duration // sent so far, by the camera's own clock
}

func newCam() *cam { return &cam{tl: New(90000, time.Time{}), raw: 4_294_900_000} }

// frame sends the next frame d later by the camera's clock; it arrives at that time since noon.
func (c *cam) frame(d, arrival time.Duration) (time.Time, bool) {
	c.media += d
	return c.tl.Assign(c.raw+uint32(c.media*9/100_000), noon.Add(arrival))
}

const tick = 40 * time.Millisecond

func TestRTPDrift(t *testing.T) {
	t.Parallel()
	for name, pace := range map[string]float64{"exact": 1, "3 % fast": 1.03, "3 % slow": 0.97, "100 ppm": 1.0001} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCam()
			var before time.Time
			for i := range 25 * 3600 {
				arrival := time.Duration(i) * tick
				jitter := time.Duration(i*7919%40) * time.Millisecond
				got, jumped := c.frame(time.Duration(float64(tick)*pace), arrival+jitter)
				if jumped {
					t.Fatalf("frame %d: treated as a jump", i)
				}
				if i > 0 && !got.After(before) {
					t.Fatalf("frame %d: %s after %s", i, got, before)
				}
				if i > 0 && got.Sub(before) > 2*tick {
					t.Fatalf("frame %d: %s after the previous one", i, got.Sub(before))
				}
				if off := got.Sub(noon.Add(arrival)); off.Abs() > 200*time.Millisecond {
					t.Fatalf("frame %d: %s off the hub's clock", i, off)
				}
				before = got
			}
		})
	}
}

func TestBurst(t *testing.T) {
	t.Parallel()
	c := newCam()
	for i := range 250 {
		c.frame(tick, time.Duration(i)*tick)
	}
	const stall = 8 * time.Second
	var before time.Time
	for i := range 250 {
		arrival := max(250*tick+stall, time.Duration(250+i)*tick)
		got, jumped := c.frame(tick, arrival)
		if jumped {
			t.Fatal("a burst was treated as a jump")
		}
		if d := got.Sub(before); i > 0 && (d-tick).Abs() > time.Millisecond {
			t.Fatalf("frame %d of the burst: %s after the previous one", i, d)
		}
		before = got
	}
}

func TestTimesNeverOverlapWhatIsOnDisk(t *testing.T) {
	t.Parallel()
	c := newCam()
	c.tl.Continue(noon.Add(time.Hour)) // the clock was set back
	got, _ := c.frame(0, 0)
	if !got.After(noon.Add(time.Hour)) || got.After(noon.Add(time.Hour+time.Second)) {
		t.Errorf("starts at %s", got)
	}
	next, _ := c.frame(tick, tick)
	if next.Sub(got) != tick {
		t.Errorf("continues %s later", next.Sub(got))
	}
}

func TestRTPConstant(t *testing.T) {
	t.Parallel()
	c := newCam()
	var before time.Time
	for i := range 25 * 120 {
		arrival := time.Duration(i) * tick
		got, jumped := c.frame(0, arrival)
		if jumped {
			t.Fatalf("frame %d: treated as a jump", i)
		}
		if off := got.Sub(noon.Add(arrival)); off.Abs() > constantUnits*tick {
			t.Fatalf("frame %d: %s off", i, off)
		}
		if i > constantUnits && !got.After(before) {
			t.Fatalf("frame %d: %s after %s", i, got, before)
		}
		before = got
	}
	if !c.tl.Constant() {
		t.Error("constant timestamps were not noticed")
	}
	// Then the timestamps advance.
	for i := range 100 {
		got, jumped := c.frame(tick, (25*120+time.Duration(i))*tick)
		if jumped || !got.After(before) {
			t.Fatalf("frame %d: %s after %s, jumped %v", i, got, before, jumped)
		}
		before = got
	}
}

// TestFPSLie has a camera that sends 21 of the 25 frames it declares, evenly in both clocks.
func TestFPSLie(t *testing.T) {
	t.Parallel()
	c := newCam()
	const real = time.Second / 21
	for i := range 21 * 600 {
		got, jumped := c.frame(real, time.Duration(i)*real)
		if off := got.Sub(noon.Add(time.Duration(i) * real)); jumped || off.Abs() > 200*time.Millisecond {
			t.Fatalf("frame %d: %s off, jumped %v", i, off, jumped)
		}
	}
}

func TestBFramesAreNoJump(t *testing.T) {
	t.Parallel()
	c := newCam()
	order := []time.Duration{tick, 3 * tick, -2 * tick, tick} // decode order of I P B B
	at := time.Duration(0)
	for i := range 1000 {
		at += tick
		if _, jumped := c.frame(order[i%len(order)], at); jumped {
			t.Fatalf("frame %d: treated as a jump", i)
		}
	}
}
