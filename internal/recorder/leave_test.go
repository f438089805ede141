package recorder

import (
	"bytes"
	"crypto/x509"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// TestASessionThatWeEndLosesNothingThatTheCameraSent ends recordings while the camera plays, at the
// end of a window or for a reload. Up to 100 ms of frames wait in the socket then.
func TestASessionThatWeEndLosesNothingThatTheCameraSent(t *testing.T) {
	t.Parallel()
	pair, leaf := selfSigned(t)
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	for name, o := range map[string]fakecam.Options{
		"TCP":                  {FPS: 100},
		"TLS":                  {FPS: 100, NoUDP: true, Oddities: fakecam.Oddities{TLS: &pair}},
		"audio":                {FPS: 100, Audio: fakecam.AudioAAC},
		"each nonce good once": {FPS: 100, User: "admin", Pass: "secret", Oddities: fakecam.Oddities{NonceUses: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			camera := startCamera(t, o)
			r := record(t, camera, camera.URL(), func(o *Options) {
				cameraOf(o).Roots, cameraOf(o).Limits.Close = roots, patience/4 // the camera answers, however busy the machine is
			})
			r.awaitFrames(100)
			r.finish()
			r.await("the session's end", func() bool { return !camera.Sessions()[0].Ended.IsZero() })
			r.expectAll()
		})
	}
}

// TestASessionEndsWhateverTheCameraMakesOfAPause expects what such cameras had sent before the stop: frames
// sent after the request to stop need not be recorded.
func TestASessionEndsWhateverTheCameraMakesOfAPause(t *testing.T) {
	t.Parallel()
	for name, oddities := range map[string]fakecam.Oddities{
		"refuses":   {NoPause: true},
		"is silent": {Conn: func(c net.Conn) net.Conn { return deafToPause{c} }},
		"hangs up":  {Conn: func(c net.Conn) net.Conn { return endedByPause{c} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			camera := startCamera(t, fakecam.Options{FPS: 100, Oddities: oddities})
			r := record(t, camera, camera.URL(), func(o *Options) { cameraOf(o).Limits.Close = 3 * limits.Close })
			r.awaitFrames(100)
			// On a busy machine the recorder must not be further behind than the wait for the answer.
			before := int64(0)
			r.await("a recorder that keeps up", func() bool { before = sent(camera); return r.handed.Load() >= before-25 })
			stopped := time.Now()
			r.finish()
			t.Logf("it took %s", time.Since(stopped))
			r.await("the session's end", func() bool { return !camera.Sessions()[0].Ended.IsZero() })
			frames := r.frames()
			for i, f := range frames {
				if f.counter != uint64(i) {
					t.Fatalf("frame %d is number %d", i, f.counter)
				}
			}
			if n := int64(len(frames)); n < before {
				t.Errorf("%d frames are recorded, the camera had sent %d when it was stopped", n, before)
			}
		})
	}
}

// TestNoPacketIsLeftInASocket has a disk that delays a session's end: the packets that the camera sends
// meanwhile are in the socket, which the RTSP library closes.
func TestNoPacketIsLeftInASocket(t *testing.T) {
	t.Parallel()
	const moment = 5 * 100 * time.Millisecond // if the library ends later, the test shows nothing
	for name, c := range map[string]struct {
		transport string
		end       func(*rig)
		disk      time.Duration // how long writing is delayed
	}{
		"we end it, UDP":           {transportUDP, func(r *rig) { r.stop() }, moment},
		"the camera hangs up, UDP": {transportUDP, func(r *rig) { r.camera.Drop() }, moment},
		"we end it, TCP":           {transportTCP, func(r *rig) { r.stop() }, limits.Close + moment},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const before, meanwhile = 50, 60
			gate := &slowGate{after: before, reached: make(chan struct{}), open: make(chan struct{})}
			camera := startCamera(t, fakecam.Options{FPS: 100})
			r := record(t, camera, camera.URL(), func(o *Options) {
				cameraOf(o).Transport = c.transport
				o.wrapWriter = func(w segmentWriter) segmentWriter { return gatedWriter{w, gate} }
			})
			<-gate.reached
			r.await("more frames", func() bool { return sent(camera) >= before+meanwhile })
			ended := make(chan struct{})
			go func() { defer close(ended); c.end(r) }()
			if err := backoff.Sleep(t.Context(), c.disk); err != nil {
				t.Fatal(err)
			}
			close(gate.open)
			<-ended
			r.await("the session's end", func() bool { return !camera.Sessions()[0].Ended.IsZero() })
			first := int64(camera.Sessions()[0].Frames)
			camera.Unplug()
			r.finish()
			frames := r.frames()
			for i, f := range frames[:min(len(frames), int(first))] {
				if f.counter != uint64(i) {
					t.Fatalf("frame %d is number %d", i, f.counter)
				}
			}
			if n := int64(len(frames)) + r.number(health.FramesLost); n < first {
				t.Errorf("%d frames are recorded or lost, the camera sent %d in its first session", n, first)
			}
		})
	}
}

// slowGate blocks the writer of a frame after the first ones, until it is opened.
type slowGate struct {
	after         int64
	frames        atomic.Int64
	reached, open chan struct{}
}

type gatedWriter struct {
	segmentWriter
	gate *slowGate
}

func (w gatedWriter) WriteFrame(track uint8, t time.Duration, keyframe bool, parts [][]byte) error {
	if w.gate.frames.Add(1) == w.gate.after {
		close(w.gate.reached)
		<-w.gate.open
	}
	return w.segmentWriter.WriteFrame(track, t, keyframe, parts)
}

var pauseRequest = []byte("PAUSE ")

// deafToPause is the connection of a camera that does not answer PAUSE.
type deafToPause struct{ net.Conn }

func (c deafToPause) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !bytes.HasPrefix(b[:n], pauseRequest) {
			return n, err
		}
	}
}

// endedByPause is the connection of a camera that hangs up when it receives PAUSE.
type endedByPause struct{ net.Conn }

func (c endedByPause) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if bytes.HasPrefix(b[:n], pauseRequest) {
		return 0, net.ErrClosed
	}
	return n, err
}
