package recorder

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// gatherInterval is how long bytes of a camera are left to gather in the socket once it plays. A
	// frame of 1080p comes as a dozen packets, and each would wake a thread; recording does not
	// need them sooner. All cameras are read at the same instants, so that the processor sleeps in
	// between.
	gatherInterval = 100 * time.Millisecond
	// gatherSize is read at once.
	gatherSize = 64 << 10
	// gatherUntil is how many bytes must have come for the socket to wake us before that. The
	// runtime's poller is edge-triggered: without this, every packet wakes a thread of it, whether
	// somebody waits for the packet or not. Source: socket(7), SO_RCVLOWAT.
	gatherUntil = 256 << 10
)

// gatheredConn is a TCP connection that is read seldom and much at once.
type gatheredConn struct {
	net.Conn
	playing  *atomic.Bool
	raw      syscall.RawConn // nil before it plays
	deadline atomic.Int64    // of reading, Unix ns; 0: none
	space    []byte
	buffer   []byte // what was read into space and not taken yet
	full     bool   // the last read filled space: more is waiting
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// gathered makes a dialer's connections gather as soon as playing is true.
func gathered(dial dialFunc, playing *atomic.Bool) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &gatheredConn{Conn: conn, playing: playing}, nil
	}
}

// SetReadDeadline implements net.Conn.
func (c *gatheredConn) SetReadDeadline(t time.Time) error {
	ns := int64(0)
	if !t.IsZero() {
		ns = t.UnixNano()
	}
	c.deadline.Store(ns)
	return c.Conn.SetReadDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *gatheredConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// Read implements net.Conn. One goroutine reads, as RTSP clients do.
func (c *gatheredConn) Read(p []byte) (int, error) {
	if len(c.buffer) == 0 {
		if c.raw == nil && (!c.playing.Load() || !c.begin()) {
			return c.Conn.Read(p)
		}
		if err := c.gather(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.buffer)
	c.buffer = c.buffer[n:]
	return n, nil
}

// Write implements net.Conn. That the camera hung up is left to Read to find: what it sent before
// may still lie in the socket, and a client that fails to write would not read it.
func (c *gatheredConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil && c.playing.Load() && (errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET)) {
		return len(p), nil
	}
	return n, err
}

// begin makes the socket gather. Where it cannot, the connection is read as any other.
func (c *gatheredConn) begin() bool {
	conn, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, gatherUntil)
	})
	if err != nil || failed != nil {
		return false
	}
	c.raw, c.space = raw, make([]byte, gatherSize)
	return true
}

// gather fills the buffer with what has come, at the next common instant at which something has.
func (c *gatheredConn) gather() error {
	for {
		if !c.full {
			now := time.Now()
			if at := c.deadline.Load(); at != 0 && now.UnixNano() >= at {
				return os.ErrDeadlineExceeded
			}
			time.Sleep(now.Truncate(gatherInterval).Add(gatherInterval).Sub(now))
		}
		n, failed := 0, error(nil)
		err := c.raw.Read(func(fd uintptr) bool {
			n, failed = unix.Read(int(fd), c.space)
			return true // never wait for the poller: it would wait for gatherUntil bytes
		})
		switch {
		case err != nil:
			return err
		case errors.Is(failed, unix.EAGAIN), errors.Is(failed, unix.EINTR):
			c.full = false
			continue
		case failed != nil:
			return os.NewSyscallError("read", failed)
		case n == 0:
			return io.EOF
		}
		c.buffer, c.full = c.space[:n], n == len(c.space)
		return nil
	}
}
