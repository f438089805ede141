package camera

import (
	"context"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/handshake"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// TestWhenRTSPIsTriedThroughHTTP: only where none of the camera's answers was RTSP.
func TestWhenRTSPIsTriedThroughHTTP(t *testing.T) {
	t.Parallel()
	var (
		none  = carrier{}
		plain = carrier{tunnel: true}
		tls   = carrier{tunnel: true, tls: true}
	)
	for _, c := range []struct {
		url       string
		err       error
		connected bool
		want      carrier
		transport string // the setting, default TransportAuto
	}{
		{"rtsp://camera:8554/x", errWeb, true, plain, ""},
		{"rtsp://camera:80/x", errWeb, true, plain, ""},
		{"rtspt://camera:80/x", errWeb, true, plain, ""},
		{"rtsp://camera:443/x", errWeb, true, tls, ""}, // a server of HTTPS that complains
		{"rtsps://camera:322/x", errWeb, true, tls, ""},
		{"rtspu://camera:80/x", errWeb, true, none, ""},
		{"rtsph://camera/x", errWeb, true, none, ""}, // already through HTTP
		{"rtsp://camera:443/x", errTLS, true, tls, ""},
		{"rtsp://camera:322/x", errTLS, true, none, ""},
		{"rtsp://camera:80/x", io.EOF, true, plain, ""},
		{"rtsp://camera:8080/x", syscall.ECONNRESET, true, plain, ""},
		{"rtsp://camera:80/x", context.DeadlineExceeded, true, plain, ""},
		{"rtsp://camera:8443/x", os.ErrDeadlineExceeded, true, tls, ""},
		{"rtsps://camera:443/x", io.EOF, true, tls, ""},
		{"rtsp://camera/x", io.EOF, true, none, ""},
		{"rtsp://camera:80/x", syscall.ECONNREFUSED, false, none, ""},
		{"rtsp://camera:80/x", os.ErrDeadlineExceeded, false, none, ""},
		{"rtsps://camera:443/x", new(handshake.Error), true, none, ""},
		{"rtsp://camera:80/x", errWeb, true, plain, TransportTCP},
		{"rtsp://camera:80/x", errWeb, true, none, TransportUDP},
		{"rtsp://camera:8080/x", io.EOF, true, none, TransportMulticast},
		{"rtsps://camera:443/x", io.EOF, true, none, TransportUDP},
		{"rtspt://camera:80/x", errWeb, true, plain, TransportUDP}, // the URL takes precedence
	} {
		at, err := parseEndpoint(secret.New(c.url))
		if err != nil {
			t.Fatal(err)
		}
		s := new(session)
		if c.connected {
			conn, other := net.Pipe()
			defer conn.Close()
			defer other.Close()
			s.conn.Store(&conn)
		}
		config := clientConfig{Options: Options{Transport: c.transport}.of(at), endpoint: at, over: carrier{tunnel: at.Tunnel, tls: at.TLS}}
		got, ok := config.otherCarrier(s, c.err)
		if !ok {
			got = none
		}
		if got != c.want {
			t.Errorf("%s after %v: %+v, want %+v", c.url, c.err, got, c.want)
		}
	}
}
