package media

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/refusal"
)

// lines gets what is written, whole lines at a time.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- strings.TrimSuffix(string(p), "\n")
	return len(p), nil
}

// next waits for a line.
func (l lines) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-l:
		return line
	case <-time.After(time.Minute):
		t.Fatal("no line within a minute")
		return ""
	}
}

// want waits for one line, and checks that there is no second.
func (l lines) want(t *testing.T, want string) {
	t.Helper()
	if line := l.next(t); !strings.HasPrefix(line, want) {
		t.Errorf("refusal %q, want one that begins with %q", line, want)
	}
	if len(l) > 0 {
		t.Errorf("a second line: %q", <-l)
	}
}

const putOfCam = "refused PutMedia of cam: "

var putArgument = putOfCam + "InvalidArgumentException (400) at header "
var camARN = camera()["cam"].ARN

// refusedRequests are headers that make a request be refused; nil = by a fault.
var refusedRequests = map[string]struct {
	change func(http.Header)
	want   string
}{
	"name and ARN": {
		func(h http.Header) { h.Set(headerARN, camARN) },
		"refused PutMedia of " + camARN + ": InvalidArgumentException (400) at header " + headerName,
	},
	"no stream": {
		func(h http.Header) { h.Del(headerName) },
		"refused PutMedia: InvalidArgumentException (400) at header " + headerName,
	},
	"impossible name": {
		func(h http.Header) { h.Set(headerName, "a b") },
		"refused PutMedia of a b: InvalidArgumentException (400) at header " + headerName,
	},
	"start":         {func(h http.Header) { h.Set(headerStart, "now") }, putArgument + headerStart},
	"fraction":      {func(h http.Header) { h.Set(headerStart, "1.x") }, putArgument + headerStart},
	"timecode type": {func(h http.Header) { h.Del(headerTimecodes) }, putArgument + headerTimecodes},
	"unknown stream": {
		func(h http.Header) { h.Set(headerName, "other") },
		"refused PutMedia of other: ResourceNotFoundException (404) at header " + headerName,
	},
	"unknown ARN": {
		func(h http.Header) { h.Del(headerName); h.Set(headerARN, "arn:x") },
		"refused PutMedia of arn:x: ResourceNotFoundException (404) at header " + headerARN,
	},
	"signature": {func(h http.Header) { h.Set("Authorization", "wrong") }, putOfCam + "InvalidSignatureException (403) at header Auth"},
	"right":     {func(h http.Header) { h.Set("Authorization", "no right") }, putOfCam + "AccessDeniedException (403): not authorized"},
	"too many": {func(h http.Header) {}, putOfCam +
		"ClientLimitExceededException (400) at the stream: more than 1 PutMedia requests per second"},
	"injected":         {nil, putOfCam + "NotAuthorizedException (401): injected"},
	"injected, silent": {nil, putOfCam + "HTTP 503: injected"},
}

func TestRefusedRequestsAreOneLine(t *testing.T) {
	t.Parallel()
	for name, row := range refusedRequests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := make(lines, 10)
			c := start(t, Options{Refusals: refusal.NewLog(got), Limits: Limits{PutMediaPerSecond: 1}, Verify: func(r *http.Request) error {
				switch r.Header.Get("Authorization") {
				case "wrong":
					return errors.New("does not match")
				case "no right":
					return &awsapi.Error{Status: 403, Name: "AccessDeniedException", Message: "not authorized"}
				}
				return nil
			}})
			if name == "too many" {
				c.stream("cam").puts.Admit()
			}
			if row.change == nil {
				fault := Refuse(401, "NotAuthorizedException")
				if name == "injected, silent" {
					fault = Refuse(503, "")
				}
				c.Faults().Inject("cam", fault)
				row.change = func(http.Header) {}
			}
			if p := c.open(t, row.change); p.resp == nil || p.resp.StatusCode == 200 {
				t.Fatalf("answered %v (%v)", p.resp, p.err)
			}
			got.want(t, row.want)
		})
	}
}

