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

// udpSockets are those that the library has opened, and what is kept of them beyond its end.
type udpSockets struct {
	last [2]*net.UDPConn // RTP and RTCP of the medium that was set up last
	kept *udpDrain       // of the video; nil: none
}

// listen opens a socket for the library, and remembers it.
func (u *udpSockets) listen(network, address string) (net.PacketConn, error) {
	conn, err := listenUDP(network, address)
	if udp, ok := conn.(*net.UDPConn); ok && err == nil {
		u.last[0], u.last[1] = u.last[1], udp
	}
	return conn, err
}

// keep sees to it that what a camera at peer sends to the socket that was opened last for RTP, by its answer to SETUP, is
// there when the session has ended.
func (u *udpSockets) keep(answer *base.Response, peer net.IP) {
	var t headers.Transport
	if t.Unmarshal(answer.Header["Transport"]) != nil || t.ServerPorts == nil || u.last[0] == nil {
		return
	}
	if t.Source != nil {
		peer = *t.Source
	}
	u.kept = newUDPDrain(u.last[0], peer, t.ServerPorts[0])
}

// drained hands on the packets of a type that came while the session ended.
func (u *udpSockets) drained(payloadType uint8, give func(*rtp.Packet)) {
	u.kept.drain(func(datagram []byte) {
		var p rtp.Packet
		if p.Unmarshal(datagram) == nil && p.PayloadType == payloadType {
			give(&p)
		}
	})
}

// close releases what was kept.
func (u *udpSockets) close() { u.kept.close() }
