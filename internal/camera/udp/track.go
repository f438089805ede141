// Package udp has the sockets over which cameras send RTP and RTCP besides their RTSP connection: ports of this machine or
// multicast groups. It receives packets, and sends reports. It interprets neither RTSP nor the payload.
package udp

import (
	"cmp"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/conn"
)

const (
	// maxDatagram is the size of the largest datagram, in bytes.
	maxDatagram = 64 << 10
	// maxPassed bounds the packets that are read from a socket at once: as many as the smallest packets of space, so that a camera
	// cannot prolong the end of a session.
	maxPassed = 16 << 10
	// maxFailures is how many consecutive reads may fail.
	maxFailures = 100
	// writeTimeout bounds the time for sending: the next report follows anyway.
	writeTimeout = time.Second
)

// Config configures a track.
type Config struct {
	Who
	// Fits reports whether a payload type belongs to the track.
	Fits func(payloadType uint8) bool
	// RTP and RTCP are the camera's addresses for packets sent to it, as it announced. Invalid, or without a port: not announced.
	RTP, RTCP netip.AddrPort
	// TakeRTP and TakeRTCP receive the packets of the camera, on one goroutine each. A packet is valid until they return.
	// now is when a packet arrived, or was read with others.
	TakeRTP  func(packet []byte, now time.Time)
	TakeRTCP func(packet []byte)
	// TakeOthers receives packets of the camera with other payload types, as they may have sequence numbers of the track's. A packet is
	// valid until it returns. nil: they are unfit.
	TakeOthers func(packet []byte, now time.Time)
	// Unfit is called for each packet of the camera that does not belong to the track.
	Unfit func()
	// Now is the clock. Default time.Now.
	Now func() time.Time

	atOnce time.Duration // how long packets are read at once. Default conn.AtOnce
	single bool          // one packet is read by each call
}

// Track receives the packets that a camera sends for one track.
type Track struct {
	Config
	rtp, rtcp *port
	latch     latch     // used by the goroutine of RTP
	began     time.Time // when it accepted the first packet
	group     sync.WaitGroup
	stopping  sync.Once
	stopped   chan struct{}
	heard     atomic.Pointer[reply] // source of the last RTCP packet
	others    others
}

// reply is the address from which the camera sends RTCP, and the socket that received it.
type reply struct {
	to      netip.AddrPort
	through *port
}

// Start receives packets until Stop. The sockets belong to the track from now on.
func Start(s *Sockets, c Config) *Track {
	if c.Now == nil {
		c.Now = time.Now
	}
	c.atOnce = cmp.Or(c.atOnce, conn.AtOnce)
	t := &Track{Config: c, rtp: newPort(s.rtp), rtcp: newPort(s.rtcp), latch: latch{who: c.Who}, stopped: make(chan struct{})}
	t.group.Go(t.receive)
	t.group.Go(func() {
		read(s.rtcp, func(packet []byte, from netip.AddrPort) bool {
			t.takeRTCP(t.rtcp, packet, from)
			return true
		})
	})
	return t
}

// Stop ends the track after all packets in the sockets were handled, and closes the sockets: a slow disk may have delayed reading.
func (t *Track) Stop() {
	t.stopping.Do(func() {
		close(t.stopped)
		t.rtp.wake()
		t.rtcp.wake()
		t.group.Wait()
		t.rtp.close()
		t.rtcp.close()
	})
}

// receive passes on the packets of RTP until Stop: at first as they arrive, then in batches.
func (t *Track) receive() {
	b := &batch{single: t.single}
	defer b.close()
	read(t.rtp.conn, func(packet []byte, from netip.AddrPort) bool {
		now := t.Now()
		t.takeRTP(packet, from, now)
		return t.began.IsZero() || now.Sub(t.began) < t.atOnce || !t.rtp.unwatch()
	})
	if t.rtp.isUnwatched() {
		t.readBatches(b)
	}
	<-t.stopped
	t.drain(b)
}

// readBatches passes on what the socket has, at each common instant.
func (t *Track) readBatches(b *batch) {
	instants := conn.NewInstants()
	defer instants.Stop()
	for failures := 0; failures < maxFailures; {
		select {
		case <-t.stopped:
			return
		case <-instants.Next():
		}
		switch passed, err := t.pass(b, t.rtp.fd); {
		case passed > 0:
			failures = 0
		case !errors.Is(err, unix.EAGAIN):
			failures++
		}
	}
}

// drain passes on the packets left in the socket of RTP, in order of arrival.
func (t *Track) drain(b *batch) {
	_ = t.rtp.control(func(fd int) { _, _ = t.pass(b, fd) })
}

