package kvs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// tapped wraps the connections of a client's sessions by tap.
func tapped(c *Client, tap func(net.Conn) net.Conn) *Client {
	dial := c.transport.DialContext
	c.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return tap(conn), nil
	}
	return c
}

// countedConn counts what is written to it.
type countedConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// TestAChunkIsWrittenByOneCall counts the calls below TLS: one for each chunk of 124 KiB, and none waits for the next chunk.
func TestAChunkIsWrittenByOneCall(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	var writes atomic.Int64
	read := make(chan struct{})
	c := tapped(dataPlane(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(&got, r.Body)
		close(read)
	}), func(conn net.Conn) net.Conn { return countedConn{conn, &writes} })
	s, err := c.PutMedia(t.Context(), input("HEAD"))
	must(t, err)
	const chunk = 124 << 10
	want := "HEAD"
	for i, size := range []int{chunk, 1, 10 * chunk, 10*chunk + 1, 4096, 16 << 10} {
		media := strings.Repeat("m", size)
		before := writes.Load()
		s.Send(head('h'), section(media), nil)
		awaitSent(t, s)
		want += strings.Repeat("h", HeadSize) + media
		// The head of the stream is written with the first, or earlier.
		if n, want := writes.Load()-before, int64((HeadSize+len(media)+chunk-1)/chunk); i > 0 && n != want {
			t.Errorf("a fragment of %d bytes was written by %d calls, want %d", HeadSize+len(media), n, want)
		}
	}
	finish(t, s)
	<-read
	if got.String() != want {
		t.Errorf("%d bytes came, want %d, or they are others", got.Len(), len(want))
	}
}

// stuckConn takes nothing once it is stuck, until it is closed. Then it is read as records that nobody sent.
type stuckConn struct {
	net.Conn
	stuck     *atomic.Bool
	forged    bool
	entered   func()
	read      func() // a forged record was
	closed    chan struct{}
	close     func()
	deadlines *atomic.Int64 // set while it was stuck and open
}

func (c *stuckConn) Write(p []byte) (int, error) {
	if !c.stuck.Load() {
		return c.Conn.Write(p)
	}
	c.entered()
	<-c.closed
	return 0, net.ErrClosed
}

func (c *stuckConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == nil && c.stuck.Load() && c.forged {
		n = copy(p, "\x17\x03\x03\x00\x20"+strings.Repeat("?", 0x20))
		c.read()
	}
	return n, err
}

func (c *stuckConn) Close() error {
	c.close()
	return c.Conn.Close()
}

func (c *stuckConn) SetWriteDeadline(t time.Time) error {
	select {
	case <-c.closed:
	default:
		if c.stuck.Load() {
			c.deadlines.Add(1)
		}
	}
	return c.Conn.SetWriteDeadline(t)
}

// TestAnAbortWaitsForNoBlockedWrite has a connection that takes nothing: TLS would wait for 5 s before it closes it, or for ever where its
// reader waits to answer a record that is not in order.
func TestAnAbortWaitsForNoBlockedWrite(t *testing.T) {
	t.Parallel()
	for name, forged := range map[string]bool{"nothing is read": false, "the reader has something to say": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stuck atomic.Bool
			var deadlines atomic.Int64
			entered, read, answer, over := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
			defer close(over)
			c := tapped(dataPlane(t, func(w http.ResponseWriter, _ *http.Request) {
				_ = http.NewResponseController(w).Flush()
				select {
				case <-answer:
					_, _ = io.WriteString(w, "{}")
					_ = http.NewResponseController(w).Flush()
				case <-over:
				}
				<-over
			}), func(conn net.Conn) net.Conn {
				closed := make(chan struct{})
				return &stuckConn{
					Conn: conn, stuck: &stuck, forged: forged, closed: closed, deadlines: &deadlines,
					entered: sync.OnceFunc(func() { close(entered) }), read: sync.OnceFunc(func() { close(read) }),
					close: sync.OnceFunc(func() { close(closed) }),
				}
			})
			s, err := c.PutMedia(t.Context(), input("HEAD"))
			must(t, err)
			s.Send(head('x'), section("media"), nil)
			awaitSent(t, s)
			stuck.Store(true)
			s.Send(head('x'), section("media"), nil)
			<-entered
			if forged {
				close(answer)
				<-read
			}
			s.Abort()
			for range s.Acks() {
			}
			if s.Err() == nil || !forged && !errors.Is(s.Err(), ErrAborted) || deadlines.Load() != 0 {
				t.Errorf("%v, and %d deadlines were set for the write that was blocked", s.Err(), deadlines.Load())
			}
		})
	}
}

// recordedConn keeps each write, and fails from the fail-th on.
type recordedConn struct {
	net.Conn
	writes []string
	fail   int
}

var errLine = errors.New("the line is cut")

func (c *recordedConn) Write(p []byte) (int, error) {
	if c.fail > 0 && len(c.writes)+1 >= c.fail {
		return 0, errLine
	}
	c.writes = append(c.writes, string(p))
	return len(p), nil
}

// TestWhatIsCollectedStaysInOrder writes more than a connection collects, and to one that fails.
func TestWhatIsCollectedStaysInOrder(t *testing.T) {
	t.Parallel()
	letters := func(size int, letter string) string { return strings.Repeat(letter, size) }
	cases := map[string]struct {
		writes []string
		fail   int
		want   []string
	}{
		"nothing":           {},
		"all fits":          {writes: []string{"a", "bc", letters(batchSize-3, "d")}, want: []string{"abc" + letters(batchSize-3, "d")}},
		"one byte too much": {writes: []string{"a", letters(batchSize, "b")}, want: []string{"a", letters(batchSize, "b")}},
		"far too much": {writes: []string{"a", letters(2*batchSize, "b"), "c", letters(batchSize, "d"), "e"},
			want: []string{"a", letters(2*batchSize, "b"), "c", letters(batchSize, "d"), "e"}},
		"the line is cut at the end":     {writes: []string{"a", "b"}, fail: 1},
		"the line is cut in between":     {writes: []string{"a", letters(batchSize, "b"), "c"}, fail: 1},
		"the line is cut after a while":  {writes: []string{"a", letters(batchSize, "b"), "c"}, fail: 2, want: []string{"a"}},
		"the line is cut in a large one": {writes: []string{letters(batchSize+1, "b")}, fail: 1},
	}
	for name, k := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := &recordedConn{fail: k.fail}
			c := &sessionConn{Conn: line, lasting: t.Context(), dead: func() {}, buffers: newBuffers()}
			for range 2 { // a buffer is used again
				line.writes = nil
				c.Hold()
				var err error
				for _, p := range k.writes {
					n, wrong := c.Write([]byte(p))
					if err = wrong; err != nil {
						break
					}
					if n != len(p) {
						t.Errorf("%d bytes of %d", n, len(p))
					}
				}
				if flushed := c.Flush(); err == nil {
					err = flushed
				}
				if (k.fail > 0) != errors.Is(err, errLine) || strings.Join(line.writes, "|") != strings.Join(k.want, "|") {
					t.Errorf("%d writes and %v, want %d", len(line.writes), err, len(k.want))
				}
			}
			line.writes, line.fail = nil, 0
			if _, err := c.Write([]byte("x")); err != nil || strings.Join(line.writes, "|") != "x" {
				t.Errorf("what is written outside of Hold and Flush is not written at once: %q, %v", line.writes, err)
			}
		})
	}
}
