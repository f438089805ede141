package localcloud

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// awsProducer is a client that does on the wire what AWS's C producer does (producer-c 1.6.0,
// PIC 1.2.0): it signs its transfer-encoding and its connection, waits for 100 before the body,
// and takes one acknowledgement of each HTTP chunk.
type awsProducer struct {
	t    *testing.T
	conn io.Writer
	in   *bufio.Reader
}

// connectAWSProducer sends the head of a PutMedia request, and reads the answer's up to its body.
func connectAWSProducer(t *testing.T, c *Cloud, stream, timecodes string, start time.Time) *awsProducer {
	t.Helper()
	conn, in := dialRaw(t, c)
	key := c.keys.Issue(hub, time.Now())
	host, _, _ := strings.Cut(c.local(c.ports.API), ":")
	q := rawRequest{
		path: "/putMedia", payload: emptyPayload, key: key,
		// In the order of their names, as the producer keeps them; libcurl adds Accept and Expect.
		lines: []header{
			{"Accept", "*/*"}, {"connection", "keep-alive"}, {"content-type", "application/json"}, {"Expect", "100-continue"},
			{"host", host}, {"transfer-encoding", "chunked"}, {"user-agent", "AWS-SDK-KVS/1.6.0/1.2.0 GCC/13.2.0 Linux/6.8 x86_64"},
			{"x-amz-date", time.Now().UTC().Format(signedLayout)}, {"x-amz-security-token", key.Token},
			{"x-amzn-fragment-acknowledgment-required", "1"}, {"x-amzn-fragment-timecode-type", timecodes},
			{"x-amzn-producer-start-timestamp", fmt.Sprintf("%d.%d", start.Unix(), start.UnixMilli()%1000)}, // without leading zeros, as it is
			{"x-amzn-stream-name", stream},
		},
		signed: []string{
			"connection", "host", "transfer-encoding", "user-agent", "x-amz-date", "x-amzn-fragment-acknowledgment-required",
			"x-amzn-fragment-timecode-type", "x-amzn-producer-start-timestamp", "x-amzn-stream-name",
		},
	}
	if timecodes == "ABSOLUTE" { // the guide's list has the token among the signed headers, the producer adds it after signing
		q.signed = append(q.signed, "x-amz-security-token")
	}
	p := &awsProducer{t: t, conn: conn, in: in}
	p.write([]byte(q.head()))
	p.status("HTTP/1.1 100 Continue")
	p.status("HTTP/1.1 200 OK")
	return p
}

func (p *awsProducer) write(b []byte) {
	p.t.Helper()
	_, err := p.conn.Write(b)
	must(p.t, err)
}

// status reads the head of an answer.
func (p *awsProducer) status(want string) {
	p.t.Helper()
	for first := true; ; first = false {
		line, err := p.in.ReadString('\n')
		must(p.t, err)
		line = strings.TrimSpace(line)
		if first && line != want {
			p.t.Fatalf("answered %q, want %q", line, want)
		}
		if line == "" {
			return
		}
	}
}

// send writes one HTTP chunk of the body.
func (p *awsProducer) send(b []byte) { p.write(fmt.Appendf(nil, "%x\r\n%s\r\n", len(b), b)) }

// end ends the body.
func (p *awsProducer) end() { p.write([]byte("0\r\n\r\n")) }

// ack takes the first acknowledgement of the next chunk; the rest of the chunk is lost. An empty
// one is the end of the answer.
func (p *awsProducer) ack() string {
	p.t.Helper()
	line, err := p.in.ReadString('\n')
	must(p.t, err)
	size, err := strconv.ParseInt(strings.TrimSpace(line), 16, 32)
	must(p.t, err)
	chunk := make([]byte, size+2)
	_, err = io.ReadFull(p.in, chunk)
	must(p.t, err)
	if size == 0 {
		return ""
	}
	var a struct {
		EventType        string
		FragmentTimecode int64
		ErrorCode        string
	}
	must(p.t, json.NewDecoder(bytes.NewReader(chunk)).Decode(&a))
	return strings.TrimSpace(fmt.Sprintf("%s %d %s", a.EventType, a.FragmentTimecode, a.ErrorCode))
}

// expect takes acknowledgements in that order, without IDLE.
func (p *awsProducer) expect(want ...string) {
	p.t.Helper()
	for _, w := range want {
		got := p.ack()
		for strings.HasPrefix(got, "IDLE") {
			got = p.ack()
		}
		if got != w {
			p.t.Fatalf("acknowledgement %q, want %q", got, w)
		}
	}
}

// ebml writes an element with a size of eight bytes; nil is a size that is not known.
func ebml(id string, body []byte) []byte {
	if body == nil {
		return []byte(id + "\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF")
	}
	return append(binary.BigEndian.AppendUint64([]byte(id), 1<<56|uint64(len(body))), body...)
}

