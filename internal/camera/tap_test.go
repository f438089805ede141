package camera

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/answer"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/conn"
)

// chunked is a connection that delivers a stream in chunks.
type chunked struct {
	net.Conn
	list [][]byte
}

func (p *chunked) Read(b []byte) (int, error) {
	if len(p.list) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.list[0])
	if p.list[0] = p.list[0][n:]; len(p.list[0]) == 0 {
		p.list = p.list[1:]
	}
	return n, nil
}

func (p *chunked) SetReadDeadline(time.Time) error { return nil }

// tapped reads a stream through a tap on channel 0, and returns what the tap took and what it left.
func tapped(t *testing.T, stream ...[]byte) (taken []string, left string) {
	t.Helper()
	tap := &tap{now: time.Now, repair: func(message []byte) []byte { return bytes.Clone(message) }}
	tap.follow(0, &rtp.Packet{Header: rtp.Header{SSRC: 7, PayloadType: 96}}, func(p *rtp.Packet, _ time.Time) {
		taken = append(taken, string(p.Payload))
	})
	tap.flows[0].due = time.Now().Add(time.Hour)
	tapped := &conn.Conn{Conn: &chunked{list: stream}, Playing: new(atomic.Bool), Answer: time.Minute,
		Tap: tap, Came: func(int) error { return nil }}
	rest, err := io.ReadAll(tapped)
	if err != nil {
		t.Fatal(err)
	}
	return taken, string(rest)
}

// rtpFrame is an interleaved frame with an RTP packet.
func rtpFrame(channel, payloadType byte, ssrc uint32, payload string) string {
	b := []byte{'$', channel, 0, 0, 0x80, payloadType, 0, 1, 0, 0, 0, 2}
	b = append(binary.BigEndian.AppendUint32(b, ssrc), payload...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-answer.FrameHeader))
	return string(b)
}

func TestTheTapTakesItsPacketsAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	frame := func(payload string) string { return rtpFrame(0, 96, 7, payload) }
	const (
		response = "RTSP/1.0 200 OK\r\nCSeq: 7\r\n\r\n"
		body     = "RTSP/1.0 200 OK\r\nCSeq: 7\r\ncontent-length:  9\r\n\r\n$\x00\x00\x01a\r\n\r\n"
		request  = "OPTIONS rtsp://camera/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"
		reports  = "$\x01\x00\x04abcd"
		unknown  = "$\x2a\x00\x06abcd$\x00"
	)
	large := fmt.Sprintf("RTSP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n", 2*conn.BufferSize) + strings.Repeat("$", 2*conn.BufferSize)
	endless := "RTSP/1.0 200 OK\r\n" + strings.Repeat("a: b\r\n", answer.MaxHead/6)
	huge := "$\x00\xff\xff" + strings.Repeat("a", math.MaxUint16)
	for name, c := range map[string]struct {
		stream string
		taken  []string
		left   string
	}{
		"packets":                           {frame("a") + frame("bc"), []string{"a", "bc"}, ""},
		"no payload":                        {frame("") + frame("a"), []string{"", "a"}, ""},
		"no packet":                         {"$\x00\x00\x00" + frame("a"), []string{"a"}, "$\x00\x00\x00"},
		"half a header":                     {"$\x00\x00\x04\x80\x60\x00\x00" + frame("a"), []string{"a"}, "$\x00\x00\x04\x80\x60\x00\x00"},
		"reports":                           {frame("a") + reports + frame("b"), []string{"a", "b"}, reports},
		"a channel nobody asked for":        {frame("a") + unknown + frame("b"), []string{"a", "b"}, unknown},
		"another source":                    {rtpFrame(0, 96, 8, "x") + frame("a"), []string{"a"}, rtpFrame(0, 96, 8, "x")},
		"another format":                    {rtpFrame(0, 97, 7, "x") + frame("a"), []string{"a"}, rtpFrame(0, 97, 7, "x")},
		"a response":                        {frame("a") + response + frame("b"), []string{"a", "b"}, response},
		"a response with a body":            {frame("a") + body + frame("b"), []string{"a", "b"}, body},
		"a request":                         {request + frame("a"), []string{"a"}, request},
		"a response larger than the buffer": {large + frame("a"), []string{"a"}, large},
		"text":                              {frame("a") + "\x00temp=21 RTSP\r\n\r\n" + frame("b"), []string{"a", "b"}, ""},
		"a message without an end":          {endless + frame("a"), []string{"a"}, ""},
		"larger than the buffer":            {frame("a") + huge + frame("b"), []string{"a", "b"}, huge},
		"an end within a packet":            {frame("a") + frame("bc")[:9], []string{"a"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check := func(stream ...[]byte) {
				t.Helper()
				if taken, left := tapped(t, stream...); !slices.Equal(taken, c.taken) || left != c.left {
					t.Fatalf("in %d chunks, the first of %d bytes: %q is taken, %.100q is left", len(stream), len(stream[0]), taken, left)
				}
			}
			whole := []byte(c.stream)
			check(whole)
			check(bytewise(whole)...)
			for at := 1; at < min(len(whole), 200); at++ {
				check(whole[:at], whole[at:])
			}
		})
	}
}

// bytewise cuts a stream into its bytes: of a long one those around the ends and around what fills the buffer, where messages
// and frames begin and the buffer makes room. What lies between comes in larger chunks.
func bytewise(stream []byte) (list [][]byte) {
	const around, between = 1000, 997
	for at := 0; at < len(stream); {
		edge := (at + around) / conn.BufferSize * conn.BufferSize // the last one that is near or behind
		size := 1
		if at > edge+around && at < len(stream)-around {
			size = min(between, edge+conn.BufferSize-around-at, len(stream)-around-at)
		}
		list = append(list, stream[at:at+size])
		at += size
	}
	return list
}

