package web

import (
	"net"
	"net/netip"
	"sync"
)

// How many connections are open at once, and how many of them from one address. One more is closed.
const (
	maxConnections = 256
	maxOfAddress   = 64
)

// bounded is a listener that bounds its open connections.
type bounded struct {
	net.Listener
	mu   sync.Mutex
	all  int                // guarded by mu
	open map[netip.Addr]int // guarded by mu
}

func boundConnections(l net.Listener) *bounded {
	return &bounded{Listener: l, open: make(map[netip.Addr]int)}
}

// Accept implements net.Listener.
func (l *bounded) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := addressOf(conn.RemoteAddr().String())
		if l.take(from) {
			return &boundedConn{Conn: conn, free: func() { l.free(from) }}, nil
		}
		_ = conn.Close()
	}
}

func (l *bounded) take(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= maxConnections || l.open[from] >= maxOfAddress {
		return false
	}
	l.all++
	l.open[from]++
	return true
}

func (l *bounded) free(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.open[from]--; l.open[from] == 0 {
		delete(l.open, from)
	}
}

type boundedConn struct {
	net.Conn
	once sync.Once
	free func()
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	c.once.Do(c.free)
	return c.Conn.Close()
}

// addressOf is the address of host:port; the zero address for anything else.
func addressOf(hostport string) netip.Addr {
	parsed, _ := netip.ParseAddrPort(hostport)
	return parsed.Addr().Unmap().WithZone("")
}
