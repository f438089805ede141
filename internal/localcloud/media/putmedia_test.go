package media

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
)

func TestFragmentsAreStoredAsTheyWereSent(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	p := c.open(t)
	p.write(streamHead())
	for i := range int64(3) {
		p.write(second(epoch + i*1000))
	}
	p.body.Close()
	want := slices.Concat(stored(epoch), stored(epoch+1000), stored(epoch+2000))
	if got := p.rest(); !slices.Equal(got, want) || p.err != nil {
		t.Errorf("acknowledgements %v, %v; want %v", got, p.err, want)
	}
	list := c.Fragments("cam")
	if len(list) != 3 {
		t.Fatalf("%d fragments are stored, want 3", len(list))
	}
	for i, f := range list {
		sent := second(epoch + int64(i)*1000)
		sum := sha256.Sum256(sent)
		wholeMS := f.Producer.UnixMilli() == epoch+int64(i)*1000
		if !wholeMS || f.Frames != 25 || f.Bytes != int64(len(sent)) || f.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("fragment %d is %+v", i, f)
		}
		if i > 0 && compareDecimal(list[i-1].Number, f.Number) >= 0 {
			t.Errorf("fragment numbers do not rise: %s, %s", list[i-1].Number, f.Number)
		}
		file, err := os.ReadFile(filepath.Join(c.o.Dir, f.File))
		if err != nil || !bytes.Equal(file[f.Offset:f.Offset+f.Bytes], sent) {
			t.Errorf("fragment %d is not in %s at %d as it was sent (%v)", i, f.File, f.Offset, err)
		}
	}
	if n := len(list[0].Number); n != 47 {
		t.Errorf("the fragment number %s has %d digits, KVS's have 47", list[0].Number, n)
	}
}

func TestWithoutRetentionReceivedIsTheLastAcknowledgement(t *testing.T) {
	t.Parallel()
	streams := lookup{"cam": {Name: "cam", Status: "ACTIVE"}}
	c := start(t, Options{Streams: streams})
	p := c.open(t)
	p.write(streamHead(), second(epoch), second(epoch+1000))
	p.body.Close()
	want := []string{ackOf("BUFFERING", epoch), ackOf("RECEIVED", epoch), ackOf("BUFFERING", epoch+1000), ackOf("RECEIVED", epoch+1000)}
	if got := p.rest(); !slices.Equal(got, want) {
		t.Errorf("acknowledgements %v, want %v", got, want)
	}
}

func TestRelativeTimecodesAreStoredAsAbsoluteTimes(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	p := c.open(t, func(h http.Header) {
		h.Set(headerStart, "1700000000.5")
		h.Set(headerTimecodes, "RELATIVE")
		h.Del(headerName)
		h.Set(headerARN, camera()["cam"].ARN)
	})
	p.write(streamHead(), second(0), second(1000))
	p.body.Close()
	if got, want := p.rest(), append(stored(0), stored(1000)...); !slices.Equal(got, want) {
		t.Errorf("acknowledgements %v, want %v", got, want)
	}
	if got := c.Fragments("cam")[1].Producer.UnixMilli(); got != epoch+1500 {
		t.Errorf("producer timestamp %d, want %d", got, epoch+1500)
	}
	n := int64(0)
	for f, err := range c.Frames("cam") {
		if err != nil {
			t.Fatal(err)
		}
		if want := epoch + 500 + n*40; f.Producer.UnixMilli() != want {
			t.Fatalf("frame %d is at %d, want %d", n, f.Producer.UnixMilli(), want)
		}
		n++
	}
	if n != 50 {
		t.Errorf("%d frames, want 50", n)
	}
}

