package udp

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// batchSpace is the least space of a socket for packets to be left in it for a while, as the system counts: a
// packet of 1.4 kB takes 2.3 kB of it, and what arrives between two instants at the greatest rate 2 MB. Less than that is read at once.
const batchSpace = 4 << 20

// port is a socket. At first the runtime's poller watches it, which wakes a thread for each packet, whether somebody waits for it
// or not; unwatched it is read by its descriptor.
type port struct {
	mu   sync.Mutex
	conn *net.UDPConn // nil: it is unwatched, or closed
	fd   int          // the descriptor while it is unwatched, else -1
}

func newPort(c *net.UDPConn) *port { return &port{conn: c, fd: -1} }

// unwatch takes the socket from the poller, if it has room for a batch, and reports whether it did.
func (p *port) unwatch() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	raw, err := p.conn.SyscallConn()
	if err != nil {
		return false
	}
	own := -1
	_ = raw.Control(func(fd uintptr) {
		if room, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF); err != nil || room < batchSpace {
			return
		}
		own, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err != nil || own < 0 {
		return false
	}
	_ = p.conn.Close() // its descriptor, not the socket
	p.conn, p.fd = nil, own
	return true
}

// isUnwatched reports whether it is read by its descriptor.
func (p *port) isUnwatched() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fd >= 0
}

// control calls do with the descriptor.
func (p *port) control(do func(fd int)) error {
	if p.isUnwatched() {
		do(p.fd)
		return nil
	}
	raw, err := p.conn.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { do(int(fd)) })
}

// wake ends reading while it is watched.
func (p *port) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil {
		_ = p.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// send sends a packet. Losing one on this machine is like losing it in the network.
func (p *port) send(packet []byte, to netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.conn
	if p.fd >= 0 { // seldom: a report every few seconds, of cameras that use one port for both
		if c = connOf(p.fd); c != nil {
			defer func() { _ = c.Close() }()
		}
	}
	if c != nil && reachable(to) {
		_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, _ = c.WriteToUDPAddrPort(packet, to)
	}
}

// connOf returns a connection for a descriptor, with one of its own; nil: there is none.
func connOf(fd int) *net.UDPConn {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	file := os.NewFile(uintptr(own), "udp")
	defer func() { _ = file.Close() }()
	c, err := net.FilePacketConn(file)
	if err != nil {
		return nil
	}
	return c.(*net.UDPConn)
}

// close closes the socket.
func (p *port) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil {
		_ = p.conn.Close()
	}
	if p.fd >= 0 {
		_ = unix.Close(p.fd)
	}
	p.conn, p.fd = nil, -1
}
