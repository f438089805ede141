// Package httptunnel carries the connection of an RTSP client through HTTP, as QuickTime does: what the camera sends is the
// endless body of the answer to a GET, and what the client sends is the body of POSTs, in base64. A cookie connects the two.
// It handles neither TLS nor passwords, and does not interpret RTSP.
//
// Source: Apple, "Tunnelling RTSP and RTP through HTTP" (QuickTime 4), and the behaviour of cameras since.
package httptunnel

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// mediaType is the type of both bodies.
const mediaType = "application/x-rtsp-tunnelled"

const version10, version11 = "HTTP/1.0", "HTTP/1.1"

// The methods of HTTP.
const (
	Get  = "GET"
	Post = "POST"
)

// Options of a tunnel.
type Options struct {
	// Dial connects to the camera for a GET or a POST. Required.
	Dial func(ctx context.Context, method string) (net.Conn, error)
	// Host is the host and port, and Target the path and query of both requests. Required.
	Host, Target string
	// UserAgent names the client.
	UserAgent string
	// Answer is how long the camera may take to answer. Default 10 s.
	Answer time.Duration
	// Authorization returns the header for a request, "" for none. Default: none.
	Authorization func(method, target string) string
	// Challenged handles the challenges of a 401 answer, and reports whether the request is worth another attempt. Default: none is.
	Challenged func(method string, challenges []string) (again bool)
	// Came is called with the number of bytes that arrived over a POST. Its error ends the tunnel. Default: not called.
	Came func(n int) error
	// Accepted is called when the camera accepted the GET. Default: not called.
	Accepted func()
}

// StatusError is an answer other than success.
type StatusError struct {
	Method   string
	Code     int
	Reason   string // as the camera wrote it
	Location string // of a redirect, "" without
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("HTTP %d (%s) for %s", e.Code, e.Reason, e.Method)
}

var (
	// ErrNotHTTP: the camera's answer is not HTTP.
	ErrNotHTTP = errors.New("the answer is not one of HTTP")
	// ErrNoTunnel: the answer was a success, but the stream after it ended without being a tunnel's.
	ErrNoTunnel = errors.New("the answer is that of a web page")
)

// maxInterim is how many interim answers are accepted.
const maxInterim = 8

// maxTries is how often a request is sent, including the answers to challenges.
const maxTries = 4

// Conn is a tunnel. Several goroutines may use it, of which one reads.
type Conn struct {
	o      Options
	cookie string
	get    net.Conn
	early  []byte  // arrived with the head of the answer
	chunks *chunks // nil: the body has none
	page   bool    // the answer may be a web page
	came   atomic.Int64
	single atomic.Bool // the camera ends a POST after each message

	write    sync.Mutex // one writes, the others wait
	version  string
	post     *post // nil: the next message opens one
	repeats  int   // number of repetitions since repeated
	repeated int64 // bytes received when the last one was repeated
	deadline time.Time

	mu      sync.Mutex
	current net.Conn // of the post
	failed  error    // why it was closed, if not by Close
	closed  bool
	done    context.Context
	cancel  context.CancelFunc
	readers sync.WaitGroup
}

// Open opens a tunnel. Its error is a *StatusError, ErrNotHTTP or the error of a connection.
func Open(ctx context.Context, o Options) (*Conn, error) {
	if o.Answer == 0 {
		o.Answer = 10 * time.Second
	}
	c := &Conn{o: o, cookie: newCookie(), version: version10}
	c.done, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for try := 1; ; try++ {
		err := c.ask(ctx)
		var answer *StatusError
		switch errors.As(err, &answer); {
		case err == nil:
			if o.Accepted != nil {
				o.Accepted()
			}
			return c, nil
		case ctx.Err() != nil || try == maxTries:
		case answer != nil && answer.Code == statusUnauthorized:
			if err = c.challenged(err); err == nil {
				continue
			}
		case c.version == version10 && wantsAnother(answer, err):
			c.version = version11
			continue
		}
		c.cancel()
		return nil, err
	}
}

const (
	statusOK           = 200
	statusRedirect     = 300
	statusError        = 400
	statusUnauthorized = 401
)

// wantsAnother reports whether a server may accept another version of HTTP: QuickTime's is 1.0, which some no longer support.
func wantsAnother(answer *StatusError, err error) bool {
	if answer == nil {
		return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	}
	const badRequest, upgradeRequired, versionNotSupported = 400, 426, 505
	return answer.Code == badRequest || answer.Code == upgradeRequired || answer.Code == versionNotSupported
}

// unauthorized is a StatusError with its challenges.
type unauthorized struct {
	*StatusError
	challenges []string
}

func (u *unauthorized) Unwrap() error { return u.StatusError }

// challenged returns nil when a request is worth another attempt.
func (c *Conn) challenged(err error) error {
	var refused *unauthorized
	if errors.As(err, &refused) && c.o.Challenged != nil && c.o.Challenged(refused.Method, refused.challenges) {
		return nil
	}
	return err
}