// TestAllPacketsOfAChannel has a tap follow all packets of a channel.
func TestAllPacketsOfAChannel(t *testing.T) {
	t.Parallel()
	var taken []string
	tap := &tap{now: time.Now, repair: func(message []byte) []byte { return message }}
	tap.followAll(0, &rtp.Packet{Header: rtp.Header{SSRC: 7, PayloadType: 96}}, func(p *rtp.Packet, _ time.Time) {
		taken = append(taken, fmt.Sprintf("%d %d %s", p.SSRC, p.PayloadType, p.Payload))
	})
	stream := rtpFrame(0, 96, 7, "a") + rtpFrame(0, 50, 7, "b") + rtpFrame(0, 96, 8, "c")
	if left, n := tap.Drain([]byte(stream)); len(left) != 0 || n != 0 {
		t.Errorf("%q is left", left)
	}
	if want := []string{"7 96 a", "7 50 b", "8 96 c"}; !slices.Equal(taken, want) {
		t.Errorf("%q, want %q", taken, want)
	}
}

// TestExtensionsAreCutOut is the table of header extensions, including those that no reader accepts.
func TestExtensionsAreCutOut(t *testing.T) {
	t.Parallel()
	const plain = "\x80\x60\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03"
	extended := func(b0 byte, rest string) string { return string([]byte{b0}) + plain[1:] + rest }
	for name, c := range map[string]struct{ packet, want string }{
		"none":                       {plain + "payload", plain + "payload"},
		"empty":                      {extended(0x90, "\xbe\xde\x00\x00payload"), plain + "payload"},
		"elements that are too long": {extended(0x90, "\xbe\xde\x00\x01\x6fabcpayload"), plain + "payload"},
		"behind sources":             {extended(0x91, "SSRC\x10\x00\x00\x01abcdpayload"), extended(0x81, "SSRCpayload")},
		"longer than the packet":     {extended(0x90, "\xbe\xde\x00\x09abc"), extended(0x90, "\xbe\xde\x00\x09abc")},
		"no room for its length":     {extended(0x90, "\xbe"), extended(0x90, "\xbe")},
		"RTCP":                       {"\x90\xc8" + plain[2:] + "\xbe\xde\x00\x00", "\x90\xc8" + plain[2:] + "\xbe\xde\x00\x00"},
		"too short":                  {"\x90", "\x90"},
	} {
		packet := []byte(c.packet)
		if got := string(packet[cutExtension(packet):]); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestTheLibraryGetsAPacketNowAndThen(t *testing.T) {
	t.Parallel()
	tap := &tap{now: time.Now}
	count := 0
	give := func(*rtp.Packet, time.Time) { count++ }
	like := &rtp.Packet{Header: rtp.Header{SSRC: 7, PayloadType: 96}}
	stream := []byte(rtpFrame(0, 96, 7, "a"))
	if _, n := tap.Drain(stream); n != len(stream) {
		t.Errorf("the first packet is not the library's")
	}
	tap.follow(0, like, give)
	if _, n := tap.Drain(stream); n != 0 || count != 1 {
		t.Errorf("the second packet is not taken")
	}
	tap.flows[0].due = time.Now()
	if _, n := tap.Drain(stream); n != len(stream) || count != 1 {
		t.Errorf("the packet that is due is not the library's")
	}
	tap.follow(0, like, give)
	if _, n := tap.Drain(stream); n != 0 || count != 2 || len(tap.flows) != 1 {
		t.Errorf("the packet after it is not taken")
	}
}

// descriptive matches text that looks like a line of a description.
var descriptive = regexp.MustCompile(`(?i)[vosm]\s*=|sdp`)

// FuzzTap checks that it makes no difference how a stream is cut into chunks, and that no byte is
// invented.
func FuzzTap(f *testing.F) {
	f.Add([]byte(rtpFrame(0, 96, 7, "abc")+"RTSP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc$\x01\x00\x01a"), uint16(5))
	f.Add([]byte("\x00\x01temp=21\r\n\r\n$\x2a\x00\x04abcd"+rtpFrame(0, 96, 7, "")), uint16(1))
	f.Add([]byte("GET_PARAMETER rtsp://a RTSP/1.0\r\n\r\nSET_P$\x00"), uint16(20))
	f.Add([]byte("$\x00\x00\x20\xb1\x60\x00\x01\x00\x00\x00\x02\x00\x00\x00\x07csrc\xbe\xde\x00\x01\x11ab\x00payload\x01"), uint16(9))
	f.Fuzz(func(t *testing.T, stream []byte, size uint16) {
		if len(stream) == 0 || descriptive.Match(stream) { // the length of a description depends on what has arrived
			return
		}
		taken, left := tapped(t, stream)
		parts, rest := tapped(t, slices.Collect(slices.Chunk(stream, int(size)+1))...)
		if !slices.Equal(taken, parts) || !strings.HasPrefix(left, rest) && !strings.HasPrefix(rest, left) {
			t.Errorf("in chunks of %d bytes: %q and %q, else %q and %q", int(size)+1, parts, rest, taken, left)
		}
		for _, payload := range taken {
			if !bytes.Contains(stream, []byte(payload)) {
				t.Errorf("%q is invented", payload)
			}
		}
		if len(left) > len(stream) {
			t.Errorf("%d bytes are left of %d", len(left), len(stream))
		}
	})
}
