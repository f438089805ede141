package camera

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// countingSink ends the session after a number of pictures.
type countingSink struct {
	*accessunit.ProbeSink
	stop     func()
	pictures int
	damaged  bool
	foreign  []string
	reports  int
}

func (s *countingSink) CameraTime(time.Time, uint32) { s.reports++ }

func (s *countingSink) AccessUnit([][]byte, uint32, time.Time) {
	if s.pictures--; s.pictures == 0 {
		s.stop()
	}
}

func (s *countingSink) Damaged(_ int64, err error) { s.damaged = s.damaged || err != nil }

func (s *countingSink) Foreign(_ int64, from string, stranger bool) {
	if stranger {
		from += " stranger"
	}
	if !slices.Contains(s.foreign, from) {
		s.foreign = append(s.foreign, from)
	}
}

// playPictures plays a camera until a number of pictures has arrived, in one session or several, and returns the end of the last one
// if the test did not end it.
func playPictures(t *testing.T, url, transport string, pictures int) (*countingSink, *accessunit.SessionEnd) {
	t.Helper()
	source := NewSource(Options{
		URL:       func(context.Context) (secret.String, error) { return secret.New(url), nil },
		Transport: transport, Limits: Limits{Answer: 4 * time.Second, Stall: 2 * time.Second, StallCheck: 100 * time.Millisecond},
	})
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	sink := &countingSink{ProbeSink: accessunit.NewProbeSink(stop), stop: stop, pictures: pictures}
	var end *accessunit.SessionEnd
	for range 4 {
		err := source.Play(ctx, sink)
		if !errors.As(err, &end) {
			return sink, nil
		}
		source.Adapt(end, 0)
	}
	return sink, end
}

const refused = "461 Unsupported Transport"

// asTold answers with the requested transport.
func asTold(transport, _ string) string { return transport }

// withPorts names the camera's ports.
func withPorts(transport, ports string) string { return transport + ";server_port=" + ports }

// groupPort returns a port that nobody uses.
func groupPort(t *testing.T) uint16 {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return uint16(portOf(conn))
}

// TestCamerasOverUDP plays cameras that each send over UDP in one way.
func TestCamerasOverUDP(t *testing.T) {
	t.Parallel()
	group := func(last byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{239, 83, 2, last}), groupPort(t))
	}
	joined := func(g netip.AddrPort, rest string) func(string, string) string {
		return func(string, string) string {
			return "RTP/AVP;multicast;destination=" + g.Addr().String() + ";port=" + udpPorts(g) + rest
		}
	}
	named, answered, described, bySource, filtered := group(1), group(2), group(3), group(4), group(5)
	for name, row := range map[string]struct {
		camera *udpCamera
		query  string
		opened bool // packets opened the way through firewalls
	}{
		"announced ports":       {&udpCamera{answer: withPorts}, "", true},
		"it waits for a packet": {&udpCamera{answer: withPorts, needsRTP: true}, "", true},
		"no ports":              {&udpCamera{answer: asTold}, "", false},
		"ports that are none": {&udpCamera{
			answer: func(asked, _ string) string { return asked + ";server_port=0-1;ssrc=4317f" },
		}, "", false},
		"other ports":  {&udpCamera{answer: func(asked, _ string) string { return asked + ";server_port=9-10" }}, "", false},
		"no answer":    {&udpCamera{answer: func(string, string) string { return "" }}, "", false},
		"another SSRC": {&udpCamera{answer: func(asked, _ string) string { return asked + ";ssrc=12345678" }}, "", false},
		"another address": {&udpCamera{
			address: "127.0.0.5", answer: func(asked, _ string) string { return asked + ";source=127.0.0.5" },
		}, "", false},
		"an address nobody named": {&udpCamera{address: "127.0.0.6", answer: asTold}, "?source=any", false},
		"RTCP at the port of RTP": {&udpCamera{answer: withPorts, muxed: true}, "", true},
		"a port that changes":     {&udpCamera{answer: withPorts, sources: 7}, "", true},
		"a group":                 {&udpCamera{accepts: "multicast", group: named, answer: joined(named, ";ttl=4")}, "", false},
		"a group that it answers": {&udpCamera{group: answered, answer: joined(answered, "")}, "", false},
		"a group that it describes": {&udpCamera{
			accepts: "multicast", group: described, port: int(described.Port()), session: "c=IN IP4 " + described.Addr().String() + "/15\r\n",
			answer: func(string, string) string { return "RTP/AVP;multicast" },
		}, "", false},
		"a group with a source": {&udpCamera{
			accepts: "multicast", group: bySource, address: "127.0.0.7", answer: joined(bySource, ";source=127.0.0.7"),
		}, "", false},
		"a group with a filter": {&udpCamera{
			accepts: "multicast", group: filtered, address: "127.0.0.8", answer: joined(filtered, ""),
			session: "a=source-filter: incl IN IP4 " + filtered.Addr().String() + " 127.0.0.8\r\n",
		}, "", false},
		"the code for TCP is not known to it": {&udpCamera{answer: withPorts, refusal: "500 Internal Server Error"}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := row.camera
			if c.refusal == "" {
				c.refusal = refused
			}
			if c.accepts == "" {
				c.accepts = "client_port"
			}
			sink, end := playPictures(t, c.serve(t)+row.query, TransportAuto, 30)
			if end != nil || sink.pictures > 0 || sink.damaged || len(sink.foreign) > 0 {
				t.Errorf("it ends with %v, %d pictures missing, damaged: %v, foreign: %v", end, sink.pictures, sink.damaged, sink.foreign)
			}
			want := []string{"RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/AVP;unicast;client_port=", "RTP/AVP;multicast"}
			if c.accepts != "multicast" {
				want = want[:2]
			}
			if !slices.EqualFunc(c.transports(), want, strings.HasPrefix) {
				t.Errorf("it was asked for %q", c.transports())
			}
			c.note(func() {
				if c.opened > 0 != row.opened {
					t.Errorf("%d packets open the way", c.opened)
				}
			})
		})
	}
}