// producerHead is what AWS's producer sends before its first Cluster.
func producerHead() []byte {
	avcC := []byte("\x01\x42\xC0\x1E\xFF\xE1\x00\x08\x67\x42\xC0\x1E\xDA\x02\x80\xBF\x01\x00\x04\x68\xCE\x3C\x80")
	return slices.Concat(
		ebml("\x1A\x45\xDF\xA3", slices.Concat(ebml("\x42\x82", []byte("matroska")), ebml("\x42\x87", []byte{2}), ebml("\x42\x85", []byte{2}))),
		ebml("\x18\x53\x80\x67", nil),
		ebml("\x15\x49\xA9\x66", slices.Concat(ebml("\x2A\xD7\xB1", []byte{0x0F, 0x42, 0x40}), ebml("\x4D\x80", []byte("Kinesis Video SDK")))),
		ebml("\x16\x54\xAE\x6B", ebml("\xAE", slices.Concat(ebml("\xD7", []byte{1}), ebml("\x73\xC5", []byte{1}), ebml("\x83", []byte{1}),
			ebml("\x86", []byte("V_MPEG4/ISO/AVC")), ebml("\x63\xA2", avcC),
			ebml("\xE0", slices.Concat(ebml("\xB0", []byte{64}), ebml("\xBA", []byte{64})))))),
	)
}

// producerFrames is a Cluster of unknown size in the chunks that the producer sends: a chunk for each frame.
func producerFrames(at int64, frames int) (chunks [][]byte) {
	for i := range frames {
		flags := byte(0)
		var chunk []byte
		if i == 0 {
			flags = 0x80
			timestamp := binary.BigEndian.AppendUint64(nil, uint64(at))
			chunk = slices.Concat(ebml("\x1F\x43\xB6\x75", nil), ebml("\xE7", timestamp), ebml("\xA7", []byte{0}))
		}
		block := binary.BigEndian.AppendUint16([]byte{0x81}, uint16(i*100))
		chunks = append(chunks, append(chunk, ebml("\xA3", append(block, flags, 0, 0, 0, 2, 0x65, byte(i)))...))
	}
	return chunks
}

// producerTag is a Tags element with one tag.
func producerTag(name, value string) []byte {
	simple := ebml("\x67\xC8", append(ebml("\x45\xA3", []byte(name)), ebml("\x44\x87", []byte(value))...))
	return ebml("\x12\x54\xC3\x67", ebml("\x73\x73", simple))
}

// A producer that sends a fragment and its end, waits until it is persisted, and only then sends the
// next, gets through; and so does its end.
func TestAWSProducerIsServed(t *testing.T) {
	t.Parallel()
	start0 := time.UnixMilli(1_795_000_000_123)
	for timecodes, base := range map[string]int64{"ABSOLUTE": start0.UnixMilli(), "RELATIVE": 0} {
		t.Run(timecodes, func(t *testing.T) {
			t.Parallel()
			c := start(t, Options{})
			_, err := c.CreateStream("cam", 24)
			must(t, err)
			p := connectAWSProducer(t, c, "cam", timecodes, start0)
			p.send(producerHead())
			for i := range int64(3) {
				at := base + i*2000
				for _, chunk := range producerFrames(at, 20) {
					p.send(chunk)
				}
				p.send(slices.Concat(producerTag("a", "1"), producerTag("AWS_KINESISVIDEO_END_OF_FRAGMENT", "")))
				p.expect(fmt.Sprint("BUFFERING ", at), fmt.Sprint("RECEIVED ", at), fmt.Sprint("PERSISTED ", at))
			}
			p.end()
			watch := testtools.Stopwatch(t)
			if last := p.ack(); last != "" {
				t.Errorf("after the end of the body came %q", last)
			}
			if took := watch(); took > time.Second {
				t.Errorf("the answer ended %v after the body", took)
			}
			list := c.Media().Fragments("cam")
			if len(list) != 3 {
				t.Fatalf("%d fragments are stored, want 3", len(list))
			}
			for i, f := range list {
				if want := start0.Add(time.Duration(i) * 2 * time.Second); !f.Producer.Equal(want) || f.Frames != 20 || len(f.Tags) != 2 {
					t.Errorf("fragment %d begins at %v with %d frames and %v, want %v", i, f.Producer, f.Frames, f.Tags, want)
				}
			}
		})
	}
}

// A signature of the producer with another value than it sends is refused.
func TestAWSProducerWithAnotherSignatureIsRefused(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	_, err := c.CreateStream("cam", 24)
	must(t, err)
	conn, in := dialRaw(t, c)
	key := c.keys.Issue(hub, time.Now())
	q := rawRequest{
		path: "/putMedia", payload: emptyPayload, key: key, claimed: header{"transfer-encoding", "identity"},
		lines: []header{
			{"host", c.local(c.ports.API)}, {"transfer-encoding", "chunked"}, {"x-amz-date", time.Now().UTC().Format(signedLayout)},
			{"x-amz-security-token", key.Token}, {"x-amzn-fragment-timecode-type", "ABSOLUTE"},
			{"x-amzn-producer-start-timestamp", "1700000000.0"}, {"x-amzn-stream-name", "cam"},
		},
		signed: []string{"host", "transfer-encoding", "x-amz-date", "x-amzn-stream-name"},
	}
	_, err = conn.Write([]byte(q.head()))
	must(t, err)
	answer, err := http.ReadResponse(in, nil)
	must(t, err)
	defer answer.Body.Close()
	if name := answer.Header.Get("x-amzn-ErrorType"); answer.StatusCode != http.StatusForbidden || name != awsapi.InvalidSignature {
		t.Errorf("answered %s %s", answer.Status, name)
	}
}
