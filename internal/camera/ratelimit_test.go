package camera_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/traffic"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

const floodSDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n" +
	"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n"

// flooder is a camera that behaves up to a request, and then sends the same bytes without end.
type flooder struct {
	listener net.Listener
	sent     atomic.Int64 // bytes sent, including those in the sockets' buffers
	sessions atomic.Int64
}

// newFlooder floods instead of the answer to a method, or after it.
func newFlooder(t *testing.T, method string, after bool, flood string) *flooder {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	f := &flooder{listener: listener}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			f.sessions.Add(1)
			go f.serve(conn, method, after, []byte(strings.Repeat(flood, 1+(64<<10)/len(flood))))
		}
	}()
	return f
}

func (f *flooder) url() string { return "rtsp://" + f.listener.Addr().String() + "/x" }

func (f *flooder) serve(conn net.Conn, method string, after bool, flood []byte) {
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetWriteBuffer(64 << 10)
	for line, header := range testtools.Requests(conn) {
		asked, _, _ := strings.Cut(line, " ")
		if asked != method || after {
			body, more := "", ""
			switch asked {
			case "DESCRIBE":
				body, more = floodSDP, "Content-Type: application/sdp\r\n"
			case "SETUP":
				more = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
			}
			fmt.Fprintf(conn, "RTSP/1.0 200 OK\r\nCSeq: %s\r\n%sContent-Length: %d\r\n\r\n%s", header.Get("CSeq"), more, len(body), body)
		}
		if asked == method {
			go func() { _, _ = io.Copy(io.Discard, conn) }() // so that requests are read
			for {
				n, err := conn.Write(flood)
				f.sent.Add(int64(n))
				if err != nil {
					return
				}
			}
		}
	}
}

// TestFloodsBeforePlayAreShort measures how much a camera can send before the agent hangs up: little more than one picture, whatever it
// sends, and within a moment.
func TestFloodsBeforePlayAreShort(t *testing.T) {
	t.Parallel()
	const buffers = 16 << 20 // of the two sockets, at most
	frame := "$\x2a\x40\x00" + strings.Repeat("x", 0x4000)
	large := "RTSP/1.0 200 OK\r\nCSeq: 9999\r\nContent-Length: 60000\r\n\r\n" + strings.Repeat("y", 60_000)
	for name, row := range map[string]struct {
		method string
		after  bool
		flood  string
		want   string
	}{
		"noise for OPTIONS":           {"OPTIONS", false, "\x00", "before it is asked to play"},
		"noise for DESCRIBE":          {"DESCRIBE", false, "xyz", "before it is asked to play"},
		"frames for DESCRIBE":         {"DESCRIBE", false, frame, "frames of an earlier session"},
		"informational answers":       {"DESCRIBE", false, "RTSP/1.0 100 Continue\r\nCSeq: 9999\r\n\r\n", "messages a second"},
		"answers to nothing":          {"SETUP", false, "RTSP/1.0 200 OK\r\nCSeq: 9999\r\nServer: x\r\n\r\n", "messages a second"},
		"large answers to nothing":    {"SETUP", false, large, "The camera at"}, // they are treated as answers, so it may be asked to play
		"requests":                    {"OPTIONS", true, "OPTIONS rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n\r\n", "messages a second"},
		"unknown channels, no answer": {"PLAY", false, frame, "before it is asked to play"},
		"unknown channels":            {"PLAY", true, frame, "more than 100 Mbit/s"},
		"noise while it plays":        {"PLAY", true, "\x00", "The camera at"}, // a busy machine notices first that no video arrives
		"requests while it plays":     {"PLAY", true, "GET_PARAMETER rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n\r\n", "messages a second"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFlooder(t, row.method, row.after, row.flood)
			began := time.Now()
			source := camera.NewSource(camera.Options{
				URL:       func(context.Context) (secret.String, error) { return secret.New(f.url()), nil },
				Transport: camera.TransportTCP, Limits: camera.Limits{Bytes: 1_000_000},
			})
			var end *accessunit.SessionEnd
			err := source.Play(t.Context(), accessunit.NewProbeSink(func() {}))
			if !errors.As(err, &end) || !strings.Contains(end.Fault.Text, row.want) {
				t.Errorf("it ends with %v, want %q", err, row.want)
			}
			if sent := f.sent.Load(); sent > traffic.MaxUnplayed+2_000_000+buffers || f.sessions.Load() != 1 {
				t.Errorf("%d MB came in %v and %d sessions", sent>>20, time.Since(began), f.sessions.Load())
			}
		})
	}
}

// TestAFloodIsGivenUpByCheck: the probe of a check ends as well.
func TestAFloodIsGivenUpByCheck(t *testing.T) {
	t.Parallel()
	f := newFlooder(t, "OPTIONS", false, "\x00")
	_, err := camera.Probe(t.Context(), secret.New(f.url()), camera.Options{})
	if err == nil || !strings.Contains(err.Error(), "before it is asked to play") {
		t.Error(err)
	}
}
