// Package udp owns the sockets over which cameras send RTP and RTCP beside their RTSP connection: ports of this machine or
// multicast groups, whose packets they take, and what is sent back. It must not know RTSP, nor what is in the packets.
package udp

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxDatagram is the size of the largest one, in bytes.
	maxDatagram = 64 << 10
	// maxDrained bounds the packets that are taken out of a socket at the end of a session: as many
	// as the smallest frames of space, and no camera can keep us there.
	maxDrained = 16 << 10
	// maxFailures is how often in a row reading may fail.
	maxFailures = 100
	// writeTimeout bounds the wait of what is sent: the next report comes anyway.
	writeTimeout = time.Second
)

// Config says how to take a track.
type Config struct {
	Who
	// Fits reports whether a payload type is one of the track's.
	Fits func(payloadType uint8) bool
	// RTP and RTCP are where the camera takes what is sent to it, as it announced. Not valid, or without a port: it did not.
	RTP, RTCP netip.AddrPort
	// TakeRTP and TakeRTCP take the packets of the camera, on one goroutine each. They are theirs to read until they return.
	TakeRTP, TakeRTCP func(packet []byte)
	// TakeOthers takes packets of the camera with other payload types, as they may have numbers of the track's. They are its to
	// read until it returns. nil: they are unfit.
	TakeOthers func(packet []byte)
	// Unfit is called for each packet of the camera that is none of the track.
	Unfit func()
}

// Track receives what a camera sends of one track.
type Track struct {
	Config
	sockets *Sockets
	latch   latch // the goroutine of RTP has it
	group   sync.WaitGroup
	heard   atomic.Pointer[reply] // whence RTCP came last
	others  others
}

// reply is where the camera sends RTCP from, and the socket that it sends to.
type reply struct {
	to      netip.AddrPort
	through *net.UDPConn
}

// Start takes packets until Stop. The sockets are the track's from now on.
func Start(s *Sockets, c Config) *Track {
	t := &Track{Config: c, sockets: s, latch: latch{who: c.Who}}
	t.group.Go(func() { read(s.rtp, t.takeRTP) })
	t.group.Go(func() { read(s.rtcp, func(packet []byte, from netip.AddrPort) { t.takeRTCP(s.rtcp, packet, from) }) })
	return t
}

// Stop ends the track when all that has come was taken, and closes the sockets: a disk may have held us up.
func (t *Track) Stop() {
	past := time.Unix(1, 0)
	_ = t.sockets.rtp.SetReadDeadline(past)
	_ = t.sockets.rtcp.SetReadDeadline(past)
	t.group.Wait()
	t.drain()
	t.sockets.Close()
}

// read hands on what comes to a socket until its deadline. What else fails is an answer of the network to what was sent, or
// fails for good: then nothing comes, which whoever started the track finds out.
func read(conn *net.UDPConn, take func(packet []byte, from netip.AddrPort)) {
	buffer := make([]byte, maxDatagram)
	for failures := 0; failures < maxFailures; {
		n, from, err := conn.ReadFromUDPAddrPort(buffer)
		switch {
		case err == nil:
			failures = 0
			take(buffer[:n], from)
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
			return
		default:
			failures++
		}
	}
}

// drain hands on what lies in the socket of RTP, in the order of its coming.
func (t *Track) drain() {
	raw, err := t.sockets.rtp.SyscallConn()
	if err != nil {
		return
	}
	buffer := make([]byte, maxDatagram)
	_ = raw.Control(func(fd uintptr) {
		for range maxDrained {
			n, from, err := unix.Recvfrom(int(fd), buffer, unix.MSG_DONTWAIT)
			if err != nil { // EAGAIN: that was all
				return
			}
			t.takeRTP(buffer[:n], addressOf(from))
		}
	})
}

func addressOf(from unix.Sockaddr) netip.AddrPort {
	switch a := from.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	default:
		return netip.AddrPort{}
	}
}

// plain is an address as cameras and configurations write it: of IPv4 where it is one, without an interface.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// The headers of packets (RFC 3550, sections 5.1 and 6.1; RFC 5761, section 4).
const (
	rtpHeader, rtcpHeader = 12, 8
	version               = 2
	firstRTCP, lastRTCP   = 192, 223 // packet types, where RTP has the marker and the payload type
)

