package media

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
)

// The producer of these tests writes its Matroska byte by byte.

var avcC = []byte{
	1, 0x42, 0xC0, 0x1E, 0xFF, 0xE1,
	0, 8, 0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x02, 0x80, 0xBF,
	1, 0, 4, 0x68, 0xCE, 0x3C, 0x80,
}

func elem(id uint32, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	var b []byte
	for shift := 24; shift >= 0; shift -= 8 {
		if c := byte(id >> shift); c != 0 || len(b) > 0 {
			b = append(b, c)
		}
	}
	b = append(b, 0x01)
	b = append(b, binary.BigEndian.AppendUint64(nil, uint64(len(body)))[1:]...)
	return append(b, body...)
}

func uintElem(id uint32, v uint64) []byte { return elem(id, binary.BigEndian.AppendUint64(nil, v)) }

func video(number uint64, private []byte) []byte {
	return elem(0xAE, uintElem(0xD7, number), uintElem(0x73C5, number), uintElem(0x83, 1),
		elem(0x86, []byte("V_MPEG4/ISO/AVC")), elem(0x63A2, private), elem(0xE0, uintElem(0xB0, 640), uintElem(0xBA, 480)))
}

func audio(number uint64) []byte {
	return elem(0xAE, uintElem(0xD7, number), uintElem(0x73C5, number), uintElem(0x83, 2),
		elem(0x86, []byte("A_AAC")), elem(0x63A2, []byte{0x14, 0x08}),
		elem(0xE1, elem(0xB5, binary.BigEndian.AppendUint32(nil, 0x46FA0000)), uintElem(0x9F, 1)))
}

func streamHead(tracks ...[]byte) []byte {
	if len(tracks) == 0 {
		tracks = [][]byte{video(1, avcC)}
	}
	head := elem(0x1A45DFA3, uintElem(0x4286, 1), uintElem(0x42F7, 1), uintElem(0x42F2, 4), uintElem(0x42F3, 8),
		elem(0x4282, []byte("matroska")), uintElem(0x4287, 4), uintElem(0x4285, 2))
	head = append(head, 0x18, 0x53, 0x80, 0x67, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF)
	head = append(head, elem(0x1549A966, uintElem(0x2AD7B1, 1_000_000), elem(0x4D80, []byte("t")), elem(0x5741, []byte("t")))...)
	return append(head, elem(0x1654AE6B, tracks...)...)
}

// frame makes a block with one NAL unit of n bytes.
func frame(track byte, at int16, key bool, n int) []byte {
	flags := byte(0)
	kind := byte(0x41)
	if key {
		flags, kind = 0x80, 0x65
	}
	payload := binary.BigEndian.AppendUint32(nil, uint32(n))
	payload = append(payload, kind)
	payload = append(payload, bytes.Repeat([]byte{byte(at)}, n-1)...)
	return elem(0xA3, []byte{0x80 | track, byte(uint16(at) >> 8), byte(at), flags}, payload)
}

func soundAt(track byte, at int16) []byte {
	return elem(0xA3, []byte{0x80 | track, byte(uint16(at) >> 8), byte(at), 0x80, 1, 2, 3})
}

func cluster(at int64, blocks ...[]byte) []byte {
	return elem(0x1F43B675, append([][]byte{uintElem(0xE7, uint64(at))}, blocks...)...)
}

// unknownCluster is a cluster whose size was not known at its start.
func unknownCluster(at int64, blocks ...[]byte) []byte {
	b := []byte{0x1F, 0x43, 0xB6, 0x75, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}
	b = append(b, uintElem(0xE7, uint64(at))...)
	return append(b, bytes.Join(blocks, nil)...)
}

// frames are the blocks of a GOP at 25 fps.
func frames(n, size int) [][]byte {
	var list [][]byte
	for i := range n {
		list = append(list, frame(1, int16(i*40), i == 0, size))
	}
	return list
}

// second is a fragment of one second at 25 fps.
func second(at int64) []byte { return cluster(at, frames(25, 100)...) }

// endTag is the tag that ends the fragment before it.
func endTag() []byte { return archive.AppendTags(nil, endOfFragment, "") }

const epoch = int64(1_700_000_000_000) // ms

// lookup is the control plane of these tests.
type lookup map[string]StreamInfo

func (l lookup) Stream(name string) (StreamInfo, bool) {
	info, ok := l[name]
	return info, ok
}

