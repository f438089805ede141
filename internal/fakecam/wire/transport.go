package wire

import (
	"fmt"
	"maps"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/script"
)

// transport is the transport of a track's packets.
type transport struct {
	tcp       bool
	channel   int            // of RTP; that of RTCP is the next
	rtp, rtcp net.PacketConn // the source of packets
	announced int            // port of RTP
	client    net.IP
	port      int // the client's, of RTP
	group     net.IP
	header    string // the answer of a camera without oddities
	frame     []byte
}

// tracks are the tracks of a connection.
type tracks struct {
	described []section
	asked     int // number of SETUPs that were agreed to
	types     map[Track]uint8

	mu   sync.Mutex
	ways map[Track]*transport
	rank map[Track]int
	open []net.PacketConn
}

var (
	interleavedField = regexp.MustCompile(`(?i)interleaved\s*=\s*(\d+)`)
	clientPortField  = regexp.MustCompile(`(?i)client_port\s*=\s*(\d+)`)
)

// ask prepares the transport that a SETUP requests.
func (t *tracks) ask(c *conn, header string) transport {
	var way transport
	lower := strings.ToLower(header)
	way.client = addressOf(c.socket.RemoteAddr())
	switch {
	case strings.Contains(lower, "tcp"):
		way.tcp, way.header = true, header
		way.channel = field(interleavedField, header, 2*t.asked)
		return way
	case strings.Contains(lower, "multicast"):
		way.group = net.IPv4(239, 255, 0, 0)
	}
	way.port = field(clientPortField, header, 0)
	if c.sockets(&way) != nil {
		return way // without sockets nothing is sent, which the client will notice
	}
	own := way.announced
	way.header = fmt.Sprintf("%s;server_port=%d-%d", header, own, own+1)
	if way.group != nil {
		way.group[14], way.group[15] = byte(own>>8), byte(own) // no other camera has this group
		way.port = own
		sendGroupsFrom(way.rtp, c.socket.LocalAddr())
		sendGroupsFrom(way.rtcp, c.socket.LocalAddr())
		way.header = fmt.Sprintf("RTP/AVP;multicast;destination=%s;port=%d-%d;ttl=1", way.group, own, own+1)
		way.client = way.group
	}
	return way
}

// values returns the values of placeholders.
func (w transport) values() map[string]string {
	return map[string]string{"transport": w.header, "client-port": strconv.Itoa(w.port), "server-port": strconv.Itoa(w.announced)}
}

// set stores the transport that was agreed to for the track of a URL, as far as the answer confirms it.
func (t *tracks) set(url string, way transport, answered string) {
	if n := field(interleavedField, answered, way.channel); n < 255 {
		way.channel = n
	}
	lower := strings.ToLower(answered)
	if strings.Contains(lower, "client_port") && !strings.Contains(lower, "tcp") && !strings.Contains(lower, "interleaved") {
		way.tcp = false
	}
	track, rank, payloadType := whose(t.described, url, t.asked)
	t.asked++
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ways == nil {
		t.ways, t.rank, t.types = make(map[Track]*transport), make(map[Track]int), make(map[Track]uint8)
	}
	if t.ways[track] == nil || rank > t.rank[track] {
		t.ways[track], t.rank[track] = &way, rank
		if payloadType >= 0 {
			t.types[track] = uint8(payloadType)
		}
	}
}

// payloadTypes returns the announced payload types of the tracks that are set up.
func (t *tracks) payloadTypes() map[Track]uint8 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.types)
}

// way returns the transport of a track, nil when it was not set up.
func (t *tracks) way(track Track) *transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ways[track]
}

// close frees the ports.
func (t *tracks) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, socket := range t.open {
		_ = socket.Close()
	}
}

func (t *tracks) opened(sockets ...net.PacketConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open = append(t.open, sockets...)
}

// send sends a packet.
func (w *transport) send(c *conn, rtcp bool, packet []byte) error {
	add, socket := 0, w.rtp
	if rtcp {
		add, socket = 1, w.rtcp
	}
	if w.tcp {
		w.frame = append(w.frame[:0], frameMark, byte(w.channel+add), byte(len(packet)>>8), byte(len(packet)))
		w.frame = append(w.frame, packet...)
		return c.put(w.frame)
	}
	if socket != nil {
		// A datagram that nobody receives is lost, as in any network.
		_, _ = socket.WriteTo(packet, &net.UDPAddr{IP: w.client, Port: w.port + add})
	}
	return nil
}

// sockets opens the sockets of a track.
func (c *conn) sockets(way *transport) (err error) {
	from := addressOf(c.socket.LocalAddr())
	source := c.server.camera.File.Source
	if ip := net.ParseIP(source); ip != nil {
		from = ip
	}
	if way.rtp, way.rtcp, err = c.pair(from); err != nil {
		return err
	}
	way.announced = portOf(way.rtp)
	if source == script.AnotherPort {
		way.rtp, way.rtcp, err = c.pair(from)
	}
	return err
}

// pair opens two sockets for as long as the connection lasts, and listens to the client's reports.
func (c *conn) pair(from net.IP) (rtp, rtcp net.PacketConn, err error) {
	if rtp, rtcp, err = ListenUDPPair(from); err != nil {
		return nil, nil, err
	}
	c.tracks.opened(rtp, rtcp)
	for _, socket := range []net.PacketConn{rtp, rtcp} { // clients open their firewalls with packets to both
		c.server.running.Go(func() { c.listen(socket) })
	}
	return rtp, rtcp, nil
}

// listen notes the reports of a client until the socket is closed.
func (c *conn) listen(socket net.PacketConn) {
	for b := make([]byte, 2048); ; {
		n, _, err := socket.ReadFrom(b)
		if err != nil {
			return
		}
		if n > 1 && b[1] == 201 { // a receiver report (RFC 3550, section 6.4.2)
			c.note(script.Reports)
		}
	}
}

// field returns the number that a pattern finds in a header.
func field(pattern *regexp.Regexp, header string, otherwise int) int {
	if m := pattern.FindStringSubmatch(header); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			return n
		}
	}
	return otherwise
}

func addressOf(a net.Addr) net.IP {
	host, _, _ := net.SplitHostPort(a.String())
	return net.ParseIP(host)
}

func portOf(socket net.PacketConn) int { return socket.LocalAddr().(*net.UDPAddr).Port }

// sendGroupsFrom sends a socket's multicast packets over the interface of an address.
func sendGroupsFrom(socket net.PacketConn, address net.Addr) {
	ip := addressOf(address).To4()
	raw, err := socket.(*net.UDPConn).SyscallConn()
	if err != nil || ip == nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInet4Addr(int(fd), syscall.IPPROTO_IP, syscall.IP_MULTICAST_IF, [4]byte(ip))
	})
}

// ListenUDPPair opens an even port and the odd one after it, as RTP and RTCP require.
func ListenUDPPair(ip net.IP) (rtpConn, rtcpConn net.PacketConn, err error) {
	for range 100 {
		first, err := net.ListenPacket("udp", net.JoinHostPort(ip.String(), "0"))
		if err != nil {
			return nil, nil, fmt.Errorf("the camera gets no UDP port: %w", err)
		}
		port := first.LocalAddr().(*net.UDPAddr).Port
		second, err := net.ListenPacket("udp", net.JoinHostPort(ip.String(), strconv.Itoa(port^1)))
		if err != nil {
			_ = first.Close()
			continue
		}
		if port%2 == 1 {
			first, second = second, first
		}
		return first, second, nil
	}
	return nil, nil, fmt.Errorf("the camera gets no pair of UDP ports on %v", ip)
}
