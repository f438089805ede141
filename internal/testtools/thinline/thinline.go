// Package thinline owns a thin internet line in front of a server: what all connections send through it together takes as long as
// the rate says, and they take turns. Answers pass at once. It must not know what is sent.
package thinline

import (
	"io"
	"net"
	"sync"
	"time"
)

const (
	// packet is how many bytes of a connection pass before it is another's turn.
	packet = 1460
	// kept is how many bytes the line holds of each connection, as routers do.
	kept = 64 << 10
	// late is how late goroutines may wake without that the line is slower.
	late = 50 * time.Millisecond
)

// Line is the line. Safe for concurrent use.
type Line struct {
	listener *net.TCPListener
	group    sync.WaitGroup

	mu     sync.Mutex
	rate   float64 // bytes/s; guarded by mu, as all below
	free   time.Time
	target string
	conns  map[net.Conn]bool
	sent   int64
}

// New listens on loopback, and passes so many bit/s. Close ends it.
func New(rate float64) (*Line, error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	l := &Line{listener: listener, rate: rate / 8, conns: make(map[net.Conn]bool)}
	l.group.Go(func() {
		for {
			conn, err := listener.AcceptTCP()
			if err != nil {
				return
			}
			l.group.Go(func() { l.pass(conn) })
		}
	})
	return l, nil
}

// Address is host:port to connect to instead of the server.
func (l *Line) Address() string { return l.listener.Addr().String() }

// To sets the server, as host:port. Before it connections are refused.
func (l *Line) To(target string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = target
}

// Sent returns how many bytes have passed.
func (l *Line) Sent() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent
}

// Close ends all connections.
func (l *Line) Close() error {
	err := l.listener.Close()
	l.mu.Lock()
	for conn := range l.conns {
		_ = conn.Close()
	}
	l.mu.Unlock()
	l.group.Wait()
	return err
}

// pass passes on a connection.
func (l *Line) pass(from *net.TCPConn) {
	defer func() { _ = from.Close() }()
	_ = from.SetReadBuffer(kept)
	l.mu.Lock()
	target := l.target
	l.mu.Unlock()
	if target == "" {
		return
	}
	to, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	l.hold(from, true)
	l.hold(to, true)
	defer l.hold(from, false)
	defer l.hold(to, false)
	defer func() { _ = to.Close() }()
	answers := make(chan struct{})
	go func() {
		defer close(answers)
		_, _ = io.Copy(from, to)
		_ = from.CloseWrite()
	}()
	buffer := make([]byte, packet)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			l.take(n)
			if _, err := to.Write(buffer[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	_ = to.(*net.TCPConn).CloseWrite()
	<-answers
}

func (l *Line) hold(conn net.Conn, held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if delete(l.conns, conn); held {
		l.conns[conn] = true
	}
}

// take takes the time that n bytes need. Those who wait are served in the order in which they came.
func (l *Line) take(n int) {
	l.mu.Lock()
	// Time that is lost as goroutines wake late is made up for.
	if earliest := time.Now().Add(-late); l.free.Before(earliest) {
		l.free = earliest
	}
	l.free = l.free.Add(time.Duration(float64(n) / l.rate * float64(time.Second)))
	l.sent += int64(n)
	until := l.free
	l.mu.Unlock()
	pause(time.Until(until))
}

func pause(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
}