func TestBadRequestsAreRefusedByName(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(http.Header)
		status int
		error  string
	}{
		{"no stream", func(h http.Header) { h.Del(headerName) }, 400, InvalidArgument},
		{"name and ARN", func(h http.Header) { h.Set(headerARN, camera()["cam"].ARN) }, 400, InvalidArgument},
		{"impossible name", func(h http.Header) { h.Set(headerName, "../cam") }, 400, InvalidArgument},
		{"unknown stream", func(h http.Header) { h.Set(headerName, "other") }, 404, ResourceNotFound},
		{"no start", func(h http.Header) { h.Del(headerStart) }, 400, InvalidArgument},
		{"start in words", func(h http.Header) { h.Set(headerStart, "now") }, 400, InvalidArgument},
		{"negative start", func(h http.Header) { h.Set(headerStart, "-1.5") }, 400, InvalidArgument},
		{"bad fraction", func(h http.Header) { h.Set(headerStart, "17.1e3") }, 400, InvalidArgument},
		{"no timecode type", func(h http.Header) { h.Del(headerTimecodes) }, 400, InvalidArgument},
		{"lower case type", func(h http.Header) { h.Set(headerTimecodes, "absolute") }, 400, InvalidArgument},
		{"wrong signature", func(h http.Header) { h.Set("Authorization", "wrong") }, 403, awsapi.InvalidSignature},
		{"no right", func(h http.Header) { h.Set("Authorization", "not mine") }, 401, "NotAuthorizedException"},
	}
	c := start(t, Options{Verify: func(r *http.Request) error {
		switch r.Header.Get("Authorization") {
		case "wrong":
			return errors.New("the signature does not match")
		case "not mine":
			return &awsapi.Error{Status: 401, Name: "NotAuthorizedException", Message: "not yours"}
		}
		return nil
	}})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := c.open(t, test.change) // with a body that never ends: the answer must not wait for it
			if p.resp == nil {
				t.Fatal(p.err)
			}
			body, _ := io.ReadAll(p.resp.Body)
			name := p.resp.Header.Get("x-amzn-ErrorType")
			if p.resp.StatusCode != test.status || name != test.error || !strings.HasPrefix(string(body), `{"Message":"`) {
				t.Errorf("answer %d %s %s, want %d %s", p.resp.StatusCode, name, body, test.status, test.error)
			}
		})
	}
}

func TestMoreThanFiveRequestsPerSecondAreRefused(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	refused := 0
	for range 6 {
		p := c.open(t)
		if p.resp == nil {
			t.Fatal(p.err)
		}
		if p.resp.StatusCode == 400 && p.resp.Header.Get("x-amzn-ErrorType") == ClientLimitExceeded {
			refused++
		}
		p.body.Close()
	}
	if refused == 0 {
		t.Error("none of six requests at once was refused")
	}
}

var lastingSeconds21 = func(at int64) []byte {
	var blocks [][]byte
	for i := range 22 {
		blocks = append(blocks, frame(1, int16(i*1000), i == 0, 20))
	}
	return cluster(at, blocks...)
}
var sameTags = func(n int, name, value string) []byte {
	var pairs []string
	for range n {
		pairs = append(pairs, name, value)
	}
	return archive.AppendTags(nil, pairs...)
}
var headWithSound = streamHead(video(1, avcC), audio(2))

// badFragments are bodies with a fault, and the acknowledgements that they get.
var badFragments = []struct {
	name string
	body [][]byte
	want []string
}{
	{
		"longer than 20 s",
		[][]byte{streamHead(), lastingSeconds21(epoch)},
		[]string{ackOf("BUFFERING", epoch), ackOf("ERROR", epoch) + "/MAX_FRAGMENT_DURATION_REACHED"},
	},
	{
		"larger than allowed",
		[][]byte{streamHead(), cluster(epoch, frames(30, 10_000)...)},
		[]string{ackOf("BUFFERING", epoch), ackOf("ERROR", epoch) + "/MAX_FRAGMENT_SIZE_REACHED"},
	},
	{
		"shorter than 1 s",
		[][]byte{streamHead(), cluster(epoch, frames(10, 20)...), second(epoch + 400)},
		[]string{ackOf("BUFFERING", epoch), ackOf("ERROR", epoch) + "/MIN_FRAGMENT_DURATION_REACHED"},
	},
	{
		"a fragment that goes back", // it is at fault, not the previous one
		[][]byte{streamHead(), second(epoch + 2000), second(epoch)},
		append(stored(epoch+2000), ackOf("BUFFERING", epoch), ackOf("ERROR", epoch)+"/FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS"),
	},
	{
		"a fragment twice",
		[][]byte{streamHead(), second(epoch), endTag(), second(epoch)},
		append(stored(epoch), ackOf("BUFFERING", epoch), ackOf("ERROR", epoch)+"/FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS"),
	},
	{
		"a frame twice",
		[][]byte{streamHead(), cluster(epoch, frames(26, 100)...), second(epoch + 1000)},
		append(stored(epoch), ackOf("BUFFERING", epoch+1000), ackOf("ERROR", epoch+1000)+"/FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS"),
	},
	{
		"four tracks",
		[][]byte{streamHead(video(1, avcC), audio(2), audio(3), audio(4))},
		[]string{"ERROR/MORE_THAN_ALLOWED_TRACKS_FOUND"},
	},
	{"no Matroska", [][]byte{[]byte("GIF89a")}, []string{"ERROR/INVALID_MKV_DATA"}},
	{
		"two heads",
		[][]byte{streamHead(), second(epoch), streamHead()},
		[]string{ackOf("BUFFERING", epoch), ackOf("ERROR", epoch) + "/INVALID_MKV_DATA"},
	},
	{
		"cut short",
		[][]byte{streamHead(), second(epoch)[:500]},
		[]string{ackOf("BUFFERING", epoch), ackOf("ERROR", epoch) + "/INVALID_MKV_DATA"},
	},
	{"no avcC", [][]byte{streamHead(video(1, []byte{0, 0, 0, 1, 0x67}))}, []string{"ERROR/INVALID_MKV_DATA"}},
	{
		"track of no entry",
		[][]byte{streamHead(), cluster(epoch, frame(1, 0, true, 20), frame(2, 40, false, 20))},
		[]string{ackOf("BUFFERING", epoch), ackOf("ERROR", epoch) + "/TRACK_NUMBER_MISMATCH"},
	},
	{
		"no audio in it",
		[][]byte{headWithSound, second(epoch)},
		[]string{ackOf("BUFFERING", epoch), ackOf("ERROR", epoch) + "/FRAMES_MISSING_FOR_TRACK"},
	},
	{"eleven tags", [][]byte{streamHead(), sameTags(11, "a", "b"), second(epoch)}, []string{"ERROR/FRAGMENT_METADATA_LIMIT_REACHED"}},
	{
		"long tag",
		[][]byte{streamHead(), sameTags(1, "a", strings.Repeat("b", 257)), second(epoch)},
		[]string{"ERROR/FRAGMENT_METADATA_LIMIT_REACHED"},
	},
	{"year 30000", [][]byte{streamHead(), second(900_000_000_000_000)}, []string{"ERROR/INVALID_MKV_DATA"}},
}

