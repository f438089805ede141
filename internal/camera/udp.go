package camera

import (
	"net"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"github.com/pion/rtp"
)

// udpSpace is asked of the system for packets that wait in a socket, in bytes.
const udpSpace = 4 << 20

// listenUDP opens a socket with room for what comes while this machine is busy: the usual 208 KiB hold
// about 90 packets, fewer than one keyframe can have. The system grants as much as net.core.rmem_max.
func listenUDP(network, address string) (net.PacketConn, error) {
	conn, err := net.ListenPacket(network, address)
	if udp, ok := conn.(*net.UDPConn); ok && err == nil {
		_ = udp.SetReadBuffer(udpSpace) // it works with less, most of the time
	}
	return conn, err
}

// listenPacket opens a socket for the library, and remembers it.
func (s *session) listenPacket(network, address string) (net.PacketConn, error) {
	conn, err := listenUDP(network, address)
	if udp, ok := conn.(*net.UDPConn); ok && err == nil {
		s.sockets[0], s.sockets[1] = s.sockets[1], udp
	}
	return conn, err
}

// keepUDP sees to it that what lies in the socket of the video, which was set up just now, is
// there when the session has ended. What is encrypted is of no use.
func (s *session) keepUDP(answer *base.Response) {
	var t headers.Transport
	if t.Unmarshal(answer.Header["Transport"]) != nil || t.ServerPorts == nil || s.sockets[0] == nil || s.client.Scheme != "rtsp" {
		return
	}
	ip := s.peer
	if t.Source != nil {
		ip = *t.Source
	}
	s.drain = newUDPDrain(s.sockets[0], ip, t.ServerPorts[0])
}

// drainUDP takes what came while the session ended.
func (s *session) drainUDP() {
	s.drain.take(func(datagram []byte) {
		var p rtp.Packet
		if p.Unmarshal(datagram) == nil && p.PayloadType == s.video.format.PayloadType() {
			s.takeUDP(&p)
		}
	})
}
