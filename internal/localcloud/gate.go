package localcloud

import "net"

// gate is a listener whose connections can be reset.
type gate struct {
	*net.TCPListener
	faults *Faults
	conns  map[*net.TCPConn]bool // guarded by faults.mu
}

func (f *Faults) gate(l *net.TCPListener) *gate {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := &gate{TCPListener: l, faults: f, conns: map[*net.TCPConn]bool{}}
	f.gates = append(f.gates, g)
	return g
}

// Accept returns the next connection that is not cut off. It is a bare *net.TCPConn, because package
// media asks for one when it resets a connection itself.
func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.AcceptTCP()
		if err != nil {
			return nil, err
		}
		if g.admit(conn) {
			return conn, nil
		}
	}
}

func (g *gate) admit(conn *net.TCPConn) bool {
	g.faults.mu.Lock()
	defer g.faults.mu.Unlock()
	if g.faults.cut {
		reset(conn)
		return false
	}
	for old := range g.conns {
		if isClosed(old) {
			delete(g.conns, old)
		}
	}
	g.conns[conn] = true
	return true
}

// resetAll is called with faults.mu held.
func (g *gate) resetAll() {
	for conn := range g.conns {
		reset(conn)
	}
	clear(g.conns)
}

func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0) // where it fails the connection is gone already
	_ = conn.Close()
}

// isClosed reports whether our side closed the connection: Go has no other sign of it.
func isClosed(conn *net.TCPConn) bool {
	raw, err := conn.SyscallConn()
	return err != nil || raw.Control(func(uintptr) {}) != nil
}
