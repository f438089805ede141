package recorder

import (
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// The rows of timestamps. Times are compared with the camera's own notes of when it sent each frame.

// offCamera is how far recorded times are off the times at which the camera's frames were due, at
// most. A busy machine sends some late: the timeliest frame defines when the others were due.
func offCamera(frames []recorded, step time.Duration) (most time.Duration) {
	due := func(f recorded) time.Duration { return time.Duration(f.counter-frames[0].counter) * step }
	begin := frames[0].sent
	for _, f := range frames {
		if at := f.sent.Add(-due(f)); at.Before(begin) {
			begin = at
		}
	}
	for _, f := range frames {
		most = max(most, f.time.Sub(begin.Add(due(f))).Abs())
	}
	return most
}

// timely returns a limit for that: little on an idle machine, and more on a busy one, which also reads late.
func timely(t *testing.T, little time.Duration) (limit func() time.Duration) {
	t.Helper()
	late := testtools.SchedulingDelay(t)
	return func() time.Duration { return little + 4*late() }
}

// expectForward fails for times that go back or repeat.
func expectForward(t *testing.T, frames []recorded) {
	t.Helper()
	for i := 1; i < len(frames); i++ {
		if d := frames[i].time.Sub(frames[i-1].time); d <= 0 {
			t.Errorf("frame %d comes %s after the previous one", i, d)
		}
	}
}

// lapse lets an hour pass in seconds: the hub's clock advances by a step for each frame that is
// recorded, and the camera's for each frame that it sends, by its own step.
type lapse struct {
	step, camera time.Duration
}

func (l *lapse) wire(p fakecam.Packet) []fakecam.Packet {
	p.Timestamp = uint32(time.Duration(p.Frame) * l.camera / time.Microsecond * 9 / 100) // of 90 kHz
	return []fakecam.Packet{p}
}

func (l *lapse) change(o *Options) {
	begin, frames := time.Now().Round(0), countWrites(o)
	o.noHold = true // nothing is recorded during the hold
	o.Now = func() time.Time { return begin.Add(time.Duration(frames.Load()) * l.step) }
}

func rtpJump(t *testing.T) {
	for name, jump := range map[string]time.Duration{"forward": 5 * time.Hour, "back": -5 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit := timely(t, 500*time.Millisecond)
			camera := startCamera(t, fakecam.Options{})
			r := record(t, camera, camera.URL())
			r.awaitFrames(30)
			camera.Jump(jump)
			r.awaitCondition("timestamps jumped")
			r.awaitFrames(90)
			r.settle()
			frames := r.expectAll()
			for i := 1; i < len(frames); i++ {
				if d := frames[i].time.Sub(frames[i-1].time); d <= 0 || d > limit() {
					t.Errorf("frame %d comes %s after the previous one", i, d)
				}
			}
			if n := len(r.recordings()); n != 2 {
				t.Errorf("%d segments, want a new one after the jump", n)
			}
		})
	}
}

// rtpDrift has a clock that runs so fast or slow that uncorrected times would exceed the limit in the end.
func rtpDrift(t *testing.T) {
	const frames, little = 11 * 25, 200 * time.Millisecond
	for name, camera := range map[string]time.Duration{"3 % fast": tick * 103 / 100, "3 % slow": tick * 97 / 100} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if off := (camera - tick).Abs() * frames; off < little*3/2 {
				t.Fatalf("a clock that is off by %s needs no slewing", off)
			}
			limit := timely(t, little)
			l := lapse{camera: camera}
			camera := startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{Wire: l.wire}})
			r := record(t, camera, camera.URL())
			r.awaitFrames(frames)
			r.settle()
			got := r.expectAll()
			expectForward(t, got)
			if off := offCamera(got, tick); off >= limit() {
				t.Errorf("a frame is %s off the time at which it was sent", off)
			}
			if n := len(r.recordings()); n != 1 {
				t.Errorf("%d segments", n)
			}
			r.mustMux()
		})
	}
}

