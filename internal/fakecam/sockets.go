package fakecam

import (
	"fmt"
	"net"
	"strconv"
)

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

// listenUDPPair opens an even port and the odd one after it, as RTP and RTCP want.
func listenUDPPair(ip net.IP) (rtpConn, rtcpConn net.PacketConn, err error) {
	for range 100 {
		first, err := net.ListenPacket("udp", net.JoinHostPort(ip.String(), "0"))
		if err != nil {
			return nil, nil, fmt.Errorf("the camera gets no UDP port: %w", err)
		}
		port := first.LocalAddr().(*net.UDPAddr).Port
		second, err := net.ListenPacket("udp", net.JoinHostPort(ip.String(), strconv.Itoa(port^1)))
		if err != nil {
			first.Close()
			continue
		}
		if port%2 == 1 {
			first, second = second, first
		}
		return first, second, nil
	}
	return nil, nil, fmt.Errorf("the camera gets no pair of UDP ports on %v", ip)
}