// ask sends the GET and reads the head of its answer.
func (c *Conn) ask(ctx context.Context) (err error) {
	conn, err := c.o.Dial(ctx, Get)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		if !stop() && err == nil {
			err = ctx.Err()
		}
		if err != nil {
			_ = conn.Close()
		}
	}()
	if err := conn.SetDeadline(time.Now().Add(c.o.Answer)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, c.request(Get, "Accept: "+mediaType+"\r\n")); err != nil {
		return err
	}
	h, rest, err := readHead(conn)
	if err != nil {
		return err
	}
	if err := h.refusal(Get); err != nil {
		return err
	}
	kind := strings.ToLower(h.get("content-type"))
	c.page = kind != "" && !strings.HasPrefix(kind, mediaType)
	if c.get, c.early, c.chunks = conn, rest, nil; strings.Contains(strings.ToLower(h.get("transfer-encoding")), "chunked") {
		c.chunks = new(chunks)
		n, err := c.chunks.decode(rest)
		if c.early = rest[:n]; err != nil {
			return err
		}
	}
	c.came.Add(int64(len(c.early)))
	return conn.SetDeadline(time.Time{})
}

// refusal is the error of an answer, nil for one of success.
func (h head) refusal(method string) error {
	refused := &StatusError{Method: method, Code: h.status, Reason: h.reason, Location: h.get("location")}
	switch {
	case h.status < statusRedirect:
		return nil
	case h.status == statusUnauthorized:
		return &unauthorized{StatusError: refused, challenges: h.all("www-authenticate")}
	default:
		return refused
	}
}

// request returns the head of a request.
func (c *Conn) request(method, more string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\r\nHost: %s\r\n", method, c.o.Target, c.version, c.o.Host)
	if c.o.UserAgent != "" {
		fmt.Fprintf(&b, "User-Agent: %s\r\n", c.o.UserAgent)
	}
	if c.version == version11 {
		b.WriteString("Connection: close\r\n")
	}
	fmt.Fprintf(&b, "x-sessioncookie: %s\r\n%sPragma: no-cache\r\nCache-Control: no-cache\r\n", c.cookie, more)
	if c.o.Authorization != nil {
		if value := c.o.Authorization(method, c.o.Target); value != "" {
			fmt.Fprintf(&b, "Authorization: %s\r\n", value)
		}
	}
	b.WriteString("\r\n")
	return b.String()
}

// readHead reads the head of an answer, and the bytes that arrived with it. Interim answers are skipped.
func readHead(conn io.Reader) (h head, rest []byte, err error) {
	buffer := make([]byte, 0, 4<<10)
	for interim := 0; interim <= maxInterim; {
		h, size, ok := parseHead(buffer)
		switch {
		case !ok:
			return head{}, nil, ErrNotHTTP
		case size > 0 && h.status < statusOK:
			buffer = buffer[size:]
			interim++
			continue
		case size > 0:
			return h, buffer[size:], nil
		}
		if len(buffer) == cap(buffer) {
			buffer = append(make([]byte, 0, 2*cap(buffer)+maxReason), buffer...)
		}
		n, err := conn.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if err != nil && n == 0 {
			return head{}, nil, err
		}
	}
	return head{}, nil, ErrNotHTTP
}

// newCookie returns a cookie of 22 characters, like QuickTime's, on which some servers rely.
func newCookie() string { return rand.Text()[:22] }

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if n := copy(p, c.early); n > 0 {
		c.early = c.early[n:]
		return n, nil
	}
	for {
		n, err := c.get.Read(p)
		if c.chunks != nil && n > 0 {
			var ended error
			if n, ended = c.chunks.decode(p[:n]); ended != nil {
				err = ended
			}
		}
		c.came.Add(int64(n))
		if n > 0 || err != nil || len(p) == 0 {
			return n, c.explain(err)
		}
	}
}

// explain returns why no more bytes arrive.
func (c *Conn) explain(err error) error {
	if err == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.failed != nil:
		return c.failed
	case c.page && (errors.Is(err, io.EOF) || isTimeout(err)):
		return errors.Join(ErrNoTunnel, err)
	}
	return err
}

// fail ends the tunnel with an error.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed && c.failed == nil {
		c.failed = err
	}
	_ = c.get.Close()
}

// Close implements net.Conn. It does not wait for a writer, but interrupts it.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closed = true
	err := c.get.Close()
	if c.current != nil {
		_ = c.current.Close()
	}
	c.cancel()
	c.mu.Unlock()
	c.readers.Wait()
	return err
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.get.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.get.RemoteAddr() }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.get.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn. It also applies to POSTs that are opened later.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	if c.current != nil {
		return c.current.SetWriteDeadline(t)
	}
	return nil
}