func udpPorts(g netip.AddrPort) string {
	rtcp := netip.AddrPortFrom(g.Addr(), g.Port()+1)
	return strings.TrimPrefix(g.String(), g.Addr().String()+":") + "-" + strings.TrimPrefix(rtcp.String(), g.Addr().String()+":")
}

// TestCamerasThatCannotBePlayedOverUDP expects a sentence for each, which depends on the settings.
func TestCamerasThatCannotBePlayedOverUDP(t *testing.T) {
	t.Parallel()
	const setting = "AWS_KVS_EDGE_RTSP_TRANSPORT"
	for name, row := range map[string]struct {
		camera    *udpCamera
		transport string
		want      string
		knows     bool // it names the setting
	}{
		"all are refused": {&udpCamera{accepts: "nothing"}, TransportAuto, "neither over TCP nor over UDP nor to a multicast group", false},
		"TCP is refused":  {&udpCamera{accepts: "client_port", answer: asTold}, TransportTCP, "that was asked for, TCP: set", true},
		"UDP is refused":  {&udpCamera{accepts: "multicast", answer: asTold}, TransportUDP, "that was asked for, UDP: set", true},
		"multicast is refused": {&udpCamera{accepts: "unicast", answer: asTold}, TransportMulticast,
			"that was asked for, UDP multicast: set", true},
		"a group without an address": {&udpCamera{accepts: "multicast", answer: asTold}, TransportMulticast,
			"that was asked for, UDP multicast: set", true},
		"nothing comes": {&udpCamera{accepts: "client_port", answer: withPorts, silent: true}, TransportUDP,
			"no video arrives over UDP: allow it in", true},
		"nothing comes over any": {&udpCamera{answer: withPorts, accepts: "client_port", silent: true}, TransportAuto,
			"keeps the connection open but sends no video: the agent reconnects", false},
		"a group for TCP": {&udpCamera{accepts: "TCP", answer: toGroup}, TransportTCP, "that was asked for, TCP: set", true},
		"UDP for TCP":     {&udpCamera{accepts: "TCP", answer: toPorts}, TransportTCP, "that was asked for, TCP: set", true},
		"a stranger sends": {&udpCamera{accepts: "client_port", address: "127.0.0.9", answer: withPorts}, TransportAuto,
			"comes from 127.0.0.9, an address that the camera did not name, and is left out: if that one is the camera's, add ?source=any", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row.camera.refusal = refused
			_, end := playPictures(t, row.camera.serve(t), row.transport, 1)
			if end == nil || !strings.Contains(end.Fault.Text, row.want) || strings.Contains(end.Fault.Text, setting) != row.knows {
				t.Errorf("it ends with %v after %q", end, row.camera.transports())
			}
		})
	}
}

