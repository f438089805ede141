package udp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// space is the requested size of a socket's receive buffer, in bytes: the default of 208 KiB holds about 90 packets, fewer
	// than one keyframe can have. The system grants at most net.core.rmem_max.
	space = 4 << 20
	// maxTries is how many pairs of ports are tried until one is free.
	maxTries = 100
	// firstPort is the lowest port that is used, and ports how many pairs there are from it on.
	firstPort, ports = 10_000, (65_536 - firstPort) / 2
	// usualTTL is the time to live of reports to a group if the camera states none. Source: GStreamer's rtspsrc.
	usualTTL = 16
)

// Sockets are the sockets of a track: an even port for RTP and the next one for RTCP (RFC 3550, section 11).
type Sockets struct{ rtp, rtcp *net.UDPConn }

// Listen opens two sockets for packets to this machine's own address, local towards the camera: over IPv6 they do without
// IPv4, which a machine may lack.
func Listen(local netip.Addr) (*Sockets, error) {
	network := "udp"
	if local.Is6() && !local.Is4In6() {
		network = "udp6"
	}
	var failed error
	for range maxTries {
		port := firstPort + 2*rand.IntN(ports)
		s, err := listen(network, port)
		if err == nil {
			return s, nil
		}
		failed = err
		if !errors.Is(err, unix.EADDRINUSE) && !errors.Is(err, unix.EACCES) {
			break
		}
	}
	return nil, fmt.Errorf("no two UDP ports for the camera's packets: %w", failed)
}

func listen(network string, port int) (*Sockets, error) {
	rtp, err := net.ListenUDP(network, &net.UDPAddr{Port: port})
	if err != nil {
		return nil, err
	}
	rtcp, err := net.ListenUDP(network, &net.UDPAddr{Port: port + 1})
	if err != nil {
		_ = rtp.Close()
		return nil, err
	}
	return (&Sockets{rtp, rtcp}).roomy(), nil
}

// roomy enlarges the receive buffer.
func (s *Sockets) roomy() *Sockets {
	_ = s.rtp.SetReadBuffer(space) // a smaller one is sufficient most of the time
	return s
}

// Ports returns the ports that the camera is to send to.
func (s *Sockets) Ports() (rtp, rtcp int) {
	port := s.rtp.LocalAddr().(*net.UDPAddr).Port
	return port, s.rtcp.LocalAddr().(*net.UDPAddr).Port
}

// Close closes both sockets.
func (s *Sockets) Close() {
	_ = s.rtp.Close()
	_ = s.rtcp.Close()
}

// Group is a multicast group to which a camera sends.
type Group struct {
	Address netip.Addr
	Ports   [2]int     // of RTP and RTCP
	TTL     int        // of packets sent to it; 0: the default
	Local   netip.Addr // this machine's, towards the camera: the group is joined there
	Source  netip.Addr // the wanted sender, for groups that require one (RFC 4607)
}

// Join opens two sockets for packets to a group. Several may join the same one.
func Join(g Group) (*Sockets, error) {
	rtp, err := g.open(g.Ports[0])
	if err != nil {
		return nil, fmt.Errorf("the multicast group %v cannot be joined: %w", g.Address, err)
	}
	rtcp, err := g.open(g.Ports[1])
	if err != nil {
		_ = rtp.Close()
		return nil, fmt.Errorf("the multicast group %v cannot be joined: %w", g.Address, err)
	}
	return (&Sockets{rtp, rtcp}).roomy(), nil
}

// open opens a socket that receives only packets to a port of the group: it is bound to the group's address.
func (g Group) open(port int) (*net.UDPConn, error) {
	family, to := unix.AF_INET, unix.Sockaddr(nil)
	if g.Address.Is4() {
		to = &unix.SockaddrInet4{Port: port, Addr: g.Address.As4()}
	} else {
		family = unix.AF_INET6
		to = &unix.SockaddrInet6{Port: port, Addr: g.Address.As16(), ZoneId: uint32(g.device())}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err == nil {
		err = unix.Bind(fd, to)
	}
	if err == nil {
		err = g.join(fd)
	}
	file := os.NewFile(uintptr(fd), "multicast")
	defer file.Close() // the connection has a descriptor of its own
	if err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	conn, err := net.FilePacketConn(file)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

// join joins the group on the interface towards the camera. The interface is found by this machine's own address there:
// listing interfaces would need a netlink socket, which the service may not open.
func (g Group) join(fd int) error {
	ttl := g.TTL
	if ttl <= 0 {
		ttl = usualTTL
	}
	if g.Address.Is4() {
		return errors.Join(
			g.join4(fd),
			unix.SetsockoptInet4Addr(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, g.local4()),
			unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, ttl),
		)
	}
	device := g.device()
	request := &unix.IPv6Mreq{Multiaddr: g.Address.As16(), Interface: uint32(device)}
	return errors.Join(
		unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, request),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, device),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, ttl),
	)
}

// sourceSpecific are the groups for which each source has to be requested (RFC 4607, section 1).
var sourceSpecific = netip.MustParsePrefix("232.0.0.0/8")

func (g Group) join4(fd int) error {
	group, local := g.Address.As4(), g.local4()
	if !sourceSpecific.Contains(g.Address) || !g.Source.Unmap().Is4() {
		return unix.SetsockoptIPMreq(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreq{Multiaddr: group, Interface: local})
	}
	source := g.Source.Unmap().As4() // struct ip_mreq_source of ip(7)
	request := string(group[:]) + string(local[:]) + string(source[:])
	return unix.SetsockoptString(fd, unix.IPPROTO_IP, unix.IP_ADD_SOURCE_MEMBERSHIP, request)
}

// local4 is this machine's address towards the camera, 0.0.0.0 if that is not IPv4: then the system chooses.
func (g Group) local4() (address [4]byte) {
	if local := g.Local.Unmap(); local.Is4() {
		address = local.As4()
	}
	return address
}

// device returns the index of the interface with this machine's address, 0 for the system's choice.
func (g Group) device() int {
	content, err := os.ReadFile("/proc/net/if_inet6")
	if err != nil {
		return 0
	}
	want := fmt.Sprintf("%x", g.Local.WithZone("").As16())
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == want {
			number, _ := strconv.ParseInt(fields[1], 16, 32)
			return int(number)
		}
	}
	return 0
}
