package udp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait for a packet on loopback.
const patience = time.Minute

// rtp returns a packet of H.264 with a sequence number.
func rtp(sequence uint16, ssrc uint32) []byte {
	packet := make([]byte, 100)
	packet[0], packet[1] = 0x80, 96
	binary.BigEndian.PutUint16(packet[2:], sequence)
	binary.BigEndian.PutUint32(packet[8:], ssrc)
	return packet
}

// rtcp returns a sender report.
func rtcp() []byte { return append([]byte{0x80, 200, 0, 6}, make([]byte, 24)...) }

// camera returns a socket that sends from a port of its own.
func camera(t *testing.T, address string) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(address)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func addressOfConn(conn *net.UDPConn) netip.AddrPort {
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// listener is a track on loopback, with the packets that it received.
type listener struct {
	*Track
	rtp, rtcp     chan []byte
	unfit         chan struct{}
	toRTP, toRTCP netip.AddrPort
}

// listenTo starts a track of the camera at 127.0.0.1. The configuration's own functions are called before packets are stored.
func listenTo(t *testing.T, c Config) *listener {
	t.Helper()
	sockets, err := Listen(netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{rtp: make(chan []byte, 2000), rtcp: make(chan []byte, 100), unfit: make(chan struct{}, 100)}
	c.Addresses = append(c.Addresses, netip.MustParseAddr("127.0.0.1"))
	c.Fits = func(payloadType uint8) bool { return payloadType == 96 }
	before := c.TakeRTP
	c.TakeRTP = func(packet []byte, now time.Time) {
		if before != nil {
			before(packet, now)
		}
		l.rtp <- slices.Clone(packet)
	}
	c.TakeRTCP = func(packet []byte) { l.rtcp <- slices.Clone(packet) }
	c.Unfit = func() { l.unfit <- struct{}{} }
	first, second := sockets.Ports()
	if first%2 != 0 || second != first+1 {
		t.Fatalf("the ports are %d and %d", first, second)
	}
	loopback := netip.MustParseAddr("127.0.0.1")
	l.toRTP, l.toRTCP = netip.AddrPortFrom(loopback, uint16(first)), netip.AddrPortFrom(loopback, uint16(second))
	l.Track = Start(sockets, c)
	t.Cleanup(l.Stop)
	return l
}

func write(t *testing.T, from *net.UDPConn, packet []byte, to netip.AddrPort) {
	t.Helper()
	if _, err := from.WriteToUDPAddrPort(packet, to); err != nil {
		t.Fatal(err)
	}
}

func await[T any](t *testing.T, what string, from chan T) (value T) {
	t.Helper()
	select {
	case value = <-from:
	case <-time.After(patience):
		t.Fatal("timeout waiting for ", what)
	}
	return value
}

// TestATrackTakesWhatFits has the camera send from a port that was not announced, and other senders.
func TestATrackTakesWhatFits(t *testing.T) {
	t.Parallel()
	l := listenTo(t, Config{})
	own, other := camera(t, "127.0.0.1"), camera(t, "127.0.0.9")
	write(t, other, rtp(9, 1), l.toRTP)
	write(t, own, []byte{0x80}, l.toRTP)
	await(t, "a packet that is too short", l.unfit)
	write(t, own, append([]byte{0x40}, rtp(1, 1)[1:]...), l.toRTP) // version 1
	await(t, "a packet of another version", l.unfit)
	foreign := rtp(2, 1)
	foreign[1] = 97
	write(t, own, foreign, l.toRTP)
	await(t, "a packet of another payload type", l.unfit)
	write(t, own, rtp(3, 1), l.toRTP)
	if packet := await(t, "a packet", l.rtp); packet[3] != 3 {
		t.Errorf("number %d arrived", packet[3])
	}
	if f := l.Foreign(); f.Packets != 1 || f.From != netip.MustParseAddr("127.0.0.9") || !f.Stranger {
		t.Errorf("foreign packets: %+v", f)
	}
	if f := l.Foreign(); f.Packets != 0 {
		t.Errorf("again %+v", f)
	}
	write(t, other, rtcp(), l.toRTCP)
	write(t, own, rtcp(), l.toRTCP)
	await(t, "a report", l.rtcp)
	write(t, own, rtcp(), l.toRTP) // rtcp-mux
	await(t, "a report at the port of RTP", l.rtcp)
	if len(l.rtcp) > 0 || len(l.unfit) > 0 || len(l.rtp) > 0 {
		t.Error("more was taken")
	}
}

// TestTheWayIsOpenedToAnnouncedPortsOnly checks what a camera receives before it plays.
func TestTheWayIsOpenedToAnnouncedPortsOnly(t *testing.T) {
	t.Parallel()
	rtpPort, rtcpPort := camera(t, "127.0.0.1"), camera(t, "127.0.0.1")
	l := listenTo(t, Config{RTP: addressOfConn(rtpPort), RTCP: addressOfConn(rtcpPort)})
	l.Open()
	for conn, want := range map[*net.UDPConn]struct {
		packet []byte
		from   netip.AddrPort
	}{rtpPort: {emptyRTP, l.toRTP}, rtcpPort: {emptyRTCP, l.toRTCP}} {
		buffer := make([]byte, 100)
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		n, from, err := conn.ReadFromUDPAddrPort(buffer)
		if err != nil || !slices.Equal(buffer[:n], want.packet) || from != want.from {
			t.Errorf("%x from %v, %v", buffer[:n], from, err)
		}
	}
	silent := listenTo(t, Config{})
	silent.Open() // to no address
	silent.SendRTCP(emptyRTCP)
}

// TestReportsGoToWhereTheCameraSpeaksFrom has a camera that announced no ports.
func TestReportsGoToWhereTheCameraSpeaksFrom(t *testing.T) {
	t.Parallel()
	none := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 0) // as of server_port=5000-0
	for name, muxed := range map[string]bool{"a port of its own": false, "the port of RTP": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := listenTo(t, Config{RTCP: none})
			own, other := camera(t, "127.0.0.1"), camera(t, "127.0.0.9")
			to := l.toRTCP
			if muxed {
				to = l.toRTP
			}
			write(t, own, rtcp(), to)
			await(t, "a report", l.rtcp)
			write(t, other, rtcp(), to) // from a sender that is not answered
			l.SendRTCP([]byte("report"))
			buffer := make([]byte, 100)
			_ = own.SetReadDeadline(time.Now().Add(patience))
			n, from, err := own.ReadFromUDPAddrPort(buffer)
			if err != nil || string(buffer[:n]) != "report" || from != to {
				t.Errorf("%q from %v, %v", buffer[:n], from, err)
			}
		})
	}
}

