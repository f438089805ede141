package answer

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// sessionValue makes the header Session of one or several: an identity, and how long the session lives without a sign of life,
// in seconds.
func sessionValue(values []string) string {
	const mostText, mostTimeout = 512, 120 // what is longer is asked for as often as that
	id, timeout := "", 0
	for _, value := range values {
		for i, part := range strings.Split(value, ";") {
			part = strings.TrimSpace(part)
			name, after, isPair := strings.Cut(part, "=")
			switch {
			case i == 0 && id == "" && part != "":
				id = part
			case isPair && strings.EqualFold(strings.TrimSpace(name), "timeout") && timeout == 0:
				timeout = min(max(number(after), 0), mostTimeout)
			}
		}
	}
	id = printable(id)
	switch {
	case id == "" || len(id) > mostText:
		return ""
	case timeout > 0:
		return id + ";timeout=" + strconv.Itoa(timeout)
	default:
		return id
	}
}

// transport is a header Transport, of a request or an answer.
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
	maxPort    = 65535
	maxChannel = 254 // and the next one for RTCP
)

// parseTransport reads the first transport of a header, in any case, with commas for semicolons and what else there is.
func parseTransport(value string) transport {
	t := transport{channels: [2]int{-1, -1}, ttl: -1, pairs: make(map[string][2]int), addresses: make(map[string]string)}
	last := "" // the name of the ports before
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
		t.profile = "RTP/SAVP"
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

// answering fills in what an answer leaves out of what was asked for.
func (t *transport) answering(asked transport) {
	overUDP := t.pairs["server_port"] != [2]int{} || t.pairs["client_port"] != [2]int{} || t.delivery == "multicast"
	if t.profile == "" {
		t.profile, t.tcp = asked.profile, asked.tcp && !overUDP
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

// String is the header.
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

// source is that of the packets.
func (t *transport) source() string {
	if t.ssrc == "" {
		return ""
	}
	return ";ssrc=" + t.ssrc
}

// Announced is the packet that a camera says it begins a track with (RFC 2326, section 12.33).
type Announced struct {
	URL       string
	Sequence  uint16
	Timestamp uint32
}

// ParseRTPInfo reads a header RTP-Info: what it says of each track with a sequence number and a timestamp.
func ParseRTPInfo(value string) []Announced {
	var list []Announced
	var url, seq, time string
	finish := func() {
		sequence, err1 := strconv.ParseUint(seq, 10, 16)
		timestamp, err2 := strconv.ParseUint(time, 10, 32)
		if err1 == nil && err2 == nil {
			list = append(list, Announced{URL: url, Sequence: uint16(sequence), Timestamp: uint32(timestamp)})
		}
		url, seq, time = "", "", ""
	}
	for _, part := range strings.FieldsFunc(value, func(r rune) bool { return r == ';' || r == ',' }) {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		value = strings.Trim(value, " \t\"")
		switch name = strings.ToLower(strings.TrimSpace(name)); {
		case !ok:
		case name == "url":
			if url != "" || seq != "" {
				finish()
			}
			url = value
		case name == "seq":
			seq = value
		case name == "rtptime":
			time = value
		}
	}
	finish()
	return list
}

// rtpInfoValue makes the header RTP-Info. A strict reader wants a URL, and none that is long.
func rtpInfoValue(value string) string {
	const mostURL, mostTracks = 200, 6
	var list []string
	for _, a := range ParseRTPInfo(value) {
		url := printable(a.URL)
		if len(url) > mostURL {
			url = url[len(url)-mostURL:] // its end tells one track from another
		}
		if len(list) < mostTracks {
			list = append(list, fmt.Sprintf("url=%s;seq=%d;rtptime=%d", strings.ReplaceAll(url, `"`, ""), a.Sequence, a.Timestamp))
		}
	}
	return strings.Join(list, ",")
}

// printable leaves out what may not be in a header: what is no ASCII, and what ends lines.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
}
