// Package conn is a connection to a camera that is read in large batches, and from which packets are taken before
// the RTSP library reads it. It does not interpret packets.
package conn

import (
	"cmp"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

const (
	// batchWake is how many bytes must arrive for the socket to wake the reader before that. The
	// runtime's poller is edge-triggered: without this, every packet wakes one of its threads, even if
	// nobody waits for the packet. Source: socket(7), SO_RCVLOWAT.
	batchWake = 256 << 10
)

// BufferSize is how much of a stream is read at once, in bytes.
const BufferSize = 64 << 10

// Tap takes parts out of a stream before the reader sees it. The goroutine that reads the connection uses it.
type Tap interface {
	// Drain takes what it can off the front. Of the bytes left, the first forReader are for the reader, maybe more than have arrived; 0
	// means that more must arrive to decide, or that Has is true.
	Drain(stream []byte) (left []byte, forReader int)
	// Read returns bytes of a rewritten message to the reader.
	Read(p []byte) (n int, err error)
	// Has reports whether Read has a message or an error.
	Has() bool
	// Wait returns how long to wait for more, 0 for no limit; call Settle when nothing arrived in that time.
	Wait() time.Duration
	Settle()
}

// Conn is a TCP connection that is read in large batches, soon after the camera started to play.
// Before that, reading fails when nothing arrives within the time for an answer.
type Conn struct {
	net.Conn
	Playing *atomic.Bool
	Direct  *atomic.Bool      // its packets are too few for batches; nil: they are not
	Answer  time.Duration     // how long to wait for bytes before it plays; 0: the reader sets deadlines of its own
	Tap     Tap               // nil: the stream is encrypted
	Sent    func([]byte)      // is called with the bytes that are sent
	Divert  func([]byte) bool // is called with frames to be sent, and reports whether it has sent them elsewhere
	Came    func(n int) error // is called with the number of bytes received; its error ends the reading

	injected injection // packets that arrived elsewhere, for the reader

	space    []byte
	began    time.Time             // when bytes first arrived after it started to play
	buffer   []byte                // bytes that were read into space and not taken yet
	pass     int                   // how many bytes at the start of the buffer are the reader's
	full     bool                  // the last read filled space: more bytes are waiting
	raw      syscall.RawConn       // nil before batches
	receive  func(fd uintptr) bool // reads what the socket has; created once, as each would be an allocation
	instants Instants              // at which batches are read
	n        int                   // the number of bytes that receive read
	failed   error
}

// Read implements net.Conn. One goroutine reads, as in RTSP clients: it is the library's, where a
// panic would end the process; here it ends the session instead.
func (c *Conn) Read(p []byte) (n int, err error) {
	defer func() {
		if value := recover(); value != nil {
			n, err = 0, accessunit.InternalFault(c.RemoteAddr().String(), supervise.PanicError(value))
		}
	}()
	for {
		if c.Tap != nil {
			if n, err := c.Tap.Read(p); n > 0 || err != nil {
				return n, err
			}
		}
		if n := c.injected.read(p, c.pass == 0); n > 0 {
			return n, nil
		}
		if c.pass == 0 && c.Tap == nil {
			c.pass = len(c.buffer)
		} else if c.pass == 0 {
			if c.buffer, c.pass = c.Tap.Drain(c.buffer); c.pass == 0 && c.Tap.Has() {
				continue
			}
		}
		if n := copy(p, c.buffer[:min(c.pass, len(c.buffer))]); n > 0 {
			c.buffer, c.pass = c.buffer[n:], c.pass-n
			return n, nil
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

// fill reads more bytes, appended to those in the buffer: a part of a frame or of a message.
func (c *Conn) fill() error {
	held := c.makeSpace()
	if c.raw != nil || c.anchored() && c.startBatches() {
		return c.readBatch()
	}
	wait := time.Duration(0)
	if c.Tap != nil {
		wait = c.Tap.Wait()
	}
	if c.Answer > 0 {
		if err := c.Conn.SetReadDeadline(time.Now().Add(cmp.Or(wait, c.Answer))); err != nil {
			return err
		}
	}
	if c.injected.waits() { // it arrived before: no deadline would wake the reader
		return nil
	}
	n, err := c.Conn.Read(c.space[held:])
	c.buffer = c.space[:held+n]
	if n > 0 && c.began.IsZero() && c.Playing.Load() {
		c.began = time.Now()
	}
	if n > 0 {
		if err := c.Came(n); err != nil {
			return err
		}
	}
	if c.Answer > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		if c.injected.waits() {
			return nil
		}
		if wait > 0 {
			c.Tap.Settle() // nothing more arrived
			return nil
		}
		if c.Playing.Load() { // it started while this waited
			return nil
		}
	}
	return err
}

// makeSpace moves the buffer's bytes to the front of a space with room for more, and returns how many there are. A message may
// be larger than the ordinary space.
func (c *Conn) makeSpace() (held int) {
	space := c.space
	switch held = len(c.buffer); {
	case space == nil || len(space) > BufferSize && held < BufferSize:
		space = make([]byte, BufferSize)
	case held == len(space):
		space = make([]byte, 2*held)
	}
	copy(space, c.buffer)
	c.space, c.buffer = space, space[:held]
	return held
}

// anchored reports whether it has played long enough for the first picture to have arrived.
func (c *Conn) anchored() bool {
	return c.Playing.Load() && !c.began.IsZero() && time.Since(c.began) >= AtOnce && (c.Direct == nil || !c.Direct.Load())
}

// Write implements net.Conn. Read reports that the camera hung up: what the camera sent before
// may still be in the socket, and a client that fails to write would not read it.
func (c *Conn) Write(p []byte) (int, error) {
	if c.Divert != nil && len(p) > 0 && p[0] == frameMark && c.Divert(p) {
		return len(p), nil
	}
	if c.Sent != nil {
		c.Sent(p)
	}
	n, err := c.Conn.Write(p)
	if err != nil && c.Playing.Load() && (errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET)) {
		return len(p), nil
	}
	return n, err
}

// startBatches sets up batches. Where the socket cannot, the connection is read as any other.
func (c *Conn) startBatches() bool {
	conn, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	var failed error
	if c.Conn.SetReadDeadline(time.Time{}) != nil {
		return false
	}
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, batchWake)
	})
	if err != nil || failed != nil {
		return false
	}
	c.raw, c.instants = raw, NewInstants()
	c.receive = func(fd uintptr) bool {
		c.n, c.failed = unix.Read(int(fd), c.space[len(c.buffer):])
		return true // never wait for the poller: it would wait for batchWake bytes
	}
	return true
}

// readBatch appends received bytes to the buffer, at the next common instant at which there are any.
func (c *Conn) readBatch() error {
	for {
		if !c.full {
			<-c.instants.Next()
		}
		err := c.raw.Read(c.receive)
		switch {
		case err != nil:
			return err
		case errors.Is(c.failed, unix.EAGAIN), errors.Is(c.failed, unix.EINTR):
			c.full = false
			continue
		case c.failed != nil:
			return os.NewSyscallError("read", c.failed)
		case c.n == 0:
			return io.EOF
		}
		c.buffer = c.space[:len(c.buffer)+c.n]
		c.full = len(c.buffer) == len(c.space)
		return c.Came(c.n)
	}
}
