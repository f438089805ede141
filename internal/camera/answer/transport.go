package answer

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// transport is a Transport header of a request or an answer.
type transport struct {
	profile   string // "RTP/AVP" or "RTP/SAVP", "" when there is none
	tcp       bool
	delivery  string            // "unicast", "multicast", "" without
	channels  [2]int            // -1 without
	pairs     map[string][2]int // of ports, by name
	addresses map[string]string // by name
	ssrc      string            // hexadecimal digits
	ttl       int               // -1 without
}

const (
	secureProfile = "RTP/SAVP" // SRTP

	maxPort    = 65535
	maxChannel = 254 // and the next one for RTCP
)

// parseTransport reads the first transport of a header, in any case, with commas or semicolons; unknown parts are ignored.
func parseTransport(value string) transport {
	t := transport{channels: [2]int{-1, -1}, ttl: -1, pairs: make(map[string][2]int), addresses: make(map[string]string)}
	last := "" // the name of the previous ports
	for _, part := range strings.FieldsFunc(value, func(r rune) bool { return r == ';' || r == ',' }) {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.Trim(value, " \t\"")
		switch {
		case strings.Contains(name, "/"):
			if t.profile != "" {
				return t
			}
			t.setProfile(name)
		case name == "unicast" || name == "multicast":
			t.delivery = name
		case name == "interleaved":
			t.setChannels(value)
		case name == "port" || name == "client_port" || name == "server_port":
			t.setPorts(name, value)
			last = name
		case number(name) > 0 && last != "": // the second of two
			if pair, ok := t.pairs[last]; ok && number(name) <= maxPort {
				t.pairs[last] = [2]int{pair[0], number(name)}
			}
		case name == "source" || name == "destination":
			if ip, err := netip.ParseAddr(strings.Trim(value, "[]")); err == nil && ip.Zone() == "" {
				t.addresses[name] = ip.String()
			}
		case name == "ssrc":
			t.setSSRC(value)
		case name == "ttl":
			t.ttl = min(number(value), 255)
		}
	}
	return t
}

func (t *transport) setProfile(name string) {
	t.profile = "RTP/AVP"
	if strings.Contains(name, "savp") {
		t.profile = secureProfile
	}
	t.tcp = strings.HasSuffix(name, "/tcp")
}

func (t *transport) setChannels(value string) {
	if n := number(value); n >= 0 && n <= maxChannel {
		t.channels = [2]int{n, n + 1}
	}
}

func (t *transport) setPorts(name, value string) {
	first, second, two := strings.Cut(value, "-")
	from, to := number(first), number(second)
	if !two || to < 0 {
		to = from + 1
	}
	if from >= 0 && from <= maxPort && to <= maxPort {
		t.pairs[name] = [2]int{from, to}
	}
}

func (t *transport) setSSRC(value string) {
	value = strings.ToUpper(strings.TrimPrefix(strings.ToLower(value), "0x"))
	if _, err := strconv.ParseUint(value, 16, 32); err == nil {
		t.ssrc = value
	}
}

// answering adds what an answer leaves out of the requested transport.
func (t *transport) answering(asked transport) {
	overUDP := t.pairs["server_port"] != [2]int{} || t.pairs["client_port"] != [2]int{} || t.delivery == "multicast"
	if t.profile == "" {
		t.profile, t.tcp = asked.profile, asked.tcp && !overUDP
	}
	if t.channels[0] >= 0 && !overUDP { // a camera that does not accept UDP, without saying so
		t.tcp = true
	}
	if asked.tcp && !overUDP {
		t.tcp = true
	}
	if t.profile == "" {
		t.profile = "RTP/AVP"
	}
	if t.tcp && t.channels[0] < 0 {
		t.channels = asked.channels
	}
}

// String returns the header.
func (t *transport) String() string {
	if t.tcp {
		value := t.profile + "/TCP;unicast"
		if t.channels[0] >= 0 {
			value += fmt.Sprintf(";interleaved=%d-%d", t.channels[0], t.channels[1])
		}
		return value + t.source()
	}
	value := t.profile
	if t.delivery != "" {
		value += ";" + t.delivery
	}
	for _, name := range []string{"destination", "source"} {
		if address := t.addresses[name]; address != "" {
			value += ";" + name + "=" + address
		}
	}
	for _, name := range []string{"port", "client_port", "server_port"} {
		if pair, ok := t.pairs[name]; ok {
			value += fmt.Sprintf(";%s=%d-%d", name, pair[0], pair[1])
		}
	}
	if t.ttl >= 0 {
		value += fmt.Sprintf(";ttl=%d", t.ttl)
	}
	return value + t.source()
}

// source returns the source address of the packets.
func (t *transport) source() string {
	if t.ssrc == "" {
		return ""
	}
	return ";ssrc=" + t.ssrc
}

// SetUp is how a camera says that it sends a track.
type SetUp struct {
	TCP         bool // over the RTSP connection
	Secure      bool // SRTP
	Multicast   bool
	Destination netip.Addr // the multicast group; invalid if there is none
	Source      netip.Addr // source of the packets; invalid if it is not given
	Ports       [2]int     // of RTP and RTCP: of the group, 0 without
	ServerPorts [2]int     // the camera's; 0 without
	TTL         int        // of the group; 0 without
	SSRC        uint32     // of the packets
	HasSSRC     bool
}

// lowestPort is the lowest valid port of a camera: some write "0-1" while they do not know theirs yet.
const lowestPort = 2

// setUp returns the meaning of the header. The ports of a group may be under other names.
func (t *transport) setUp() SetUp {
	s := SetUp{TCP: t.tcp, Secure: t.profile == secureProfile, Multicast: t.delivery == "multicast", TTL: max(t.ttl, 0)}
	s.Destination, s.Source = t.address("destination"), t.address("source")
	s.Multicast = s.Multicast || t.delivery == "" && s.Destination.IsMulticast()
	if s.Source.IsMulticast() || s.Source.IsUnspecified() {
		s.Source = netip.Addr{}
	}
	if ports := t.pairs["server_port"]; ports[0] >= lowestPort {
		s.ServerPorts = ports
	}
	for _, name := range []string{"port", "server_port", "client_port"} {
		if ports := t.pairs[name]; ports[0] >= lowestPort && s.Ports == [2]int{} && s.Multicast {
			s.Ports = ports
		}
	}
	if n, err := strconv.ParseUint(t.ssrc, 16, 32); err == nil {
		s.SSRC, s.HasSSRC = uint32(n), true
	}
	return s
}

func (t *transport) address(name string) netip.Addr {
	address, _ := netip.ParseAddr(t.addresses[name]) // invalid, if it is not an address
	return address.Unmap()
}
