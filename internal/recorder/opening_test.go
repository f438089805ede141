package recorder

import (
	"bytes"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
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

// TestACameraThatNeverAnswersPlay is disconnected, however much it sends; and what it sent is recorded.
func TestACameraThatNeverAnswersPlay(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{transportTCP, transportUDP} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			const limit = time.Second
			camera := startCamera(t, fakecam.Options{FPS: 100, Oddities: fakecam.Oddities{Conn: func(c net.Conn) net.Conn {
				return mutePlay{c, new(atomic.Bool)}
			}}})
			r := record(t, camera, camera.URL(), func(o *Options) { cameraOf(o).Transport, cameraOf(o).Limits.Opening = transport, limit })
			r.await("frames", func() bool { return sent(camera) >= 30 })
			camera.Stall()
			r.awaitCondition("does not answer")
			r.await("another session", func() bool { return len(camera.Sessions()) >= 2 })
			sessions := camera.Sessions()
			if d := sessions[1].Began.Sub(sessions[0].Began); d > limit+limits.Close {
				t.Errorf("it is given up after %s", d)
			}
			r.finish()
			r.expectAll()
		})
	}
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
			r := record(t, nil, scheme+"://"+listener.Addr().String()+"/live", func(o *Options) { cameraOf(o).Limits.Opening = limit })
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
			began := time.Now()
			silent(t, 100*time.Millisecond).awaitCondition("does not answer")
			if d := time.Since(began); d > 2*limits.Close {
				t.Errorf("after %s", d)
			}
		})
		t.Run(scheme+" holds up no stop", func(t *testing.T) {
			t.Parallel()
			r, told := silent(t, limits.Opening), time.Now()
			r.finish()
			if d := time.Since(told); d > 2*limits.Close {
				t.Errorf("it took %s", d)
			}
		})
	}
}
