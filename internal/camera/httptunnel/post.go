package httptunnel

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

const (
	// postLength is the announced length of a POST's body, in bytes. QuickTime announces it, and some servers accept no other.
	postLength = 32767
	// postSpare is the least remaining length for which a POST is kept, in bytes: a request is shorter.
	postSpare = 4 << 10
	// postGrace is how long a camera may take to answer a message after it ended the POST. It may have refused the POST, and handled
	// the message all the same, or ended it while the message was on its way.
	postGrace = time.Second
	// maxPostAnswer bounds the answer to a POST, in bytes.
	maxPostAnswer = 64 << 10
)

var errClosed = fmt.Errorf("the tunnel: %w", net.ErrClosed)

// post is one of a tunnel's POSTs.
type post struct {
	conn net.Conn
	left int          // remaining length of its body, in bytes
	sent []byte       // the sent part of its body
	last int          // the start of the last message in sent
	came atomic.Int64 // bytes received over the GET before the last message was sent
	gone atomic.Bool  // the camera ended it
}

// Write implements net.Conn. It sends p, one message or several, in one go.
func (c *Conn) Write(p []byte) (int, error) {
	body := make([]byte, base64.StdEncoding.EncodedLen(len(p)))
	base64.StdEncoding.Encode(body, p)
	c.write.Lock()
	defer c.write.Unlock()
	if err := c.send(body); err != nil {
		return 0, err
	}
	return len(p), nil
}

// send sends a part of a body; write is held. A camera may end a POST after each message; then each message gets a new POST, as
// the end of the POST is noticed too late.
func (c *Conn) send(body []byte) error {
	if p := c.post; p != nil && !p.gone.Load() && !c.single.Load() && p.left >= len(body) {
		if err := c.add(p, body); err == nil || isTimeout(err) {
			return err
		}
	}
	c.endPost()
	p, err := c.openPost(len(body))
	if err != nil {
		return err
	}
	if err := c.add(p, body); isTimeout(err) {
		return err
	}
	return nil // listen finds out why it was not accepted, and repeats it
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// add adds to a body. A POST with little remaining length is ended at once, so that a camera notices before the next one.
func (c *Conn) add(p *post, body []byte) error {
	p.came.Store(c.came.Load())
	p.last, p.sent = len(p.sent), append(p.sent, body...)
	if _, err := p.conn.Write(body); err != nil {
		return err
	}
	if p.left -= len(body); p.left < postSpare {
		c.endPost()
	}
	return nil
}

// endPost ends the current POST.
func (c *Conn) endPost() {
	if c.post != nil {
		c.post.gone.Store(true)
		_ = c.post.conn.Close()
		c.post = nil
	}
}

// openPost opens a POST for at least most bytes.
func (c *Conn) openPost(most int) (*post, error) {
	ctx, cancel := context.WithTimeout(c.done, c.o.Answer)
	defer cancel()
	conn, err := c.o.Dial(ctx, Post)
	if err != nil {
		return nil, err
	}
	p := &post{conn: conn, left: max(postLength, most)}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		_ = conn.Close()
		return nil, errClosed
	}
	_ = conn.SetWriteDeadline(c.deadline)
	c.current = conn
	c.readers.Add(1)
	c.mu.Unlock()
	c.post = p
	p.came.Store(c.came.Load())
	const expired = "Sun, 9 Jan 1972 00:00:00 GMT" // as QuickTime does
	head := c.request(Post, fmt.Sprintf("Content-Type: %s\r\nContent-Length: %d\r\nExpires: %s\r\n", mediaType, p.left, expired))
	go func() {
		defer c.readers.Done()
		c.listen(p)
	}()
	_, err = io.WriteString(conn, head)
	if isTimeout(err) {
		return nil, err
	}
	return p, nil // if it failed, what follows fails, too
}

// counted counts the bytes that arrive over a POST.
type counted struct {
	io.Reader
	came   func(n int) error // nil: they are not counted
	failed error             // its error
}

// Read implements io.Reader.
func (r *counted) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.came != nil && n > 0 {
		if r.failed = r.came(n); r.failed != nil {
			return 0, r.failed
		}
	}
	return n, err
}

// listen reads the camera's answer to a POST, which may arrive at once, at its end, or never. Success is ignored, and so is
// a refusal if answers continue to arrive over the GET: some cameras refuse a POST and handle its contents.
func (c *Conn) listen(p *post) {
	from := &counted{Reader: p.conn, came: c.o.Came}
	h, _, err := readHead(from)
	var refused error
	if err == nil {
		refused = h.refusal(Post)
	}
	if refused != nil && h.status != statusUnauthorized {
		if !c.goesOn(p) {
			if _ = p.conn.Close(); !p.gone.Swap(true) { // and the agent has not ended it
				c.fail(refused)
			}
			return
		}
	}
	if err == nil && h.status != statusUnauthorized {
		_, err = io.CopyN(io.Discard, from, maxPostAnswer)
	}
	if from.failed != nil {
		p.gone.Store(true)
		_ = p.conn.Close()
		c.fail(from.failed)
		return
	}
	if _ = p.conn.Close(); p.gone.Swap(true) { // the agent ended it
		return
	}
	c.single.Store(c.single.Load() || errors.Is(err, io.EOF))
	switch {
	case h.status != statusUnauthorized:
		if !c.goesOn(p) {
			_ = c.repeat(p, nil)
		}
	default:
		if refused = c.repeat(p, refused); refused != nil && !c.goesOn(p) {
			c.fail(refused)
		}
	}
}

// goesOn waits, for a while, until the camera answers the last message, and reports whether it did, or the answer is no longer awaited.
func (c *Conn) goesOn(p *post) bool {
	if c.came.Load() > p.came.Load() {
		return true
	}
	before := c.came.Load()
	select {
	case <-c.done.Done():
		return true
	case <-time.After(postGrace):
	}
	return c.came.Load() > before
}

// repeat sends the body of a refused POST again, or its last message, which was not answered. It returns why
// that is not possible.
func (c *Conn) repeat(p *post, refused error) error {
	c.write.Lock()
	defer c.write.Unlock()
	body := p.sent
	if refused == nil {
		body = p.sent[p.last:]
		if p.last == 0 { // the refusal arrived in time
			return nil
		}
	}
	if now := c.came.Load(); now != c.repeated {
		c.repeats, c.repeated = 0, now
	}
	if c.repeats++; c.repeats >= maxTries || c.post != nil && c.post != p || len(body) == 0 {
		return refused
	}
	if refused != nil {
		if err := c.challenged(refused); err != nil {
			return err
		}
	}
	if c.send(body) != nil {
		return refused
	}
	return nil
}
