package camera

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/pion/rtcp"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/answer"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// feedbackRounds are those of packets of 44 to 1,412 bytes: the library reads none over TCP that is larger.
var feedbackRounds = []int{1, 2, 8, 16, 77}

// frameOf is an interleaved frame.
func frameOf(channel byte, packet []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{'$', channel}, uint16(len(packet))), packet...)
}

// serveFeedback is a camera over TCP that sends pictures, and before each one packets of RTCP that are hard to read.
func serveFeedback(t *testing.T, pictures int) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { _ = listener.Close(); <-ended })
	go func() {
		defer close(ended)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for line, header := range testtools.Requests(conn) {
			extra, body := "", ""
			switch method, _, _ := strings.Cut(line, " "); method {
			case "DESCRIBE":
				body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track\r\n"
				extra = "Content-Type: application/sdp\r\n"
			case "SETUP":
				extra = "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
			case "PLAY":
				defer func() { _, _ = io.Copy(io.Discard, conn) }() // until the agent hangs up
			}
			_, _ = fmt.Fprintf(conn, "RTSP/1.0 200 OK\r\nCSeq: %s\r\n%sContent-Length: %d\r\n\r\n%s", header.Get("Cseq"), extra, len(body), body)
			if strings.HasPrefix(line, "PLAY") {
				_, _ = conn.Write(picturesWithFeedback(pictures))
				return
			}
		}
	}()
	return "rtsp://" + listener.Addr().String() + "/live"
}

// picturesWithFeedback is what that camera sends.
func picturesWithFeedback(count int) (stream []byte) {
	sequence := 0
	for i := range count {
		picture := pictures[min(i%5, 1)]
		timestamp := uint32(i) * cameraClock / 50
		for j, nal := range picture {
			stream = append(stream, frameOf(0, videoPacket(nal, sequence, timestamp, cameraSSRC, j == len(picture)-1))...)
			sequence++
		}
		if i < len(feedbackRounds) {
			stream = append(stream, frameOf(1, testtools.FeedbackOfManyPackets(feedbackRounds[i]))...)
		}
		report, _ := (&rtcp.SenderReport{SSRC: cameraSSRC, NTPTime: uint64(i+1) << 32, RTPTime: timestamp}).Marshal()
		stream = append(stream, frameOf(1, report)...)
	}
	return stream
}

// TestNoReportTakesMemory has packets of RTCP in which one byte makes the library's parser allocate 190 kB. It runs alone, as it
// measures the process.
func TestNoReportTakesMemory(t *testing.T) {
	const count, most = 30, 32 << 20 // of the latter a session itself takes a part
	for transport, url := range map[string]func() string{
		TransportTCP: func() string { return serveFeedback(t, 2*count) },
		TransportUDP: func() string {
			c := &udpCamera{refusal: refused, accepts: "client_port", answer: withPorts, muxed: true}
			outside, err := c.socket()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = outside.Close() })
			c.extra = func(to netip.AddrPort, sequence int) {
				if sequence < len(feedbackRounds) {
					_, _ = outside.WriteToUDPAddrPort(testtools.FeedbackOfManyPackets(feedbackRounds[sequence]), to)
				}
			}
			return c.serve(t)
		},
	} {
		t.Run(transport, func(t *testing.T) {
			at := url()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			sink, end := playPictures(t, at, transport, count)
			runtime.ReadMemStats(&after)
			if end != nil || sink.pictures > 0 || sink.reports == 0 {
				t.Errorf("it ends with %v, %d pictures missing, %d reports taken", end, sink.pictures, sink.reports)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > most {
				t.Errorf("%d MB are allocated", got>>20)
			}
		})
	}
}

// TestReportsAreTakenBeforeTheLibrary has a tap that takes RTCP on one channel, complete or in parts.
func TestReportsAreTakenBeforeTheLibrary(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{true, false} {
		var got []string
		tap := &tap{}
		tap.opened = true
		tap.plain.Store(plain)
		tap.reports.Store(1, func(packet []byte) { got = append(got, string(packet)) })
		stream := append(frameOf(1, []byte("first")), frameOf(1, []byte("second"))...)
		whole := len(stream) - 1
		left, n := tap.Drain(stream[:whole])
		if len(got) != 1 || n != 0 || len(left) != answer.FrameHeader+len("secon") {
			t.Errorf("%q is taken, %q is left, %d for the library", got, left, n)
		}
		left, n = tap.Drain(append(stream[whole-len(left):], frameOf(3, []byte("other"))...))
		if len(got) != 2 || got[1] != "second" || string(left) != string(frameOf(3, []byte("other"))) || n != len(left) {
			t.Errorf("%q is taken, %q is left, %d for the library", got, left, n)
		}
	}
}