// rtpConstant has the same timestamp on all frames.
func rtpConstant(t *testing.T) {
	for name, timestamp := range map[string]uint32{"zero": 0, "one": 3_000_000_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Times follow arrival from the 11th frame of one timestamp on.
			limit := timely(t, 10*tick+500*time.Millisecond)
			camera := startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{Wire: func(p fakecam.Packet) []fakecam.Packet {
				p.Timestamp = timestamp
				return []fakecam.Packet{p}
			}}})
			r := record(t, camera, camera.URL())
			r.awaitCondition("timestamps do not advance")
			r.awaitFrames(100)
			r.settle()
			frames := r.expectAll()
			expectForward(t, frames)
			if off := offCamera(frames, tick); off > limit() {
				t.Errorf("a frame is %s off the time at which it was sent", off)
			}
			if n := r.logged("timestamps", "timestamps do not advance"); n != 1 || len(r.recordings()) != 1 {
				t.Errorf("%d log lines, %d segments", n, len(r.recordings()))
			}
			r.mustMux()
		})
	}
}

// held is a connection that passes no media on while its gate is locked.
type held struct {
	net.Conn
	gate *sync.Mutex
}

func (h held) Write(b []byte) (int, error) {
	if b[0] == '$' {
		h.gate.Lock()
		defer h.gate.Unlock()
	}
	return h.Conn.Write(b)
}

func burst(t *testing.T) {
	const stall = 5 * time.Second // less than a stall of the camera
	var gate sync.Mutex
	camera := startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{Conn: func(c net.Conn) net.Conn { return held{c, &gate} }}})
	r := record(t, camera, camera.URL())
	r.awaitFrames(50)
	gate.Lock()
	// Frames on their way arrive.
	r.await("all that was sent", func() bool { return r.handed.Load() >= sent(camera) })
	before := r.handed.Load()
	err := backoff.Sleep(t.Context(), stall)
	during := r.handed.Load()
	gate.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if during > before+1 { // one that the camera had not counted yet
		t.Fatalf("%d frames came while none could", during-before)
	}
	r.awaitFrames(before + int64(stall/tick) + 25)
	r.settle()
	r.expectSteps(r.expectAll(), tick)
	if n := len(camera.Sessions()); n != 1 || r.number(health.Gaps) != 0 || len(r.recordings()) != 1 {
		t.Errorf("%d sessions, %d gaps, %d segments", n, r.number(health.Gaps), len(r.recordings()))
	}
	r.mustMux()
}

// fpsLie has a camera whose parameter sets say 25 frames per second.
func fpsLie(t *testing.T) {
	const fps = 21
	for _, transport := range []string{transportTCP, transportUDP} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			limit := timely(t, 200*time.Millisecond)
			camera := startCamera(t, fakecam.Options{FPS: fps})
			r := record(t, camera, camera.URL(), func(o *Options) { cameraOf(o).Transport = transport })
			r.awaitFrames(6 * fps)
			r.settle()
			frames := r.expectAll()
			r.expectSteps(frames, time.Second/fps)
			if off := offCamera(frames, time.Second/fps); off > limit() {
				t.Errorf("a frame is %s off the time at which it was sent", off)
			}
			if gaps, lost := r.number(health.Gaps), r.number(health.FramesLost); gaps != 0 || lost != 0 || len(r.recordings()) != 1 {
				t.Errorf("%d gaps, %d frames lost, %d segments of a camera that lost none", gaps, lost, len(r.recordings()))
			}
		})
	}
}

