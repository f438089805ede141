package testtools

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Link is an internet connection to one service: it passes bytes to the other end until it is cut,
// or until it swallows everything. Safe for concurrent use.
type Link struct {
	listener net.Listener
	group    sync.WaitGroup
	sent     atomic.Int64
	received atomic.Int64

	mu     sync.Mutex
	target string
	mode   linkMode
	conns  map[net.Conn]bool
}

type linkMode uint8

const (
	passing linkMode = iota
	refusing
	swallowing
)

// NewLink listens on loopback for connections to target, until the test ends.
func NewLink(tb testing.TB, target string) *Link {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	l := &Link{listener: listener, target: target, conns: make(map[net.Conn]bool)}
	l.group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			l.group.Go(func() { l.pass(conn) })
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close()
		l.Cut()
		l.group.Wait()
	})
	return l
}

// Address is host:port to connect to instead of the target.
func (l *Link) Address() string { return l.listener.Addr().String() }

// LeadTo sets the target of new connections.
func (l *Link) LeadTo(target string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = target
}

// Passed returns how many bytes the near ends have sent and received so far.
func (l *Link) Passed() (sent, received int64) { return l.sent.Load(), l.received.Load() }

// near is a connection at the near end, which counts.
type near struct {
	net.Conn
	link *Link
}

func (n near) Read(p []byte) (int, error) {
	k, err := n.Conn.Read(p)
	n.link.sent.Add(int64(k))
	return k, err
}

func (n near) Write(p []byte) (int, error) {
	k, err := n.Conn.Write(p)
	n.link.received.Add(int64(k))
	return k, err
}

// Cut ends all connections, and every new one at once.
func (l *Link) Cut() { l.set(refusing) }

// Swallow ends all connections, takes new ones and answers none, as a firewall that drops.
func (l *Link) Swallow() { l.set(swallowing) }

// Restore passes new connections again, and ends those that hang.
func (l *Link) Restore() { l.set(passing) }

func (l *Link) set(mode linkMode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mode = mode
	for conn := range l.conns {
		_ = conn.Close()
	}
}

// admit notes a connection and returns how it is handled.
func (l *Link) admit(conn net.Conn) linkMode {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[conn] = true
	return l.mode
}

func (l *Link) forget(conn net.Conn) {
	_ = conn.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, conn)
}

func (l *Link) pass(conn net.Conn) {
	defer l.forget(conn)
	switch l.admit(conn) {
	case refusing:
		return
	case swallowing:
		_, _ = io.Copy(io.Discard, near{conn, l})
		return
	}
	l.mu.Lock()
	target := l.target
	l.mu.Unlock()
	far, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer l.forget(far)
	if l.admit(far) != passing {
		return
	}
	Join(near{conn, l}, far)
}

// Join passes bytes between two connections, both ways, until either ends, and ends the other.
func Join(a, b net.Conn) {
	var back sync.WaitGroup
	back.Go(func() { _, _ = io.Copy(a, b); _ = a.Close() })
	_, _ = io.Copy(b, a)
	_ = b.Close()
	back.Wait()
}