func versionOf(packet []byte) byte { return packet[0] >> 6 }

// takeRTP takes a packet that came to the port of RTP. Some cameras send RTCP there, too.
func (t *Track) takeRTP(packet []byte, sender netip.AddrPort) {
	from := plain(sender)
	if len(packet) < rtcpHeader || versionOf(packet) != version {
		t.unfit(from)
		return
	}
	if kind := packet[1]; kind >= firstRTCP && kind <= lastRTCP {
		t.takeRTCP(t.sockets.rtp, packet, sender)
		return
	}
	if len(packet) < rtpHeader || !t.Fits(packet[1]&0x7f) {
		if len(packet) >= rtpHeader && t.TakeOthers != nil && t.latch.plays(from, binary.BigEndian.Uint32(packet[8:]), time.Now()) {
			t.TakeOthers(packet)
			return
		}
		t.unfit(from)
		return
	}
	switch is := t.latch.admit(from, binary.BigEndian.Uint32(packet[8:]), time.Now()); is {
	case taken:
		t.TakeRTP(packet)
	default:
		t.others.add(from.Addr(), is == stranger)
	}
}

// takeRTCP takes a packet of RTCP that came to a socket.
func (t *Track) takeRTCP(to *net.UDPConn, packet []byte, sender netip.AddrPort) {
	from := plain(sender)
	if len(packet) < rtcpHeader || versionOf(packet) != version || !t.latch.knows(from.Addr()) {
		t.unfit(from)
		return
	}
	if last := t.heard.Load(); last == nil || last.to != sender || last.through != to {
		t.heard.Store(&reply{to: sender, through: to})
	}
	t.TakeRTCP(packet)
}

// unfit takes note of a packet that is none of the track's. What others send counts for nothing.
func (t *Track) unfit(from netip.AddrPort) {
	if t.latch.knows(from.Addr()) {
		t.Unfit()
	}
}

// The smallest packets of RTP and RTCP (RFC 3550, sections 5.1 and 6.4.2): an empty one, and a receiver report of nobody.
var (
	emptyRTP  = []byte{version << 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	emptyRTCP = []byte{version << 6, 201, 0, 1, 0, 0, 0, 0}
)

// Open opens the way to our ports through firewalls and routers, by a packet from each to the ports that the camera announced,
// as players do. Where it announced none, there is nowhere to send one.
func (t *Track) Open() {
	send(t.sockets.rtp, emptyRTP, t.RTP)
	send(t.sockets.rtcp, emptyRTCP, t.RTCP)
}

// SendRTCP sends a report to where the camera announced that it takes them, else to where its own come from.
func (t *Track) SendRTCP(packet []byte) {
	if reachable(t.RTCP) {
		send(t.sockets.rtcp, packet, t.RTCP)
	} else if to := t.heard.Load(); to != nil {
		send(to.through, packet, to.to)
	}
}

// reachable reports whether something can be sent to an end.
func reachable(to netip.AddrPort) bool { return to.IsValid() && to.Port() > 0 }

// send sends a packet. One that gets lost on this machine is lost as any other.
func send(conn *net.UDPConn, packet []byte, to netip.AddrPort) {
	if reachable(to) {
		_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, _ = conn.WriteToUDPAddrPort(packet, to)
	}
}

// Foreign are packets that fit and were not taken.
type Foreign struct {
	Packets  int64
	From     netip.Addr // of the last of them
	Stranger bool       // it is no address that the camera named
}

// others counts them.
type others struct {
	mu  sync.Mutex
	now Foreign
}

func (o *others) add(from netip.Addr, stranger bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.now.Packets++
	if stranger || !o.now.Stranger { // strangers matter more
		o.now.From, o.now.Stranger = from, stranger
	}
}

// Foreign returns what was counted since it was last called.
func (t *Track) Foreign() Foreign {
	t.others.mu.Lock()
	defer t.others.mu.Unlock()
	f := t.others.now
	t.others.now = Foreign{}
	return f
}