func TestBadFragmentsGetTheirErrorAndTheConnectionIsClosed(t *testing.T) {
	t.Parallel()
	for _, test := range badFragments {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, Options{Limits: Limits{MaxFragmentBytes: 200_000}})
			p := c.open(t)
			go func() {
				_, _ = p.body.Write(bytes.Join(test.body, nil)) // the connection may be closed before the end
				p.body.Close()
			}()
			if got := p.rest(); !slices.Equal(got, test.want) {
				t.Errorf("acknowledgements\n%v, want\n%v", got, test.want)
			}
			if err := c.AwaitSession(within(t), "cam", false); err != nil {
				t.Fatal(err)
			}
			if stats := c.Stats("cam"); stats.Errors != 1 || stats.LastError == "" {
				t.Errorf("counted %+v", stats)
			}
			checkFileHoldsWhatIsListed(t, c)
		})
	}
}

func TestFragmentsWithinTheLimitsAreTaken(t *testing.T) {
	t.Parallel()
	av := func(at int64) []byte { return cluster(at, append(frames(25, 50), soundAt(2, 3), soundAt(2, 500))...) }
	tests := []struct {
		name string
		body [][]byte
		want []string
	}{
		{
			"a short last one",
			[][]byte{streamHead(), second(epoch), cluster(epoch+1000, frames(3, 20)...)},
			slices.Concat(stored(epoch), stored(epoch+1000)),
		},
		{
			"a short one before a pause",
			[][]byte{streamHead(), cluster(epoch, frames(3, 20)...), second(epoch + 60_000)},
			slices.Concat(stored(epoch), stored(epoch+60_000)),
		},
		{
			"a single frame",
			[][]byte{streamHead(), cluster(epoch, frame(1, 0, true, 20)), second(epoch + 5000)},
			slices.Concat(stored(epoch), stored(epoch+5000)),
		},
		{
			"unknown sizes",
			[][]byte{streamHead(), unknownCluster(epoch, frames(25, 20)...), unknownCluster(epoch+1000, frames(25, 20)...)},
			slices.Concat(stored(epoch), stored(epoch+1000)),
		},
		{
			"tags between",
			[][]byte{streamHead(), archive.AppendTags(nil, "a", "b"), second(epoch), archive.AppendTags(nil, "a", "b"), second(epoch + 1000)},
			slices.Concat(stored(epoch), stored(epoch+1000)),
		},
		{
			"sound",
			[][]byte{streamHead(video(1, avcC), audio(2)), av(epoch), av(epoch + 1000)},
			slices.Concat(stored(epoch), stored(epoch+1000)),
		},
		{
			"19 s",
			[][]byte{streamHead(), cluster(epoch, frame(1, 0, true, 20), frame(1, 19_000, false, 20)), second(epoch + 19_500)},
			slices.Concat(stored(epoch), stored(epoch+19_500)),
		},
		{"nothing at all", nil, nil},
		{"a head alone", [][]byte{streamHead()}, nil},
		{"before 2001", [][]byte{streamHead(), second(60_000)}, stored(60_000)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, Options{})
			p := c.open(t)
			p.write(test.body...)
			p.body.Close()
			if got := p.rest(); !slices.Equal(got, test.want) {
				t.Errorf("acknowledgements\n%v, want\n%v", got, test.want)
			}
			checkFileHoldsWhatIsListed(t, c)
		})
	}
}

