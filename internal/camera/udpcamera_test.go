package camera

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// udpCamera is a camera that sends over UDP as the tests say.
type udpCamera struct {
	accepts  string                                // the text in a Transport that it accepts; others are refused
	refusal  string                                // its status line
	answer   func(transport, ports string) string  // the header Transport; ports are those of its sockets
	session  string                                // lines of the description before m=
	port     int                                   // in m=
	address  string                                // it sends from
	group    netip.AddrPort                        // of RTP, it sends to; not valid: the client's ports
	muxed    bool                                  // RTCP goes over the port of RTP
	sources  int                                   // number of packets after which it changes its port; 0: never
	extra    func(to netip.AddrPort, sequence int) // is called before each packet
	silent   bool
	needsRTP bool // it sends nothing before it received an opening packet
	tls      *tls.Config

	mu      sync.Mutex
	asked   []string // Transport of each SETUP
	reports []rtcp.ReceptionReport
	opened  int // opening packets received
}

const (
	cameraSSRC  = 0x01020304
	cameraClock = 90_000
)

// serve starts it, and returns its URL.
func (c *udpCamera) serve(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if c.tls != nil {
		listener = tls.NewListener(listener, c.tls)
	}
	var group sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); group.Wait() })
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() { c.talk(conn) })
		}
	})
	if c.tls != nil {
		return "rtsps://" + listener.Addr().String() + "/live"
	}
	return "rtsp://" + listener.Addr().String() + "/live"
}

// note changes what tests read.
func (c *udpCamera) note(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
}

// transports returns those that it was asked for.
func (c *udpCamera) transports() (list []string) {
	c.note(func() { list = slices.Clone(c.asked) })
	return list
}

var clientPorts = regexp.MustCompile(`client_port=(\d+)-(\d+)`)

// talk handles one RTSP connection.
func (c *udpCamera) talk(conn net.Conn) {
	stop, ended := make(chan struct{}), sync.WaitGroup{}
	defer func() { close(stop); _ = conn.Close(); ended.Wait() }()
	var sender *udpSender
	var err error
	for line, header := range testtools.Requests(conn) {
		status, extra, body := "200 OK", "", ""
		switch method, _, _ := strings.Cut(line, " "); method {
		case "OPTIONS":
			extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER\r\n"
		case "DESCRIBE":
			body = fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n%st=0 0\r\nm=video %d RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"+
				"a=control:track\r\n", c.session, c.port)
			extra = "Content-Type: application/sdp\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
		case "SETUP":
			asked := header.Get("Transport")
			c.note(func() { c.asked = append(c.asked, asked) })
			if !strings.Contains(asked, c.accepts) {
				status = c.refusal
				break
			}
			if sender, err = c.newSender(asked); err != nil {
				return
			}
			extra = "Session: 1\r\n"
			if value := c.answer(asked, sender.ports()); value != "" {
				extra += "Transport: " + value + "\r\n"
			}
		case "PLAY":
			ended.Go(func() { sender.play(stop) })
		}
		if _, err := io.WriteString(conn, "RTSP/1.0 "+status+"\r\nCSeq: "+header.Get("Cseq")+"\r\n"+extra+"\r\n"+body); err != nil {
			return
		}
	}
}

// udpSender sends a track.
type udpSender struct {
	*udpCamera
	rtp, rtcp *net.UDPConn
	to        [2]netip.AddrPort
}

func (c *udpCamera) newSender(asked string) (*udpSender, error) {
	s := &udpSender{udpCamera: c}
	var err error
	if s.rtp, err = c.socket(); err == nil {
		s.rtcp, err = c.socket()
	}
	if found := clientPorts.FindStringSubmatch(asked); found != nil {
		for i := range s.to {
			s.to[i] = netip.MustParseAddrPort("127.0.0.1:" + found[i+1])
		}
	}
	if c.group.IsValid() {
		s.to = [2]netip.AddrPort{c.group, netip.AddrPortFrom(c.group.Addr(), c.group.Port()+1)}
	}
	if c.muxed {
		s.to[1] = s.to[0]
	}
	return s, err
}