func TestRefusedReadersAreOneLine(t *testing.T) {
	t.Parallel()
	selector := func(text string) string { return `{"StreamName":"cam","StartSelector":{` + text + `}}` }
	const unknown = ": ResourceNotFoundException (404) at member "
	const argument = "refused GetMedia of cam: InvalidArgumentException (400) at member StartSelector."
	for name, row := range map[string]struct{ method, path, body, want string }{
		"no JSON":        {"POST", "/getMedia", "x", "refused GetMedia: InvalidArgumentException (400) at body: "},
		"no stream":      {"POST", "/getMedia", "{}", "refused GetMedia: InvalidArgumentException (400) at member StreamName: "},
		"unknown stream": {"POST", "/getMedia", `{"StreamName":"other"}`, "refused GetMedia of other" + unknown + "StreamName"},
		"unknown ARN":    {"POST", "/getMedia", `{"StreamARN":"arn"}`, "refused GetMedia of arn" + unknown + "StreamARN"},
		"no selector":    {"POST", "/getMedia", selector(""), argument + "StartSelectorType: "},
		"no number":      {"POST", "/getMedia", selector(`"StartSelectorType":"FRAGMENT_NUMBER"`), argument + "AfterFragmentNumber: "},
		"no token":       {"POST", "/getMedia", selector(`"StartSelectorType":"CONTINUATION_TOKEN"`), argument + "ContinuationToken: "},
		"no time":        {"POST", "/getMedia", selector(`"StartSelectorType":"SERVER_TIMESTAMP"`), argument + "StartTimestamp: "},
		"signature":      {"POST", "/getMedia", "wrong", "refused GetMedia: InvalidSignatureException (403) at header Authorization: "},
		"too many": {"POST", "/getMedia", selector(earliest),
			"refused GetMedia of cam: ClientLimitExceededException (400) at the stream: "},
		"too many open": {"POST", "/getMedia", selector(earliest),
			"refused GetMedia of cam: ConnectionLimitExceededException (400) at the stream: "},
		"another method":  {"GET", "/getMedia", "", "refused GET request: UnsupportedOperationException (405) at method: "},
		"another request": {"POST", "/getClip", "", "refused data plane request: UnknownOperationException (404) at path /getClip: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := make(lines, 10)
			verify := func(*http.Request) error {
				if row.body == "wrong" {
					return errors.New("does not match")
				}
				return nil
			}
			c := start(t, Options{Refusals: refusal.NewLog(got), Limits: Limits{GetMediaPerSecond: 1, GetMediaConnections: 1}, Verify: verify})
			switch st := c.stream("cam"); name {
			case "too many":
				st.gets.Admit()
			case "too many open":
				st.readers[&reader{cancel: func(error) {}}] = struct{}{}
			}
			request, err := http.NewRequestWithContext(within(t), row.method, c.server.URL+row.path, strings.NewReader(row.body))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := c.server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			got.want(t, row.want)
		})
	}
}

// byteOf is "byte N" of what stands last in the body.
func byteOf(body []byte, what []byte) string {
	return fmt.Sprintf("byte %d: ", bytes.LastIndex(body, what))
}

var blockAt21 = []byte{0xA3, 0x01, 0, 0, 0, 0, 0, 0, 28, 0x81, 0x52, 0x08} // the block at 21 s
var lasting21 = cluster(epoch, frame(1, 0, true, 20), frame(1, 21_000, false, 20))
var blockOf2 = frame(2, 40, false, 20)
var awsTag = archive.AppendTags(nil, "AWSnap", "7")
var pictureAndSound = streamHead(video(1, avcC), audio(2))
var deletingCam = lookup{"cam": {Name: "cam", Status: "DELETING"}}
var beyondTime = func(h http.Header) {
	h.Set(headerTimecodes, "RELATIVE")
	h.Set(headerStart, "300000000000.000")
}

