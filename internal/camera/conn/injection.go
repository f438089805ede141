package conn

import (
	"sync"
	"time"
)

const (
	// frameMark starts an interleaved frame (RFC 2326, section 10.12).
	frameMark = '$'
	// maxInjected bounds the frames that wait for the library, in bytes: as much as a socket holds.
	maxInjected = 4 << 20
)

// injection is encrypted packets that arrived over UDP: the library reads them in the stream of its connection, as
// frames. One goroutine reads.
type injection struct {
	mu      sync.Mutex
	waiting []byte // complete frames

	rest []byte // of a frame that was read in part
}

// add adds a frame, unless too many wait: then it is lost as in a full socket.
func (i *injection) add(channel int, packet []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if size := len(packet); len(i.waiting)+size <= maxInjected && size < 1<<16 {
		i.waiting = append(i.waiting, frameMark, byte(channel), byte(size>>8), byte(size))
		i.waiting = append(i.waiting, packet...)
	}
}

// read copies frames, or the rest of one. atBoundary: a frame may start.
func (i *injection) read(p []byte, atBoundary bool) int {
	if len(i.rest) == 0 && atBoundary {
		i.mu.Lock()
		i.rest, i.waiting = i.waiting, i.rest[:0:0]
		i.mu.Unlock()
	}
	n := copy(p, i.rest)
	i.rest = i.rest[n:]
	return n
}

// waits reports whether there is a frame to read.
func (i *injection) waits() bool {
	if len(i.rest) > 0 {
		return true
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.waiting) > 0
}

// Inject inserts a packet into the reader's stream, and wakes the reader.
func (c *Conn) Inject(channel int, packet []byte) {
	c.injected.add(channel, packet)
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
}
