package recorder

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap/zaptest/observer"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// clocked is a camera whose sender reports come every 10 s, in a hub that follows them.
type clocked struct {
	cam
	clock  cameraClock
	frames int
	off    time.Duration // of the camera's clock
}

func newClocked() *clocked {
	c := &clocked{cam: *newCam()}
	c.clock.restart(90000)
	return c
}

// play sends frames for so long, each arriving late by what late says, and gives the last one's time and the hub's.
func (c *clocked) play(d time.Duration, late func(i int) time.Duration) (producer, hub time.Time) {
	for end := c.frames + int(d/tick); c.frames < end; c.frames++ {
		sent := noon.Add(time.Duration(c.frames) * tick)
		hub = sent.Add(late(c.frames))
		raw := c.raw + uint32((c.media+tick)*9/100_000)
		if c.frames%250 == 50 {
			c.clock.report(sent.Add(c.off), raw)
		}
		c.line.camera = time.Time{}
		if camera, ok := c.clock.judge(raw, hub); ok {
			c.line.camera = camera
			c.line.aim(c.clock.offset)
		} else {
			c.line.aim(0)
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
		off   time.Duration // of the recording's times from the hub's in the end
		state clockState
	}{
		"right":                      {steady(0), 0, clockGood},
		"2 s ahead":                  {steady(2 * time.Second), 2 * time.Second, clockGood},
		"3 s behind":                 {steady(-3 * time.Second), -3 * time.Second, clockGood},
		"2 s ahead of a right one":   {func(c *clocked) { c.clock.trusted = true; steady(2 * time.Second)(c) }, 0, clockOff},
		"3 s behind a right one":     {func(c *clocked) { c.clock.trusted = true; steady(-3 * time.Second)(c) }, -3 * time.Second, clockGood},
		"0.9 s ahead of a right one": {func(c *clocked) { c.clock.trusted = true; steady(900 * time.Millisecond)(c) }, 900 * time.Millisecond, clockGood},
		"6 s ahead":                  {steady(6 * time.Second), 0, clockOff},
		"an hour behind":             {steady(-time.Hour), 0, clockOff},
		"since 1970":                 {steady(-50 * 365 * 24 * time.Hour), 0, clockOff},
		"set, then jumps":            {func(c *clocked) { c.play(time.Minute, onTime); c.off = 3 * time.Second; c.play(30*time.Second, onTime) }, 0, clockJumps},
		"a minute after":             {func(c *clocked) { c.play(time.Minute, onTime); c.off = 3 * time.Second; c.play(5*time.Minute, onTime) }, 3 * time.Second, clockGood},
		"put right":                  {func(c *clocked) { steady(time.Hour)(c); steady(time.Second)(c) }, time.Second, clockGood},
		"network stalls":             {func(c *clocked) { c.play(time.Minute, onTime); c.play(12*time.Second, burstOf(8*time.Second)) }, 0, clockGood},
		"a new session":              {func(c *clocked) { steady(time.Second)(c); c.clock.restart(90000); c.play(time.Minute, onTime) }, time.Second, clockGood},
		"no report at all": {func(c *clocked) {
			c.frames = 51
			c.play(9*time.Second, onTime)
			c.clock.restart(90000)
			c.clock.rate = 90000
			c.silent(40 * time.Second)
		}, 0, clockMissing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClocked()
			row.life(c)
			if c.clock.state != row.state {
				t.Errorf("the state is %d, want %d", c.clock.state, row.state)
			}
			if row.state == clockMissing {
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
		c.clock.judge(c.raw, noon.Add(time.Duration(c.frames)*tick))
		c.frames++
	}
}

// burstOf holds everything back for so long, then lets it come at once.
func burstOf(stall time.Duration) func(int) time.Duration {
	first := -1
	return func(i int) time.Duration {
		if first < 0 {
			first = i
		}
		return max(0, stall-time.Duration(i-first)*tick)
	}
}

func TestRecordingsFollowTheCamerasClockWhenAsked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		off  time.Duration
		says string
	}{
		"a second ahead": {time.Second, ""},
		"an hour ahead":  {time.Hour, "more than 5 s off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			camera := startCamera(t, fakecam.Options{Audio: fakecam.AudioAAC,
				Oddities: fakecam.Oddities{Clock: func() time.Time { return time.Now().Add(c.off) }}})
			r := record(t, camera, camera.URL(), func(o *Options) { o.TimestampSource = TimestampCamera })
			if c.says != "" {
				condition := r.awaitCondition(c.says)
				if condition.Severity != health.Info || condition.Class != health.UserError {
					t.Errorf("%+v", condition)
				}
				return
			}
			r.await("the camera's clock", func() bool { return r.logs.FilterMessage("times follow the camera's clock").Len() > 0 })
			before := r.number(health.FramesRecorded)
			r.awaitFrames(before + 150) // 6 s: 2 s are watched, then 5 % are gained
			r.settle()
			frames := r.expectAll()
			span := frames[len(frames)-1].time.Sub(frames[0].time)
			if gained := span - time.Duration(len(frames)-1)*tick; gained < 100*time.Millisecond || gained > time.Second {
				t.Errorf("times gained %s", gained)
			}
		})
	}
}

// The sender reports of GStreamer come from the clock of this machine: a server by others shows that
// their fractions are read right.
func TestTheClockOfGStreamerIsOurs(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "/usr/bin/python3")
	late := testtools.Late(t)
	source := filepath.Join(t.TempDir(), "source.mkv")
	arguments := slices.Concat([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=30"},
		x264("-bf", "0", "-g", "25"), []string{source})
	if out, err := exec.Command("ffmpeg", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v %s", err, out)
	}
	r := record(t, nil, "rtsp://"+gstServer(t, source), func(o *Options) { o.TimestampSource = TimestampCamera })
	var followed []observer.LoggedEntry
	r.await("the camera's clock", func() bool {
		followed = r.logs.FilterMessage("times follow the camera's clock").All()
		return len(followed) > 0
	})
	ahead := followed[0].ContextMap()["ahead of the hub"].(time.Duration)
	if ahead.Abs() > time.Second+4*late() {
		t.Errorf("it is found to be %v ahead, on a machine that is late by %v", ahead, late())
	}
}
