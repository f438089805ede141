package devicetls

import (
	"net"
	"sync"
)

// handoff is a net.Listener of connections that an Endpoint accepted.
type handoff struct {
	addr  net.Addr
	conns chan net.Conn
	ended chan struct{}
	once  sync.Once
}

func newHandoff(l net.Listener) *handoff {
	return &handoff{addr: l.Addr(), conns: make(chan net.Conn), ended: make(chan struct{})}
}

func (h *handoff) pass(conn net.Conn) {
	select {
	case h.conns <- conn:
	case <-h.ended:
		_ = conn.Close()
	}
}

func (h *handoff) end() { h.once.Do(func() { close(h.ended) }) }

// Accept implements net.Listener.
func (h *handoff) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.ended:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handoff) Close() error { h.end(); return nil }

// Addr implements net.Listener.
func (h *handoff) Addr() net.Addr { return h.addr }