func toGroup(string, string) string {
	return "RTP/AVP;multicast;destination=239.83.2.99;port=5000-5001"
}

func toPorts(_, ports string) string {
	return "RTP/AVP;unicast;client_port=5000-5001;server_port=" + ports
}

// TestNothingLeavesTheTLSConnection has cameras answer with transports that would bypass it unencrypted.
func TestNothingLeavesTheTLSConnection(t *testing.T) {
	t.Parallel()
	config, pin := pinnedConfig(t)
	for name, row := range map[string]struct {
		answer    func(string, string) string
		transport string
	}{
		"a group": {toGroup, TransportAuto}, "ports": {toPorts, TransportAuto}, "a group for TCP": {toGroup, TransportTCP},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &udpCamera{accepts: "TCP", refusal: refused, answer: row.answer, tls: config}
			_, end := playPictures(t, c.serve(t)+pin, row.transport, 1)
			if end == nil || !strings.Contains(end.Fault.Text, "only outside the TLS connection") {
				t.Errorf("it ends with %v after %q", end, c.transports())
			}
			if asked := c.transports(); slices.ContainsFunc(asked, func(s string) bool { return !strings.Contains(s, "TCP") }) {
				t.Errorf("it was asked for %q", asked)
			}
		})
	}
}

// TestOthersAreCountedAndLeftOut has a stranger send packets like the camera's video, and the camera some that it did not announce.
func TestOthersAreCountedAndLeftOut(t *testing.T) {
	t.Parallel()
	stranger := udpCamera{address: "127.0.0.9"}
	outside, err := stranger.socket()
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	inside, err := new(udpCamera).socket()
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	c := &udpCamera{refusal: refused, accepts: "client_port", answer: withPorts}
	c.extra = func(to netip.AddrPort, sequence int) {
		_, _ = outside.WriteToUDPAddrPort(videoPacket("\x65\x88\x84", sequence, 1, cameraSSRC, true), to)
		if sequence > 0 {
			_, _ = inside.WriteToUDPAddrPort(videoPacket("\x65\x88\x84", sequence, 1, cameraSSRC+1, true), to)
		}
	}
	sink, end := playPictures(t, c.serve(t), TransportUDP, 60)
	if end != nil || sink.damaged {
		t.Errorf("it ends with %v, damaged: %v", end, sink.damaged)
	}
	if !slices.Contains(sink.foreign, "127.0.0.9 stranger") {
		t.Errorf("foreign: %q", sink.foreign)
	}
}

// TestACameraGetsReceiverReports checks the reports that a camera over UDP receives.
func TestACameraGetsReceiverReports(t *testing.T) {
	t.Parallel()
	c := &udpCamera{refusal: refused, accepts: "client_port", answer: asTold}
	if _, end := playPictures(t, c.serve(t), TransportUDP, 320); end != nil { // 6.4 s
		t.Fatal(end)
	}
	c.note(func() {
		if len(c.reports) < 2 {
			t.Fatalf("%d reports came", len(c.reports))
		}
		last := c.reports[len(c.reports)-1]
		want := rtcp.ReceptionReport{SSRC: cameraSSRC, LastSequenceNumber: last.LastSequenceNumber, Jitter: last.Jitter,
			LastSenderReport: last.LastSenderReport, Delay: last.Delay}
		if last != want || last.LastSequenceNumber < 250 || last.Jitter > cameraClock/10 || last.LastSenderReport == 0 ||
			last.LastSenderReport%(10<<16) != 0 || last.Delay > 1<<16 {
			t.Errorf("the last report is %+v", last)
		}
	})
}
