package answer

import (
	"net/netip"
	"strings"
	"testing"
)

// TestSetUps is the table of cameras' answers to SETUP, and their meaning.
func TestSetUps(t *testing.T) {
	t.Parallel()
	const overTCP, overUDP, group = "RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/AVP;unicast;client_port=5000-5001", "RTP/AVP;multicast"
	address := netip.MustParseAddr
	for name, row := range map[string]struct {
		asked, answered string
		want            SetUp
	}{
		"TCP":              {overTCP, overTCP, SetUp{TCP: true}},
		"TCP to nothing":   {overTCP, "", SetUp{TCP: true}},
		"UDP to TCP":       {overTCP, "RTP/AVP;unicast;client_port=0-1;server_port=6000-6001", SetUp{ServerPorts: [2]int{6000, 6001}}},
		"TCP to UDP":       {overUDP, "RTP/AVP/TCP;unicast;interleaved=2-3", SetUp{TCP: true}},
		"channels to UDP":  {overUDP, "RTP/AVP;unicast;interleaved=2-3", SetUp{TCP: true}},
		"nothing to UDP":   {overUDP, "", SetUp{}},
		"no ports":         {overUDP, overUDP, SetUp{}},
		"ports":            {overUDP, overUDP + ";server_port=6000-6001", SetUp{ServerPorts: [2]int{6000, 6001}}},
		"one port":         {overUDP, overUDP + ";server_port=6000", SetUp{ServerPorts: [2]int{6000, 6001}}},
		"ports apart":      {overUDP, overUDP + ";server_port=6000-7001", SetUp{ServerPorts: [2]int{6000, 7001}}},
		"ports of nothing": {overUDP, overUDP + ";server_port=0-1", SetUp{}},
		"the last port":    {overUDP, overUDP + ";server_port=65535", SetUp{}},
		"too high a port":  {overUDP, overUDP + ";server_port=66000-66001", SetUp{}},
		"words for ports":  {overUDP, overUDP + ";server_port=rtp-rtcp", SetUp{}},
		"a source":         {overUDP, overUDP + ";source=192.0.2.5", SetUp{Source: address("192.0.2.5")}},
		"a mapped source":  {overUDP, overUDP + ";source=::ffff:192.0.2.5", SetUp{Source: address("192.0.2.5")}},
		"a source of IPv6": {overUDP, overUDP + ";source=[2001:db8::5]", SetUp{Source: address("2001:db8::5")}},
		"no source":        {overUDP, overUDP + ";source=0.0.0.0", SetUp{}},
		"a source's name":  {overUDP, overUDP + ";source=camera", SetUp{}},
		"an SSRC":          {overUDP, overUDP + ";ssrc=4317f", SetUp{SSRC: 0x4317f, HasSSRC: true}},
		"SRTP":             {"RTP/SAVP;unicast;client_port=5000-5001", "RTP/SAVP;unicast", SetUp{Secure: true}},
		"a group": {group, "RTP/AVP;multicast;destination=239.1.2.3;port=5004-5005;ttl=16",
			SetUp{Multicast: true, Destination: address("239.1.2.3"), Ports: [2]int{5004, 5005}, TTL: 16}},
		"a group's bare address": {group, "RTP/AVP;destination=239.1.2.3;port=5004",
			SetUp{Multicast: true, Destination: address("239.1.2.3"), Ports: [2]int{5004, 5005}}},
		"a group to UDP": {overUDP, "RTP/AVP;multicast;port=5004-5005", SetUp{Multicast: true, Ports: [2]int{5004, 5005}}},
		"a group at a server's": {group, "RTP/AVP;multicast;server_port=5004-5005",
			SetUp{Multicast: true, Ports: [2]int{5004, 5005}, ServerPorts: [2]int{5004, 5005}}},
		"a group of the request":    {group, group, SetUp{Multicast: true}},
		"a destination that is one": {overUDP, overUDP + ";destination=192.0.2.9", SetUp{Destination: address("192.0.2.9")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &Conversation{}
			d.Sent([]byte("SETUP rtsp://192.0.2.1/live RTSP/1.0\r\nCSeq: 3\r\nTransport: " + row.asked + "\r\n\r\n"))
			answered := "RTSP/1.0 200 OK\r\nCSeq: 3\r\nSession: 1\r\n"
			if row.answered != "" {
				answered += "Transport: " + row.answered + "\r\n"
			}
			if d.Repair([]byte(answered+"\r\n")) == nil {
				t.Fatal("the answer is ignored")
			}
			if got := d.SetUp(); got != row.want {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
		})
	}
}

// FuzzSetUp checks that ports and addresses are valid for any answer.
func FuzzSetUp(f *testing.F) {
	f.Add("RTP/AVP;unicast;client_port=5000-5001;server_port=0-1;ssrc=4317f;source=192.0.2.5")
	f.Add("RTP/AVP;multicast;destination=239.1.2.3;port=5004-5005;ttl=16")
	f.Add("rtp/avp/tcp , unicast;interleaved=2")
	f.Fuzz(func(t *testing.T, value string) {
		for _, asked := range []string{"RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/AVP;unicast;client_port=5000-5001", "RTP/AVP;multicast"} {
			header := parseTransport(value)
			header.answering(parseTransport(asked))
			as := header.setUp()
			for _, port := range append(as.Ports[:], as.ServerPorts[:]...) {
				if port < 0 || port > maxPort || port == 1 {
					t.Errorf("port %d of %q", port, value)
				}
			}
			if as.Source.IsValid() && as.Source.IsMulticast() || as.TTL < 0 || as.TTL > 255 {
				t.Errorf("%+v of %q", as, value)
			}
			if strings.ContainsAny(header.String(), "\r\n") {
				t.Errorf("%q of %q", header.String(), value)
			}
		}
	})
}