// checkFileHoldsWhatIsListed compares every listed fragment's SHA-256 with the file, and the end of the file.
func checkFileHoldsWhatIsListed(t *testing.T, c *cloud) {
	t.Helper()
	ends := map[string]int64{}
	for i, f := range c.Fragments("cam") {
		file, err := os.ReadFile(filepath.Join(c.o.Dir, f.File))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(file[f.Offset : f.Offset+f.Bytes])
		if hex.EncodeToString(sum[:]) != f.SHA256 {
			t.Errorf("fragment %d in %s has another SHA-256 than listed", i, f.File)
		}
		ends[f.File] = f.Offset + f.Bytes
	}
	for name, end := range ends {
		if info, err := os.Stat(filepath.Join(c.o.Dir, name)); err != nil || info.Size() != end {
			t.Errorf("%s has %d bytes (%v), its last fragment ends at %d", name, info.Size(), err, end)
		}
	}
}

func TestARepeatedFragmentIsKeptTwice(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	for range 2 {
		p := c.open(t)
		p.write(streamHead(), second(epoch))
		p.body.Close()
		p.rest()
	}
	list := c.Fragments("cam")
	if len(list) != 2 || list[0].SHA256 != list[1].SHA256 || list[0].File != list[1].File || list[0].Number == list[1].Number {
		t.Errorf("stored %+v", list)
	}
}

func TestANewCodecConfigurationBeginsAFurtherFile(t *testing.T) {
	t.Parallel()
	streams := camera()
	streams["cam-2"] = StreamInfo{Name: "cam-2", RetentionHours: 1}
	c := start(t, Options{Streams: streams})
	other := bytes.Clone(avcC)
	other[len(other)-1]++
	send := func(stream string, private []byte, at int64) {
		p := c.open(t, func(h http.Header) { h.Set(headerName, stream) })
		p.write(streamHead(video(1, private)), second(at))
		p.body.Close()
		p.rest()
	}
	send("cam", avcC, epoch)
	send("cam", other, epoch+1000)
	send("cam-2", avcC, epoch)
	var files []string
	for _, stream := range []string{"cam", "cam-2"} {
		for _, f := range c.Fragments(stream) {
			files = append(files, f.File)
		}
	}
	if want := []string{"cam.mkv", "cam-2.mkv", "cam-2-2.mkv"}; !slices.Equal(files, want) {
		t.Errorf("files %v, want %v", files, want)
	}
	for f, err := range c.Frames("cam") {
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Data) != 104 {
			t.Fatalf("a frame of %d bytes, want 104", len(f.Data))
		}
	}
}

func TestARestartGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, Options{Dir: dir})
	p := first.open(t)
	p.write(streamHead(), second(epoch))
	p.body.Close()
	p.rest()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	// A kill in the middle of writing leaves a torn line and a torn cluster.
	for name, torn := range map[string]string{"cam.mkv": "\x1F\x43\xB6\x75 torn", "fragments.jsonl": `{"stream":"ca`} {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(torn); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	c := start(t, Options{Dir: dir})
	p = c.open(t)
	p.write(streamHead(), second(epoch+1000))
	p.body.Close()
	p.rest()
	list := c.Fragments("cam")
	if len(list) != 2 || list[0].File != list[1].File || compareDecimal(list[0].Number, list[1].Number) >= 0 {
		t.Fatalf("stored %+v", list)
	}
	checkFileHoldsWhatIsListed(t, c)
	frames := 0
	for _, err := range c.Frames("cam") {
		if err != nil {
			t.Fatal(err)
		}
		frames++
	}
	if frames != 50 {
		t.Errorf("%d frames, want 50", frames)
	}
}

func TestANewerConnectionDisplacesTheOlder(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	older := c.open(t)
	older.write(streamHead(), second(epoch), second(epoch + 1000)[:200])
	older.expect(append(stored(epoch), ackOf("BUFFERING", epoch+1000))...)
	newer := c.open(t)
	newer.write(streamHead(), second(epoch+1000), endTag())
	newer.expect(stored(epoch + 1000)...)
	if rest := older.rest(); len(rest) > 0 || older.err == nil {
		t.Errorf("the older connection got %v and ended with %v; it must end abruptly", rest, older.err)
	}
	newer.body.Close()
	newer.rest()
	if stats := c.Stats("cam"); stats.Displaced != 1 || stats.Torn != 1 || stats.Fragments != 2 {
		t.Errorf("counted %+v", stats)
	}
	checkFileHoldsWhatIsListed(t, c)
}