// TestABurstWaits sends a large keyframe to a socket that is not read yet, and ends the track before it is.
func TestABurstWaits(t *testing.T) {
	t.Parallel()
	needSpace(t)
	const packets, size = 720, 1400 // 1 MB
	held := make(chan struct{})
	l := listenTo(t, Config{TakeRTP: func([]byte, time.Time) { <-held }})
	own := camera(t, "127.0.0.1")
	for i := range packets {
		write(t, own, append(rtp(uint16(i), 1), make([]byte, size)...), l.toRTP)
	}
	// On loopback a written packet has arrived, or is lost.
	done := make(chan struct{})
	go func() { l.Stop(); close(done) }()
	close(held)
	await(t, "the end", done)
	if len(l.rtp) != packets {
		t.Fatalf("%d packets of %d arrived", len(l.rtp), packets)
	}
	for i := range packets {
		if got := binary.BigEndian.Uint16((<-l.rtp)[2:]); got != uint16(i) {
			t.Fatalf("number %d arrived where %d was sent", got, i)
		}
	}
}

// needSpace skips a test where the system grants sockets less than they ask for.
func needSpace(t *testing.T) {
	t.Helper()
	if text, err := os.ReadFile("/proc/sys/net/core/rmem_max"); err != nil {
		t.Skip("the system's limit is unknown: ", err)
	} else if most, err := strconv.Atoi(strings.TrimSpace(string(text))); err != nil || most < space {
		t.Skipf("the system grants %s bytes to a socket (%v)", strings.TrimSpace(string(text)), err)
	}
}

// TestBatchesLoseNothing sends packets of all sizes before and after the change to batches, in their two ways to read, and
// reports at the same port; the last packets are in the socket when the track ends.
func TestBatchesLoseNothing(t *testing.T) {
	t.Parallel()
	needSpace(t)
	for name, single := range map[string]bool{"many at once": false, "one at a time": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := listenTo(t, Config{atOnce: time.Nanosecond, single: single})
			own := camera(t, "127.0.0.1")
			sequence := uint16(0)
			sendMore := func(n int) {
				for range n {
					write(t, own, append(rtp(sequence, 1), make([]byte, int(sequence)*997%60_000)...), l.toRTP)
					sequence++
				}
			}
			next := uint16(0)
			expect := func() {
				for ; next < sequence; next++ {
					packet := await(t, "a packet", l.rtp)
					if got := binary.BigEndian.Uint16(packet[2:]); got != next || len(packet) != 100+int(next)*997%60_000 {
						t.Fatalf("number %d of %d bytes arrived where %d was sent", got, len(packet), next)
					}
				}
			}
			sendMore(2)
			expect()
			sendMore(50)
			expect()
			if !l.Track.rtp.isUnwatched() {
				t.Fatal("it is not read in batches")
			}
			write(t, own, rtcp(), l.toRTP)
			await(t, "a report at the port of RTP", l.rtcp)
			l.SendRTCP([]byte("report"))
			buffer := make([]byte, 100)
			_ = own.SetReadDeadline(time.Now().Add(patience))
			if n, from, err := own.ReadFromUDPAddrPort(buffer); err != nil || string(buffer[:n]) != "report" || from != l.toRTP {
				t.Errorf("%q from %v, %v", buffer[:n], from, err)
			}
			sendMore(30)
			l.Stop()
			expect()
		})
	}
}

// TestAPacketAllocatesNothing is the hot path.
func TestAPacketAllocatesNothing(t *testing.T) {
	from := netip.MustParseAddrPort("[::ffff:192.0.2.1]:5000")
	track := &Track{Config: Config{
		Fits: func(uint8) bool { return true }, TakeRTP: func([]byte, time.Time) {}, Unfit: func() {},
	}, latch: latch{who: Who{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}}
	packet, now := rtp(1, 1), time.Now()
	if allocated := testing.AllocsPerRun(1000, func() { track.takeRTP(packet, from, now) }); allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}
