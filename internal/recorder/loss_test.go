package recorder

import (
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/lossy"
)

// through is the URL of a camera behind a proxy.
func through(t *testing.T, proxy *lossy.Proxy, camera string) string {
	t.Helper()
	u, err := url.Parse(camera)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = proxy.Address()
	return u.String()
}

// overUDP sets the transport.
func overUDP(o *Options) { cameraOf(o).Transport = transportUDP }

// wiretap notes which packets belong to which frame.
type wiretap struct {
	mu     sync.Mutex
	frames []uint64 // of each packet, in order
	keys   map[uint64]bool
}

func (w *wiretap) hook(key func(frame uint64) bool, change func(*fakecam.Packet)) func(fakecam.Packet) []fakecam.Packet {
	w.keys = make(map[uint64]bool)
	return func(p fakecam.Packet) []fakecam.Packet {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.frames = append(w.frames, p.Frame)
		w.keys[p.Frame] = key(p.Frame)
		if change != nil {
			change(&p)
		}
		return []fakecam.Packet{p}
	}
}

func (w *wiretap) packets() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.frames)
}

// recordable lists the frames that arrived complete, after a keyframe and other complete frames.
func (w *wiretap) recordable(events []lossy.Event) (list []uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	hurt := make(map[uint64]bool)
	last := uint64(0)
	for i, e := range events {
		last = w.frames[i]
		hurt[last] = hurt[last] || e.Fate == lossy.Drop
	}
	clean := false
	for frame := range last + 1 {
		clean = !hurt[frame] && (clean || w.keys[frame])
		if clean {
			list = append(list, frame)
		}
	}
	return list
}

// every returns the keyframes of a film.
func every(n uint64) func(uint64) bool { return func(frame uint64) bool { return frame%n == 0 } }

// byFrame drops whole frames, given the numbers of their access units from 0.
func byFrame(w *wiretap, drop func(frame uint64) bool) lossy.Plan {
	return func(p lossy.Packet) lossy.Fate {
		w.mu.Lock()
		defer w.mu.Unlock()
		if drop(w.frames[p.Index]) {
			return lossy.Drop
		}
		return lossy.Pass
	}
}