func TestAConnectionThatBreaksStoresNoHalfFragment(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	p := c.open(t)
	p.write(streamHead(), second(epoch), unknownCluster(epoch+1000, frames(25, 100)...))
	p.expect(stored(epoch)...)
	p.expect(ackOf("BUFFERING", epoch+1000))
	p.body.CloseWithError(errors.New("unplugged"))
	p.resp.Body.Close()
	if err := c.AwaitStats(within(t), "cam", func(s Stats) bool { return !s.Open && s.Torn == 1 }); err != nil {
		t.Fatal(err)
	}
	if n := len(c.Fragments("cam")); n != 1 {
		t.Errorf("%d fragments, want 1", n)
	}
	checkFileHoldsWhatIsListed(t, c)
}

func TestConnectionsHaveAGreatestAge(t *testing.T) {
	t.Parallel()
	c := start(t, Options{Limits: Limits{MaxConnectionDuration: time.Nanosecond}})
	p := c.open(t)
	p.write(streamHead(), second(epoch))
	want := []string{ackOf("BUFFERING", epoch), ackOf("ERROR", epoch) + "/MAX_CONNECTION_DURATION_REACHED"}
	if got := p.rest(); !slices.Equal(got, want) {
		t.Errorf("acknowledgements %v, want %v", got, want)
	}
}

type changing struct{ now chan StreamInfo }

func (c changing) Stream(string) (StreamInfo, bool) {
	info := <-c.now
	c.now <- info
	return info, info.Name != ""
}

func TestADeletedStreamTakesNoMoreFragments(t *testing.T) {
	t.Parallel()
	streams := changing{make(chan StreamInfo, 1)}
	streams.now <- camera()["cam"]
	c := start(t, Options{Streams: streams})
	p := c.open(t)
	p.write(streamHead(), second(epoch), endTag())
	p.expect(stored(epoch)...)
	<-streams.now
	streams.now <- StreamInfo{}
	p.write(second(epoch + 1000))
	want := []string{ackOf("BUFFERING", epoch+1000), ackOf("ERROR", epoch+1000) + "/STREAM_NOT_ACTIVE"}
	if got := p.rest(); !slices.Equal(got, want) {
		t.Errorf("acknowledgements %v, want %v", got, want)
	}
}

func TestExpectIsAnsweredBeforeTheBody(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	conn, err := net.Dial("tcp", c.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, rawPut("Expect: 100-continue\r\n", nil)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for _, want := range []string{"HTTP/1.1 100 Continue\r\n", "\r\n", "HTTP/1.1 200 OK\r\n"} {
		if line, err := in.ReadString('\n'); err != nil || line != want {
			t.Fatalf("got %q (%v), want %q", line, err, want)
		}
	}
	body := append(streamHead(), second(epoch)...)
	fmt.Fprintf(conn, "%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	answer, err := io.ReadAll(in)
	if err != nil || !bytes.Contains(answer, []byte(`"EventType":"PERSISTED"`)) {
		t.Errorf("the answer is %q (%v)", answer, err)
	}
}

func TestOverTLS(t *testing.T) {
	t.Parallel()
	s, err := New(Options{Dir: t.TempDir(), Streams: camera()})
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{Service: s, server: httptest.NewTLSServer(s)}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		c.server.Close()
	})
	p := c.open(t)
	p.write(streamHead(), second(epoch), endTag())
	p.expect(stored(epoch)...)
	s.Faults().Down("cam")
	if rest := p.rest(); len(rest) != 0 || p.err == nil {
		t.Errorf("after the stream was cut off: %v, %v", rest, p.err)
	}
	// With a body that ends: net/http waits for its writer before it reports a broken connection.
	req, err := http.NewRequestWithContext(within(t), http.MethodPost, c.server.URL+"/putMedia", bytes.NewReader(streamHead()))
	if err != nil {
		t.Fatal(err)
	}
	putHeader(req.Header)
	if resp, err := c.server.Client().Do(req); err == nil {
		_ = resp.Body.Close()
		t.Errorf("a request while the stream is cut off was answered with %d", resp.StatusCode)
	}
	s.Faults().Up("cam")
	p = c.open(t)
	p.write(streamHead(), second(epoch+1000), endTag())
	p.expect(stored(epoch + 1000)...)
	p.body.Close()
	p.rest()
}