// resetStorm has a clock that drifts faster than times may be slewed, for half an hour: no segment starts because of it.
func resetStorm(t *testing.T) {
	const step = 400 * time.Millisecond
	const frames = int64(30 * time.Minute / step)
	for name, pace := range map[string]time.Duration{"8 % fast": 108, "8 % slow": 92} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := lapse{step: step, camera: step * pace / 100}
			camera := startCamera(t, fakecam.Options{FPS: 1000, Oddities: fakecam.Oddities{Wire: l.wire}})
			r := record(t, camera, camera.URL(), l.change, func(o *Options) { o.SegmentDuration = 2 * time.Hour })
			r.awaitFrames(frames)
			r.settle()
			got := r.expectAll()
			expectForward(t, got)
			span, want := got[len(got)-1].time.Sub(got[0].time), time.Duration(len(got)-1)*step
			if n := len(r.recordings()); n != 1 || (span-want).Abs() > time.Second {
				t.Errorf("%d segments of %s, want one of %s", n, span, want)
			}
		})
	}
}

// TestOddTimestamps has other faults of cameras' timestamps.
func TestOddTimestamps(t *testing.T) {
	t.Parallel()
	t.Run("pace", rtpPace)
	t.Run("stray", rtpStray)
	t.Run("backlog", rtpBacklog)
}

// rtpPace has cameras whose timestamps run too fast or too slow: nothing is lost, and times follow the hub's clock.
func rtpPace(t *testing.T) {
	for _, pace := range []float64{0.01, 0.84, 1.42, 90} {
		t.Run(strconv.FormatFloat(pace, 'g', -1, 64), func(t *testing.T) {
			t.Parallel()
			limit := timely(t, time.Second)
			camera := startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{Pace: pace}})
			r := record(t, camera, camera.URL(), func(o *Options) { o.Clock = rightClock() })
			r.awaitFrames(12 * 25)
			r.settle()
			frames := r.expectAll()
			expectForward(t, frames)
			if off := offCamera(frames, tick); off > limit() {
				t.Errorf("a frame is %s off the time at which it was sent", off)
			}
			if n := len(r.recordings()); n != 1 {
				t.Errorf("%d segments", n)
			}
			if r.logged("timestamps", "timestamps jumped") > 0 || r.logged("keyframe-interval", "") > 0 {
				t.Error("the log says that the timestamps jumped, or that keyframes are rare")
			}
			r.mustMux()
		})
	}
}

// rightClock is a hub's clock that the kernel reports as synchronised.
func rightClock() *hubclock.Clock {
	return hubclock.New(hubclock.Options{Synchronised: func() bool { return true }})
}

// rtpStray has stray timestamps: no segment starts for them, and no other frame's time changes.
func rtpStray(t *testing.T) {
	limit := timely(t, 200*time.Millisecond)
	camera := startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{StrayEvery: 25}})
	r := record(t, camera, camera.URL())
	r.awaitFrames(8 * 25)
	r.settle()
	frames := r.expectAll()
	expectForward(t, frames)
	if off := offCamera(frames, tick); off > limit() {
		t.Errorf("a frame is %s off the time at which it was sent", off)
	}
	if n := len(r.recordings()); n != 1 || r.logged("timestamps", "timestamps jumped") > 0 {
		t.Errorf("%d segments, or a jump was seen", n)
	}
}

// rtpBacklog has a camera that sends its buffered frames at once: distances are its own, and the newest frame is dated now.
func rtpBacklog(t *testing.T) {
	for _, kept := range []time.Duration{time.Second, 4 * time.Second} {
		t.Run(kept.String(), func(t *testing.T) {
			t.Parallel()
			limit, steps := timely(t, 300*time.Millisecond), timely(t, time.Millisecond)
			camera := startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{Backlog: kept}})
			r := record(t, camera, camera.URL())
			r.awaitFrames(int64(kept/tick) + 100)
			r.settle()
			frames := r.expectAll()
			expectStepsWithin(t, frames, tick, steps()) // a busy machine reads the backlog late
			last := frames[len(frames)-1]
			if off := last.time.Sub(last.sent); off.Abs() > limit() {
				t.Errorf("the last frame is %s off the time at which it was sent", off)
			}
		})
	}
}