// refusedFragments are sessions that get an ERROR, or are reset.
var refusedFragments = map[string]struct {
	body   [][]byte
	at     []byte // what the place of the refusal begins with; nil = there is none
	want   string // code, and element of the place
	o      Options
	fault  *Fault
	change func(http.Header)
}{
	"4001 fragment": {
		body: [][]byte{streamHead(), cluster(epoch, frames(30, 10_000)...)},
		at:   cluster(epoch)[:4],
		want: "MAX_FRAGMENT_SIZE_REACHED (4001) at Cluster",
	},
	"4002": {body: [][]byte{streamHead(), lasting21}, at: blockAt21, want: "MAX_FRAGMENT_DURATION_REACHED (4002) at SimpleBlock"},
	"4003": {
		body: [][]byte{streamHead(), second(epoch)},
		at:   second(epoch),
		want: "MAX_CONNECTION_DURATION_REACHED (4003) at Cluster",
		o:    Options{Limits: Limits{MaxConnectionDuration: 1}},
	},
	"4004": {
		body: [][]byte{streamHead(), cluster(epoch, frames(26, 100)...), second(epoch + 1000)},
		at:   second(epoch + 1000)[29:60],
		want: "FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS (4004) at SimpleBlock",
	},
	"4005": {
		body: [][]byte{streamHead(video(1, avcC), audio(2), audio(3), audio(4))},
		at:   []byte{0x16, 0x54, 0xAE, 0x6B},
		want: "MORE_THAN_ALLOWED_TRACKS_FOUND (4005) at Tracks",
	},
	"4006": {body: [][]byte{[]byte("GIF89a")}, at: []byte("GIF89a"), want: "INVALID_MKV_DATA (4006) at element 0x4749"},
	"4006, cut": {
		body: [][]byte{streamHead(), second(epoch)[:60]},
		at:   frame(1, 0, true, 100)[:20],
		want: "INVALID_MKV_DATA (4006) at SimpleBlock",
	},
	"4007": {
		body:   [][]byte{streamHead(), second(0)},
		at:     second(0),
		want:   "INVALID_PRODUCER_TIMESTAMP (4007) at Cluster",
		change: beyondTime,
	},
	"4008": {
		body: [][]byte{streamHead(), second(epoch)},
		at:   second(epoch),
		want: "STREAM_NOT_ACTIVE (4008) at Cluster",
		o:    Options{Streams: deletingCam},
	},
	"4009": {
		body: [][]byte{streamHead(), second(epoch), awsTag},
		at:   awsTag,
		want: "FRAGMENT_METADATA_LIMIT_REACHED (4009) at Tags",
	},
	"4010": {
		body: [][]byte{streamHead(), cluster(epoch, frame(1, 0, true, 20), blockOf2)},
		at:   blockOf2,
		want: "TRACK_NUMBER_MISMATCH (4010) at SimpleBlock",
	},
	"4011": {body: [][]byte{pictureAndSound, second(epoch)}, at: second(epoch), want: "FRAMES_MISSING_FOR_TRACK (4011) at Cluster"},
	"too short": {
		body: [][]byte{streamHead(), cluster(epoch, frames(3, 20)...), second(epoch + 400)},
		at:   cluster(epoch, frames(3, 20)...),
		want: "MIN_FRAGMENT_DURATION_REACHED at Cluster",
	},
	"injected": {
		body:  [][]byte{streamHead(), second(epoch)},
		at:    second(epoch),
		want:  "KMS_KEY_DISABLED (4501) at Cluster",
		fault: ptr(ErrorAt(AtFragmentStart, 4501)),
	},
	"injected early": {
		body:  [][]byte{streamHead()},
		want:  "STREAM_DELETED (4507): injected before the body",
		fault: ptr(ErrorAt(BeforeResponse, 4507)),
	},
	"injected code": {
		body:  [][]byte{streamHead(), second(epoch)},
		at:    second(epoch),
		want:  "SOME_ERROR at Cluster",
		fault: ptr(NamedErrorAt(MidFragment, "SOME_ERROR")),
	},
	"reset": {
		body:  [][]byte{streamHead(), second(epoch)},
		want:  "connection reset: injected mid-fragment",
		fault: ptr(ResetAt(MidFragment)),
	},
}

func TestRefusedFragmentsAreOneLine(t *testing.T) {
	t.Parallel()
	for name, row := range refusedFragments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := make(lines, 10)
			row.o.Refusals = refusal.NewLog(got)
			row.o.Limits.MaxFragmentBytes = 200_000
			c := start(t, row.o)
			if row.fault != nil {
				c.Faults().Inject("cam", *row.fault)
			}
			if row.change == nil {
				row.change = func(http.Header) {}
			}
			p := c.open(t, row.change)
			body := bytes.Join(row.body, nil)
			go func() {
				_, _ = p.body.Write(body) // the connection may be closed before the end
				p.body.Close()
			}()
			p.rest()
			if err := c.AwaitSession(within(t), "cam", false); err != nil {
				t.Fatal(err)
			}
			want := "refused PutMedia of cam: " + row.want
			if row.at != nil {
				want += " at " + byteOf(body, row.at)
			}
			got.want(t, want)
		})
	}
}

func ptr[T any](v T) *T { return &v }

// Where the disk fails, nothing is acknowledged.
func TestAFailureOfTheDiskIsOneLine(t *testing.T) {
	t.Parallel()
	got := make(lines, 10)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "heads"), nil, 0o600); err != nil { // in place of the folder
		t.Fatal(err)
	}
	c := start(t, Options{Dir: dir, Refusals: refusal.NewLog(got)})
	p := c.open(t)
	p.write(streamHead(), second(epoch))
	if rest := p.rest(); len(rest) != 1 || rest[0] != ackOf("ERROR", epoch)+"/INTERNAL_ERROR" {
		t.Errorf("acknowledgements %v", rest)
	}
	got.want(t, "refused PutMedia of cam: INTERNAL_ERROR (5000) at Cluster at byte ")
}

