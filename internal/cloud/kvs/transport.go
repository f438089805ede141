package kvs

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs/mediabody"
)

// sessionTransport is a clone for one session, which lasts until its context ends. It ends the body when its connection has ended, and has
// the connection collect what the body writes.
func sessionTransport(lasting context.Context, base *http.Transport, body *mediabody.Body, buffers *sync.Pool) *http.Transport {
	t := base.Clone()
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c := &sessionConn{Conn: conn, lasting: lasting, dead: sync.OnceFunc(body.Stop), buffers: buffers}
		c.stopWatching = context.AfterFunc(lasting, func() { c.cut() })
		body.Over(c)
		return c, nil
	}
	return t
}

// batchSize is how many bytes a connection collects: a write of a body in its records, each some 20 to 60 bytes longer
// than what is in it, and net/http's framing. Linux sends 64 KiB of a connection at once; this is two of them.
const batchSize = 128 << 10

// newBuffers returns what the connections of a client collect in. One has a buffer only while it writes.
func newBuffers() *sync.Pool {
	return &sync.Pool{New: func() any { return new([batchSize]byte) }}
}

// sessionConn is the connection below a session's TLS. Between Hold and Flush it collects what is written: TLS would write each record of
// 16 kB by a call of its own, and each would go down the network stack on its own.
type sessionConn struct {
	net.Conn
	lasting      context.Context // the session's
	stopWatching func() bool     // lasting
	// dead is called when the connection has ended. net/http knows too, but waits for the body before it says so, and the body for
	// a fragment.
	dead    func()
	buffers *sync.Pool

	holding atomic.Bool
	mu      sync.Mutex       // also orders what is written: TLS answers from the reader's goroutine
	buffer  *[batchSize]byte // guarded by mu; nil: nothing is collected
	size    int              // guarded by mu: bytes of buffer
}

func (c *sessionConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.dead()
	}
	return n, err
}

func (c *sessionConn) Close() error {
	c.dead()
	c.stopWatching()
	return c.Conn.Close()
}

// Hold has what is written collected until Flush.
func (c *sessionConn) Hold() {
	c.holding.Store(true)
	if c.lasting.Err() != nil {
		c.cut()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buffer == nil {
		c.buffer = c.buffers.Get().(*[batchSize]byte)
	}
}

// Flush writes what was collected since Hold. It fails with what a write failed with.
func (c *sessionConn) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buffer == nil {
		return nil
	}
	err := c.flush()
	c.buffers.Put(c.buffer)
	c.buffer = nil
	c.holding.Store(false)
	return err
}

// Write writes p, or collects it. What does not fit is written with what was collected before it.
func (c *sessionConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buffer == nil {
		return c.Conn.Write(p)
	}
	if c.size+len(p) > batchSize {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	if len(p) > batchSize {
		return c.Conn.Write(p)
	}
	c.size += copy(c.buffer[c.size:], p)
	return len(p), nil
}

// flush writes what is collected. c.mu is held.
func (c *sessionConn) flush() error {
	if c.size == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.buffer[:c.size])
	c.size = 0
	return err
}

// SetWriteDeadline is called by TLS before it says that it closes, which it leaves out while one of its writes is blocked. It does
// not know that ours may be.
func (c *sessionConn) SetWriteDeadline(t time.Time) error {
	if c.cut() {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}

// cut ends the line under what may be blocked in a write of it, and reports whether something may be. TLS does not do that where its
// reader waits to write, too: then the reader has the lock that closing needs.
func (c *sessionConn) cut() bool {
	holding := c.holding.Load()
	if holding {
		_ = c.Conn.Close()
	}
	return holding
}