// overLossyUDP records a camera behind a bad network. What was sent is
// recorded or reported as lost, to the frame, and exactly what can be decoded is recorded: the frames
// that arrived complete, up to the first hole of their GOP. Later frames of such a GOP are left out
// although they arrived: they are predicted from a missing picture, so that no decoder could
// show them without errors.
func overLossyUDP(t *testing.T) {
	mixed := lossy.Shares{Drop: 0.01, Double: 0.03, Late: 0.03}
	heavy := lossy.Shares{Drop: 0.05, Double: 0.05, Late: 0.05}
	random := func(s lossy.Shares) func(*wiretap) lossy.Plan {
		return func(*wiretap) lossy.Plan { return lossy.Random(7, s) }
	}
	frames := func(drop func(uint64) bool) func(*wiretap) lossy.Plan {
		return func(w *wiretap) lossy.Plan { return byFrame(w, drop) }
	}
	bFrames := fakecam.Options{FPS: 100,
		Film: film(t, x264("-g", "25", "-x264-params", "bframes=2:b-adapt=0:b-pyramid=0:open-gop=0:scenecut=0", "-f", "h264")...)}
	for _, c := range []struct {
		name   string
		camera fakecam.Options
		gop    uint64
		change func(*fakecam.Packet)
		plan   func(*wiretap) lossy.Plan
		after  int64 // frames to be sent under this plan
	}{
		{name: "H.264, 1 %", camera: fakecam.Options{FPS: 100}, gop: 25, plan: random(mixed)},
		{name: "H.264, 5 %", camera: fakecam.Options{FPS: 100}, gop: 25, plan: random(heavy)},
		{name: "H.265, 1 %", camera: fakecam.Options{FPS: 100, H265: true}, gop: 25, plan: random(mixed)},
		{name: "H.265, 5 %", camera: fakecam.Options{FPS: 100, H265: true}, gop: 25, plan: random(heavy)},
		{name: "B-frames, 5 %", camera: bFrames, gop: 25, change: presented, plan: random(heavy)},
		{name: "B-frames, whole frames", camera: bFrames, gop: 25, change: presented, plan: frames(func(n uint64) bool {
			return n == 31 || n >= 40 && n < 43 || n >= 70 && n < 110 || n == 127 || n == 129
		})},
		{name: "nothing lost", camera: fakecam.Options{FPS: 100}, gop: 25, plan: random(lossy.Shares{Double: 0.2, Late: 0.2})},
		{name: "whole frames", camera: fakecam.Options{FPS: 100}, gop: 25,
			plan: frames(func(n uint64) bool { return n%30 >= 20 && n%30 < 23 || n >= 100 && n < 180 })},
		{name: "whole frames of H.265", camera: fakecam.Options{FPS: 100, H265: true}, gop: 25,
			plan: frames(func(n uint64) bool { return n%7 == 3 })},
		{name: "the first frames", camera: fakecam.Options{FPS: 100}, gop: 25, plan: frames(func(n uint64) bool { return n < 3 })},
		{name: "the first packets", camera: fakecam.Options{FPS: 100}, gop: 25, plan: func(*wiretap) lossy.Plan {
			return func(p lossy.Packet) lossy.Fate {
				if p.Index < 5 {
					return lossy.Drop
				}
				return lossy.Pass
			}
		}},
		{name: "MPEG-TS, 1 %", camera: fakecam.Options{FPS: 100, MPEGTS: true}, gop: 25, plan: random(mixed)},
		{name: "MPEG-TS, 5 %", camera: fakecam.Options{FPS: 100, MPEGTS: true}, gop: 25, plan: random(heavy)},
		{name: "MPEG-TS, H.265, 5 %", camera: fakecam.Options{FPS: 100, H265: true, MPEGTS: true}, gop: 25, plan: random(heavy)},
		{name: "MPEG-TS, whole frames", camera: fakecam.Options{FPS: 100, MPEGTS: true}, gop: 25,
			plan: frames(func(n uint64) bool { return n%30 >= 20 && n%30 < 23 || n >= 100 && n < 180 })},
		{name: "few packets", camera: fakecam.Options{FPS: 10, H265: true}, gop: 25, after: 20,
			plan: frames(func(n uint64) bool { return n == 6 })},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tap := new(wiretap)
			c.camera.Wire = tap.hook(every(c.gop), c.change)
			camera := startCamera(t, c.camera)
			var calm atomic.Bool
			plan := c.plan(tap)
			proxy := lossy.New(t, hostOf(t, camera), func(p lossy.Packet) lossy.Fate {
				if calm.Load() {
					return lossy.Pass
				}
				return plan(p)
			})
			r := record(t, camera, through(t, proxy, camera.URL()), overUDP)
			if c.after == 0 {
				c.after = 200
			}
			r.await("frames", func() bool { return sent(camera) >= c.after })
			calm.Store(true) // losses at the very end cannot be detected
			last := sent(camera) + 10
			r.await("the end", func() bool { return sent(camera) >= last })
			camera.Stall()
			r.await("the last packet", func() bool { return len(proxy.Events()) >= tap.packets() })
			total := func() int64 { return r.handed.Load() + r.number(health.FramesLost) }
			r.await("the last frame", func() bool { return total() >= sent(camera) })
			r.finish()
			want := tap.recordable(proxy.Events())
			var got []uint64
			for _, f := range r.frames() {
				got = append(got, f.counter)
			}
			if !slices.Equal(got, want) {
				t.Errorf("recorded:\n%d, decodable:\n%d", got, want)
			}
			if n, lost := sent(camera), r.number(health.FramesLost); int64(len(got))+lost != n {
				t.Errorf("%d frames were sent, %d recorded and %d reported as lost", n, len(got), lost)
			}
			if c.camera.Film != nil {
				r.mustPlay()
			}
		})
	}
}

// presented sets the timestamps of a film in decode order I P B B P B B … to the times of presentation.
func presented(p *fakecam.Packet) {
	const frame = 900 // ticks, at 100 frames per second
	switch n := p.Frame % 25; {
	case n == 0:
	case n%3 == 1:
		p.Timestamp += 2 * frame
	default:
		p.Timestamp -= frame
	}
}

func hostOf(t *testing.T, camera *fakecam.Camera) string {
	t.Helper()
	u, err := url.Parse(camera.URL())
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// TestTheEndOfALossySession loses the tail: frames after the last packet that arrived cannot be known.
func TestTheEndOfALossySession(t *testing.T) {
	t.Parallel()
	tap := new(wiretap)
	camera := startCamera(t, fakecam.Options{FPS: 100, Oddities: fakecam.Oddities{Wire: tap.hook(every(25), nil)}})
	// The hole before the last packets is still open when the session ends: they wait for the missing ones. It comes after the
	// session's first moments, whose frames are held back until more of them come.
	const hole, lastCome = 300, 305
	proxy := lossy.New(t, hostOf(t, camera), byFrame(tap, func(n uint64) bool { return n >= hole && n < hole+3 || n > lastCome }))
	r := record(t, camera, through(t, proxy, camera.URL()), overUDP)
	r.await("frames", func() bool { return sent(camera) > lastCome+10 })
	camera.Stall()
	r.await("the last packet", func() bool { return len(proxy.Events()) >= tap.packets() })
	r.await("the frames before", func() bool { return r.handed.Load() == hole })
	camera.Unplug()
	r.await("its end", func() bool { return r.part.Snapshot().State != stateRecording })
	r.finish()
	if got, lost := len(r.frames()), r.number(health.FramesLost); got != hole || lost != lastCome+1-hole {
		t.Errorf("%d frames are recorded, %d reported as lost, of the first %d", got, lost, lastCome+1)
	}
}