// The elements between Clusters are bounded as well.
func TestTooMuchBetweenClustersIsRefused(t *testing.T) {
	t.Parallel()
	got := make(lines, 10)
	c := start(t, Options{Refusals: refusal.NewLog(got), Limits: Limits{MaxFragmentBytes: 10_000}})
	p := c.open(t)
	go func() {
		_, _ = p.body.Write(slices.Concat(streamHead(), second(epoch), elem(0xEC, make([]byte, 20_000))))
		p.body.Close()
	}()
	if rest := p.rest(); len(rest) != 2 || rest[1] != ackOf("ERROR", epoch)+"/MAX_FRAGMENT_SIZE_REACHED" {
		t.Errorf("acknowledgements %v", rest)
	}
	got.want(t, "refused PutMedia of cam: MAX_FRAGMENT_SIZE_REACHED (4001) at byte ")
}

// A request that is reset before its answer, a stream that is down, and a session that is cut, are lines too.
func TestCutConnectionsAreOneLine(t *testing.T) {
	t.Parallel()
	got := make(lines, 10)
	c := start(t, Options{Refusals: refusal.NewLog(got)})
	ask := func(path string) {
		t.Helper()
		body := strings.NewReader(`{"StreamName":"cam","StartSelector":{` + earliest + `}}`)
		request, err := http.NewRequestWithContext(within(t), http.MethodPost, c.server.URL+path, body)
		if err != nil {
			t.Fatal(err)
		}
		putHeader(request.Header)
		if answer, err := c.server.Client().Do(request); err == nil {
			_ = answer.Body.Close()
			t.Errorf("%s was answered with %s", path, answer.Status)
		}
	}
	c.Faults().Inject("cam", ResetAt(BeforeResponse).Times(1))
	ask("/putMedia")
	got.want(t, "refused PutMedia of cam: connection reset: injected before the response")
	p := c.open(t)
	p.write(streamHead(), second(epoch))
	p.expect(ackOf("BUFFERING", epoch))
	c.Faults().Down("cam")
	p.rest()
	got.want(t, "refused PutMedia of cam: connection reset: injected cut of the stream")
	for path, want := range map[string]string{
		"/putMedia": "refused PutMedia of cam: connection reset: injected while the stream is down",
		"/getMedia": "refused GetMedia of cam: connection reset: injected while the stream is down",
	} {
		ask(path)
		got.want(t, want)
	}
}

// Sessions that the service ends without an ERROR are lines too, and name who is cut off.
func TestSessionsThatAreClosedAreOneLine(t *testing.T) {
	t.Parallel()
	got := make(lines, 10)
	c := start(t, Options{
		Refusals: refusal.NewLog(got), Limits: Limits{IdleInterval: 20 * time.Millisecond, IdleTimeout: 300 * time.Millisecond},
		Caller: func(r *http.Request) string { return r.Header.Get("User-Agent") },
	})
	as := func(name string) func(http.Header) { return func(h http.Header) { h.Set("User-Agent", name) } }
	older := c.open(t, as("hub-1"))
	older.write(streamHead(), second(epoch))
	older.expect(ackOf("BUFFERING", epoch))
	newer := c.open(t, as("hub-2"))
	older.rest()
	got.want(t, "refused PutMedia of cam by hub-1: connection closed at the stream: a newer PutMedia connection took over the stream")
	started := slices.Concat(streamHead(), second(epoch)[:200])
	newer.write(started)
	newer.rest()
	got.want(t, "refused PutMedia of cam by hub-2: connection closed at byte ")

	refused := c.open(t, as("hub-3"))
	refused.write([]byte("no Matroska at all"))
	refused.rest()
	got.want(t, "refused PutMedia of cam by hub-3: INVALID_MKV_DATA (4006) at ")
}

func TestOnlyAcknowledgementsThatTimeOutAreALine(t *testing.T) {
	t.Parallel()
	got := make(lines, 10)
	c := start(t, Options{Refusals: refusal.NewLog(got)})
	se := &session{service: c.Service, st: c.stream("cam"), caller: "hub-1"}
	se.refuseEnd(fmt.Errorf("%w: %w", errNotTaken, syscall.EPIPE)) // the producer is gone
	se.refuseEnd(fmt.Errorf("%w: %w", errNotTaken, os.ErrDeadlineExceeded))
	got.want(t, "refused PutMedia of cam by hub-1: connection closed at the answer: the producer does not read its acknowledgements")
}
