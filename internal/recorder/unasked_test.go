package recorder

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// talkative sends messages of its own between the packets of a session, and notes the answers.
type talkative struct {
	net.Conn
	says     []string
	mu       *sync.Mutex
	answers  *bytes.Buffer
	packets  int
	lastSaid int
}

func (c *talkative) Write(b []byte) (int, error) {
	if b[0] == frameMark {
		if c.packets++; c.packets%10 == 9 && c.lastSaid < len(c.says) {
			if _, err := c.Conn.Write([]byte(c.says[c.lastSaid])); err != nil {
				return 0, err
			}
			c.lastSaid++
		}
	}
	return c.Conn.Write(b)
}

// Read swallows the answers: the camera's server expects none.
func (c *talkative) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !bytes.HasPrefix(b[:n], []byte("RTSP/1.0 ")) {
			return n, err
		}
		c.mu.Lock()
		c.answers.Write(b[:n])
		c.mu.Unlock()
	}
}

// TestNothingThatACameraSaysInMidSessionEndsIt has cameras send requests, as RFC 2326 lets them,
// and messages that cannot be read.
func TestNothingThatACameraSaysInMidSessionEndsIt(t *testing.T) {
	t.Parallel()
	ask := func(method, body string) string {
		length := ""
		if body != "" {
			length = fmt.Sprintf("Content-Length: %d\r\n", len(body))
		}
		return method + " rtsp://127.0.0.1/stream RTSP/1.0\r\nCSeq: 4711\r\nSession: 1\r\n" + length + "\r\n" + body
	}
	for name, c := range map[string]struct{ says, answer string }{
		"OPTIONS":              {ask("OPTIONS", ""), "200 OK"},
		"GET_PARAMETER":        {ask("GET_PARAMETER", ""), "200 OK"},
		"SET_PARAMETER":        {ask("SET_PARAMETER", "temperature: 21\r\n"), "200 OK"},
		"ANNOUNCE":             {ask("ANNOUNCE", "v=0\r\n"), "501 Not Implemented"},
		"REDIRECT":             {ask("REDIRECT", ""), "501 Not Implemented"},
		"TEARDOWN":             {ask("TEARDOWN", ""), ""},
		"no reason phrase":     {"RTSP/1.0 454 \r\nCSeq: 9\r\n\r\n", ""},
		"no code":              {"RTSP/1.0\r\nCSeq: 9\r\n\r\n", ""},
		"another version":      {"RTSP/2.0 200 OK\r\nCSeq: 9\r\n\r\n", ""},
		"a header of no value": {"RTSP/1.0 200 OK\r\nCSeq\r\n\r\n", ""},
		"an endless header":    {"RTSP/1.0 200 OK\r\nPublic: " + strings.Repeat("a", 4000) + "\r\n\r\n", ""},
		"an answer to nothing": {"RTSP/1.0 454 Session Not Found\r\nCSeq: 9\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var answers bytes.Buffer
			camera := startCamera(t, fakecam.Options{FPS: 100, Oddities: fakecam.Oddities{Conn: func(conn net.Conn) net.Conn {
				return &talkative{Conn: conn, says: []string{c.says, c.says, c.says}, mu: &mu, answers: &answers}
			}}})
			r := record(t, camera, camera.URL())
			r.awaitFrames(60)
			r.expectOneSession()
			mu.Lock()
			defer mu.Unlock()
			want := 0
			if c.answer != "" {
				want = 3
			}
			n := strings.Count(answers.String(), "RTSP/1.0 "+c.answer+"\r\nCSeq: 4711\r\n")
			if c.answer != "" && n != want || c.answer == "" && answers.Len() > 0 {
				t.Errorf("it is answered %q", answers.String())
			}
			if n := r.number(health.FramesLost); n != 0 {
				t.Errorf("%d frames lost", n)
			}
		})
	}
}

// noOptions is the connection of a camera that does not know OPTIONS.
type noOptions struct {
	net.Conn
	answer string
	asked  atomic.Bool
}

func (c *noOptions) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.asked.Store(bytes.HasPrefix(b[:n], []byte("OPTIONS ")))
	return n, err
}

func (c *noOptions) Write(b []byte) (int, error) {
	if b[0] != frameMark && c.asked.Swap(false) {
		if _, err := c.Conn.Write(bytes.Replace(b, []byte("200 OK"), []byte(c.answer), 1)); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func TestACameraNeedNotKnowOptions(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"404 Not Found", "405 Method Not Allowed", "501 Not Implemented"} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			camera := startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{Conn: func(c net.Conn) net.Conn {
				return &noOptions{Conn: c, answer: answer}
			}}})
			r := record(t, camera, camera.URL())
			r.awaitFrames(30)
			r.expectOneSession()
		})
	}
}
