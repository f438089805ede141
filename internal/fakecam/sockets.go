package fakecam

import "net"

// oddListener wraps the connections of a listener.
type oddListener struct {
	net.Listener
	wrap func(net.Conn) net.Conn
}

func (l oddListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return oddConn{l.wrap(c), c}, nil
}

// oddConn is a wrapped connection with the addresses of the real one.
type oddConn struct {
	net.Conn
	real net.Conn
}

func (c oddConn) RemoteAddr() net.Addr { return c.real.RemoteAddr() }