// socket opens a socket with an address of the camera, which sends to groups over loopback.
func (c *udpCamera) socket() (*net.UDPConn, error) {
	address := net.IPv4(127, 0, 0, 1)
	if c.address != "" {
		address = net.ParseIP(c.address)
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: address})
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	_ = raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInet4Addr(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_IF, [4]byte{127, 0, 0, 1})
	})
	return conn, err
}

func portOf(conn *net.UDPConn) int { return conn.LocalAddr().(*net.UDPAddr).Port }

// ports returns the ports as written in a Transport.
func (s *udpSender) ports() string { return fmt.Sprintf("%d-%d", portOf(s.rtp), portOf(s.rtcp)) }

// pictures are a keyframe with its parameter sets, and another picture.
var pictures = [][]string{
	{"\x67\x42\xc0\x0a\xda\x0f\x0a\x69\xa8\x08\x08\x08\x10", "\x68\xce\x3c\x80", "\x65\x88\x84\x0a\xf2"}, {"\x41\x9a\x24\x6c\x41"},
}

// play sends a picture every 20 ms, each fifth of them a keyframe.
func (s *udpSender) play(stop chan struct{}) {
	var group sync.WaitGroup
	defer group.Wait()
	defer func() { _ = s.rtp.Close(); _ = s.rtcp.Close() }()
	opened := make(chan struct{}, 1)
	group.Go(func() { s.listen(s.rtp, opened) })
	group.Go(func() { s.listen(s.rtcp, opened) })
	if s.needsRTP {
		select {
		case <-opened:
		case <-stop:
			return
		}
	}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	sequence := 0
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		picture := pictures[min(i%5, 1)]
		for j, nal := range picture {
			s.send(nal, sequence, uint32(i)*cameraClock/50, j == len(picture)-1)
			sequence++
		}
		if i%10 == 0 && !s.silent {
			report := rtcp.SenderReport{SSRC: cameraSSRC, NTPTime: uint64(i) << 32, RTPTime: uint32(i) * cameraClock / 50}
			raw, _ := report.Marshal()
			through := s.rtcp
			if s.muxed {
				through = s.rtp
			}
			_, _ = through.WriteToUDPAddrPort(raw, s.to[1])
		}
	}
}

func (s *udpSender) send(nal string, sequence int, timestamp uint32, last bool) {
	if s.extra != nil {
		s.extra(s.to[0], sequence)
	}
	if s.silent {
		return
	}
	through := s.rtp
	if s.sources > 0 && sequence/s.sources%2 == 1 {
		other, err := s.socket()
		if err != nil {
			return
		}
		defer other.Close()
		through = other
	}
	_, _ = through.WriteToUDPAddrPort(videoPacket(nal, sequence, timestamp, cameraSSRC, last), s.to[0])
}

func videoPacket(nal string, sequence int, timestamp, ssrc uint32, last bool) []byte {
	packet := make([]byte, 12, 12+len(nal))
	packet[0], packet[1] = 0x80, 96
	if last {
		packet[1] |= 0x80
	}
	binary.BigEndian.PutUint16(packet[2:], uint16(sequence))
	binary.BigEndian.PutUint32(packet[4:], timestamp)
	binary.BigEndian.PutUint32(packet[8:], ssrc)
	return append(packet, nal...)
}

// listen reads what the agent sends, until the socket is closed.
func (s *udpSender) listen(conn *net.UDPConn, opened chan struct{}) {
	buffer := make([]byte, 2000)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		packets, err := rtcp.Unmarshal(buffer[:n])
		if err != nil || len(packets) == 1 {
			s.note(func() { s.opened++ })
			select {
			case opened <- struct{}{}:
			default:
			}
			continue
		}
		if report, ok := packets[0].(*rtcp.ReceiverReport); ok {
			s.note(func() { s.udpCamera.reports = append(s.udpCamera.reports, report.Reports...) })
		}
	}
}