// pass passes on what a socket has, and returns how many packets that were. Its error is why it had no more.
func (t *Track) pass(b *batch, fd int) (passed int, err error) {
	for passed < maxPassed {
		n, err := b.read(fd)
		if err != nil {
			return passed, err
		}
		now := t.Now()
		for i := range n {
			packet, from := b.packet(i)
			t.takeRTP(packet, from, now)
		}
		if passed += n; n < b.most() {
			break
		}
	}
	return passed, nil
}

// read passes on the packets that arrive at a socket until its deadline, or take returns false. Other errors are answers of the network
// to sent packets, or permanent: then nothing arrives, which the session notices.
func read(from *net.UDPConn, take func(packet []byte, sender netip.AddrPort) (more bool)) {
	buffer := make([]byte, maxDatagram)
	for failures := 0; failures < maxFailures; {
		n, sender, err := from.ReadFromUDPAddrPort(buffer)
		switch {
		case err == nil:
			failures = 0
			if !take(buffer[:n], sender) {
				return
			}
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
			return
		default:
			failures++
		}
	}
}

// plain returns an address as cameras and configurations write it: IPv4 if possible, without a zone.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// The headers of packets (RFC 3550, sections 5.1 and 6.1; RFC 5761, section 4).
const (
	rtpHeader, rtcpHeader = 12, 8
	version               = 2
	firstRTCP, lastRTCP   = 192, 223 // packet types, at the position of RTP's marker and payload type
)

func versionOf(packet []byte) byte { return packet[0] >> 6 }

// takeRTP handles a packet at the port of RTP. Some cameras send RTCP there, too.
func (t *Track) takeRTP(packet []byte, sender netip.AddrPort, now time.Time) {
	from := plain(sender)
	if len(packet) < rtcpHeader || versionOf(packet) != version {
		t.unfit(from)
		return
	}
	if kind := packet[1]; kind >= firstRTCP && kind <= lastRTCP {
		t.takeRTCP(t.rtp, packet, sender)
		return
	}
	if len(packet) < rtpHeader || !t.Fits(packet[1]&0x7f) {
		if len(packet) >= rtpHeader && t.TakeOthers != nil && t.latch.plays(from, binary.BigEndian.Uint32(packet[8:]), now) {
			t.TakeOthers(packet, now)
			return
		}
		t.unfit(from)
		return
	}
	switch is := t.latch.admit(from, binary.BigEndian.Uint32(packet[8:]), now); is {
	case taken:
		if t.began.IsZero() {
			t.began = now
		}
		t.TakeRTP(packet, now)
	default:
		t.others.add(from.Addr(), is == stranger)
	}
}

// takeRTCP handles an RTCP packet that arrived at a socket.
func (t *Track) takeRTCP(to *port, packet []byte, sender netip.AddrPort) {
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

// unfit handles a packet that does not belong to the track. Those of other senders are ignored.
func (t *Track) unfit(from netip.AddrPort) {
	if t.latch.knows(from.Addr()) {
		t.Unfit()
	}
}

// The smallest packets of RTP and RTCP (RFC 3550, sections 5.1 and 6.4.2): an empty packet, and a receiver report without a source.
var (
	emptyRTP  = []byte{version << 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	emptyRTCP = []byte{version << 6, 201, 0, 1, 0, 0, 0, 0}
)

// Open opens firewalls and routers for the camera's packets, by sending a packet from each port to the ports that the camera announced,
// as players do. Where it announced none, nothing is sent.
func (t *Track) Open() {
	t.rtp.send(emptyRTP, t.RTP)
	t.rtcp.send(emptyRTCP, t.RTCP)
}

// SendRTCP sends a report to the address that the camera announced for it, else to the source of its own reports.
func (t *Track) SendRTCP(packet []byte) {
	if reachable(t.RTCP) {
		t.rtcp.send(packet, t.RTCP)
	} else if to := t.heard.Load(); to != nil {
		to.through.send(packet, to.to)
	}
}

// reachable reports whether packets can be sent to an address.
func reachable(to netip.AddrPort) bool { return to.IsValid() && to.Port() > 0 }

// Foreign counts packets that fit and were not accepted.
type Foreign struct {
	Packets  int64
	From     netip.Addr // of the last of them
	Stranger bool       // the camera did not name that address
}

// others counts foreign packets.
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

// Foreign returns what was counted since its last call.
func (t *Track) Foreign() Foreign {
	t.others.mu.Lock()
	defer t.others.mu.Unlock()
	f := t.others.now
	t.others.now = Foreign{}
	return f
}