func camera() lookup {
	const arn = "arn:aws:kinesisvideo:us-west-2:123456789012:stream/cam/1"
	info := StreamInfo{Name: "cam", ARN: arn, RetentionHours: 24, Status: "ACTIVE"}
	return lookup{"cam": info, arn: info}
}

type cloud struct {
	*Service
	server *httptest.Server
}

func start(t testing.TB, o Options) *cloud {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Streams == nil {
		o.Streams = camera()
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{Service: s, server: httptest.NewServer(s)}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		c.server.CloseClientConnections()
		c.server.Close()
	})
	return c
}

// put is one PutMedia request of a test.
type put struct {
	t     testing.TB
	body  *io.PipeWriter
	acks  chan ackJSON // closed at the end of the answer
	err   error        // of reading the answer, valid once acks is closed
	resp  *http.Response
	ended chan struct{}
}

type ackJSON struct {
	EventType        string
	FragmentTimecode *int64
	FragmentNumber   string
	ErrorId          int
	ErrorCode        string
}

func (a ackJSON) String() string {
	s := a.EventType
	if a.FragmentTimecode != nil {
		s += fmt.Sprintf("@%d", *a.FragmentTimecode)
	}
	if a.ErrorCode != "" {
		s += "/" + a.ErrorCode
	}
	return s
}

func putHeader(h http.Header) {
	h.Set(headerName, "cam")
	h.Set(headerStart, "1700000000.000")
	h.Set(headerTimecodes, "ABSOLUTE")
}

// rawPut is a request whose body is one chunk.
func rawPut(more string, body []byte) string {
	head := "POST /putMedia HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" + more +
		headerName + ": cam\r\n" + headerStart + ": 1700000000.000\r\n" + headerTimecodes + ": ABSOLUTE\r\n\r\n"
	if body == nil {
		return head
	}
	return head + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
}

// open begins a PutMedia request; change may alter its headers.
func (c *cloud) open(t testing.TB, change ...func(http.Header)) *put {
	t.Helper()
	r, w := io.Pipe()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.server.URL+"/putMedia", r)
	if err != nil {
		t.Fatal(err)
	}
	putHeader(req.Header)
	for _, f := range change {
		f(req.Header)
	}
	resp, err := c.server.Client().Do(req)
	p := &put{t: t, body: w, acks: make(chan ackJSON, 1000), ended: make(chan struct{})}
	if err != nil {
		p.err = err
		close(p.acks)
		return p
	}
	p.resp = resp
	t.Cleanup(func() { resp.Body.Close(); w.Close() })
	if resp.StatusCode != http.StatusOK {
		close(p.acks)
		return p
	}
	go func() {
		defer close(p.acks)
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			var a ackJSON
			if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
				p.err = err
				return
			}
			p.acks <- a
		}
		p.err = lines.Err()
	}()
	return p
}

func (p *put) write(b ...[]byte) {
	p.t.Helper()
	for _, part := range b {
		if _, err := p.body.Write(part); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			p.t.Fatalf("writing the body: %v", err)
		}
	}
}

// expect reads acknowledgements and compares them, skipping IDLE unless it is expected.
func (p *put) expect(want ...string) {
	p.t.Helper()
	for _, w := range want {
		for {
			a, ok := p.next()
			if !ok {
				p.t.Fatalf("the answer ended (%v); expected %s", p.err, w)
			}
			if a.EventType == "IDLE" && w != "IDLE" {
				continue
			}
			if a.String() != w {
				p.t.Fatalf("acknowledgement %s, want %s", a, w)
			}
			break
		}
	}
}

func (p *put) next() (ackJSON, bool) {
	select {
	case a, ok := <-p.acks:
		return a, ok
	case <-time.After(time.Minute):
		p.t.Fatal("no acknowledgement came")
		return ackJSON{}, false
	}
}

// rest reads all acknowledgements up to the end of the answer.
func (p *put) rest() (list []string) {
	p.t.Helper()
	for {
		a, ok := p.next()
		if !ok {
			return list
		}
		if a.EventType != "IDLE" {
			list = append(list, a.String())
		}
	}
}

func ackOf(event string, at int64) string { return fmt.Sprintf("%s@%d", event, at) }

func stored(at int64) []string {
	return []string{ackOf("BUFFERING", at), ackOf("RECEIVED", at), ackOf("PERSISTED", at)}
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
