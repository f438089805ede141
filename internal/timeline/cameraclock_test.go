package timeline

import (
	"testing"
	"time"
)

// clocked is a camera with a sender report every 10 s, and a hub that follows them.
type clocked struct {
	cam
	clock  CameraClock
	frames int
	off    time.Duration // of the camera's clock
}

func newClocked() *clocked {
	c := &clocked{cam: *newCam()}
	c.clock.BeginSession(90000)
	return c
}

// play sends frames for a time, each arriving late by late(i), and returns the last one's time and the hub's.
func (c *clocked) play(d time.Duration, late func(i int) time.Duration) (producer, hub time.Time) {
	for end := c.frames + int(d/tick); c.frames < end; c.frames++ {
		sent := noon.Add(time.Duration(c.frames) * tick)
		hub = sent.Add(late(c.frames))
		raw := c.raw + uint32((c.media+tick)*9/100_000)
		if c.frames%250 == 50 {
			c.clock.Report(sent.Add(c.off), raw)
		}
		if camera, ok := c.clock.Judge(raw, hub); ok {
			c.tl.FollowCamera(camera, c.clock.Offset())
		} else {
			c.tl.FollowHub()
		}
		producer, _ = c.frame(tick, hub.Sub(noon))
	}
	return producer, hub
}

func onTime(int) time.Duration { return 0 }

func TestTheCamerasClock(t *testing.T) {
	t.Parallel()
	steady := func(off time.Duration) func(*clocked) {
		return func(c *clocked) { c.off = off; c.play(3*time.Minute, onTime) }
	}
	for name, row := range map[string]struct {
		life  func(*clocked)
		off   time.Duration // final difference of the recording's times from the hub's
		state ClockState
	}{
		"right":                    {steady(0), 0, ClockGood},
		"2 s ahead":                {steady(2 * time.Second), 2 * time.Second, ClockGood},
		"3 s behind":               {steady(-3 * time.Second), -3 * time.Second, ClockGood},
		"2 s ahead of a right one": {func(c *clocked) { c.clock.TrustHub(true); steady(2 * time.Second)(c) }, 0, ClockOff},
		"3 s behind a right one":   {func(c *clocked) { c.clock.TrustHub(true); steady(-3 * time.Second)(c) }, -3 * time.Second, ClockGood},
		"0.9 s ahead of a right one": {func(c *clocked) {
			c.clock.TrustHub(true)
			steady(900 * time.Millisecond)(c)
		}, 900 * time.Millisecond, ClockGood},
		"6 s ahead":      {steady(6 * time.Second), 0, ClockOff},
		"an hour behind": {steady(-time.Hour), 0, ClockOff},
		"since 1970":     {steady(-50 * 365 * 24 * time.Hour), 0, ClockOff},
		"set, then jumps": {func(c *clocked) {
			c.play(time.Minute, onTime)
			c.off = 3 * time.Second
			c.play(30*time.Second, onTime)
		}, 0, ClockJumps},
		"a minute after": {func(c *clocked) {
			c.play(time.Minute, onTime)
			c.off = 3 * time.Second
			c.play(5*time.Minute, onTime)
		}, 3 * time.Second, ClockGood},
		"put right": {func(c *clocked) { steady(time.Hour)(c); steady(time.Second)(c) }, time.Second, ClockGood},
		"network stalls": {func(c *clocked) {
			c.play(time.Minute, onTime)
			c.play(12*time.Second, burstOf(8*time.Second))
		}, 0, ClockGood},
		"a new session": {func(c *clocked) {
			steady(time.Second)(c)
			c.clock.BeginSession(90000)
			c.play(time.Minute, onTime)
		}, time.Second, ClockGood},
		"no report at all": {func(c *clocked) {
			c.frames = 51
			c.play(9*time.Second, onTime)
			c.clock.BeginSession(90000)
			c.clock.rate = 90000
			c.silent(40 * time.Second)
		}, 0, ClockMissing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClocked()
			row.life(c)
			if c.clock.State() != row.state {
				t.Errorf("the state is %d, want %d", c.clock.State(), row.state)
			}
			if row.state == ClockMissing {
				return
			}
			producer, hub := c.play(2*time.Second, onTime)
			if d := producer.Sub(hub) - row.off; d.Abs() > 250*time.Millisecond {
				t.Errorf("times are %s off the hub's, want %s", producer.Sub(hub), row.off)
			}
		})
	}
}

// silent sends frames without reports.
func (c *clocked) silent(d time.Duration) {
	for range int(d / tick) {
		c.clock.Judge(c.raw, noon.Add(time.Duration(c.frames)*tick))
		c.frames++
	}
}

// burstOf returns a network that holds everything back for a time, then delivers it at once.
func burstOf(stall time.Duration) func(int) time.Duration {
	first := -1
	return func(i int) time.Duration {
		if first < 0 {
			first = i
		}
		return max(0, stall-time.Duration(i-first)*tick)
	}
}
