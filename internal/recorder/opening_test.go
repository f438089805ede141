package recorder

import (
	"bytes"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// mutePlay is the connection of a camera that plays without answering PLAY.
type mutePlay struct {
	net.Conn
	asked *atomic.Bool
}

func (c mutePlay) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if bytes.HasPrefix(b[:n], []byte("PLAY ")) {
		c.asked.Store(true)
	}
	return n, err
}

func (c mutePlay) Write(b []byte) (int, error) {
	if c.asked.Load() && b[0] != frameMark {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// TestACameraThatNeverAnswersPlay is disconnected, however much it sends; and what it sent is recorded. Only the limit of the
// opening ends such a session.
func TestACameraThatNeverAnswersPlay(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{transportTCP, transportUDP} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			for limit := time.Second; !givenUpWithAll(t, transport, limit); limit *= 2 {
				if limit > patience/2 {
					t.Fatalf("within %s a camera could not send what is to be recorded", limit)
				}
			}
		})
	}
}

// givenUpWithAll has a camera that plays without answering PLAY, and reports whether all that it sent was recorded within the limit.
func givenUpWithAll(t *testing.T, transport string, limit time.Duration) bool {
	t.Helper()
	device := startCamera(t, fakecam.Options{FPS: 100, Oddities: fakecam.Oddities{Conn: func(c net.Conn) net.Conn {
		return mutePlay{c, new(atomic.Bool)}
	}}})
	r := record(t, device, device.URL(), func(o *Options) {
		o.noHold = true // so that the arrival of a frame shows
		cameraOf(o).Transport, cameraOf(o).Limits = transport, camera.Limits{Opening: limit, Answer: time.Hour, Stall: time.Hour}
	})
	r.await("frames", func() bool { return sent(device) >= 30 })
	device.Stall()
	r.await("the camera's frames, or another session", func() bool {
		return len(device.Sessions()) > 1 || r.handed.Load() >= sent(device)
	})
	inTime := len(device.Sessions()) == 1
	r.awaitCondition("does not answer")
	r.await("another session", func() bool { return len(device.Sessions()) >= 2 })
	sessions := device.Sessions()
	if d := sessions[1].Began.Sub(sessions[0].Began); d > limit+limits.Close+4*r.late() {
		t.Errorf("it is disconnected after %s", d)
	}
	r.finish()
	if inTime {
		r.expectAll()
	}
	return inTime
}

// TestACameraThatSaysNothing accepts connections and nothing else. The RTSP library does not notice that it
// should stop while it waits in a TLS handshake.
func TestACameraThatSaysNothing(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"rtsp", "rtsps"} {
		silent := func(t *testing.T, limit time.Duration) *rig {
			t.Helper()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = listener.Close() })
			r := record(t, nil, scheme+"://"+listener.Addr().String()+"/live", func(o *Options) {
				cameraOf(o).Limits.Opening, cameraOf(o).Limits.Answer = limit, time.Hour
			})
			for {
				conn, err := listener.Accept()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = conn.Close() })
				if _, err := conn.Read(make([]byte, 1)); err == nil { // a request arrives, unless the time limit came first
					return r
				}
			}
		}
		t.Run(scheme+" is given up", func(t *testing.T) {
			t.Parallel()
			took := testtools.Stopwatch(t)
			silent(t, 300*time.Millisecond).awaitCondition("does not answer")
			if d := took(); d > 2*limits.Close {
				t.Errorf("after %s", d)
			}
		})
		t.Run(scheme+" holds up no stop", func(t *testing.T) {
			t.Parallel()
			r, took := silent(t, 2*patience), testtools.Stopwatch(t)
			r.finish()
			if d := took(); d > 2*limits.Close {
				t.Errorf("it took %s", d)
			}
		})
	}
}
