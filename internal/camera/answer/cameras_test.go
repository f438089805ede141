package answer_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net/textproto"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	strict "github.com/bluenviron/gortsplib/v4/pkg/sdp"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/answer"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/sdp"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/script"
)

const cameraURL = "rtsp://camera.local/live"

// TestCameras plays each file of testdata/cameras. Under >>> expect a file has lines such as
//
//	video: H264 96 90000 sets=2
//	video at: rtsp://camera.local/live/trackID=0
//	audio: PCMU 0 8000
//	other video: MJPEG
//	other audio: Opus, G726
//	base: rtsp://camera.local/live/
//	SETUP 2 Transport: RTP/AVP/TCP;unicast;interleaved=2-3
//	DESCRIBE status: 404
//
// A line for something absent has nothing after its colon. Without lines, an H.264 video of payload type 96 is expected.
func TestCameras(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/cameras/*.txt")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			camera, err := script.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, camera)
			expect := camera.Expect
			if len(expect) == 0 {
				expect = []string{"video: H264 96 90000"}
			}
			for _, line := range expect {
				what, want, _ := strings.Cut(line, ": ")
				what, want = strings.TrimSuffix(strings.TrimSpace(what), ":"), strings.TrimSpace(want)
				if got[what] != want && !(what == "video" && strings.HasPrefix(got[what], want+" sets=")) {
					t.Errorf("%s%s: %q, want %q", camera.About+": ", what, got[what], want)
				}
			}
		})
	}
}

// play opens a session with a camera as far as possible, and returns what was read.
func play(t *testing.T, camera *script.File) map[string]string {
	t.Helper()
	got := make(map[string]string)
	d := &answer.Conversation{}
	said := camera.Converse(1, time.Now())
	count := make(map[string]int)
	cseq := 0
	ask := func(method, url, transport string) *base.Response {
		cseq++
		count[method]++
		sent := fmt.Sprintf("%s %s RTSP/1.0\r\nCSeq: %d\r\nTransport: %s\r\n\r\n", method, url, cseq, transport)
		d.Sent([]byte(sent))
		response := firstResponse(t, d, said.Answer(request(method, url, cseq, transport), nil).Bytes)
		if response == nil {
			t.Fatalf("%s%s is not answered", camera.About+": ", method)
		}
		if got := response.Header["CSeq"]; len(got) != 1 || got[0] != fmt.Sprint(cseq) {
			t.Errorf("%s%s is answered with CSeq %v, want %d", camera.About+": ", method, got, cseq)
		}
		name := method
		if count[method] > 1 {
			name += fmt.Sprint(" ", count[method])
		}
		got[name+" status"] = fmt.Sprint(int(response.StatusCode))
		got[name+" reason"] = response.StatusMessage
		for header, values := range response.Header {
			got[name+" "+header] = strings.Join(values, " | ")
		}
		return response
	}
	ask("OPTIONS", cameraURL, "")
	if mustDescribe(t, ask("DESCRIBE", cameraURL, "")) {
		note(got, d.Described())
	}
	for i, urls := range [][]string{d.Described().VideoURLs, d.Described().AudioURLs} {
		if len(urls) > 0 {
			response := ask("SETUP", urls[0], fmt.Sprintf("RTP/AVP/TCP;unicast;interleaved=%d-%d", 2*i, 2*i+1))
			var transport headers.Transport
			var session headers.Session
			if err := transport.Unmarshal(response.Header["Transport"]); response.StatusCode == base.StatusOK && err != nil {
				t.Error(err)
			}
			if values, ok := response.Header["Session"]; ok && session.Unmarshal(values) != nil {
				t.Errorf("session %q", values)
			}
		}
	}
	ask("PLAY", d.Described().Base, "")
	return got
}

// request is a request to a camera.
func request(method, url string, cseq int, transport string) script.Request {
	header := textproto.MIMEHeader{}
	header.Set("CSeq", fmt.Sprint(cseq))
	header.Set("Transport", transport)
	return script.Request{Method: method, URL: url, Header: header}
}

// firstResponse reads a stream as the agent does, and returns the first response as a strict reader reads it.
func firstResponse(t *testing.T, d *answer.Conversation, stream []byte) (response *base.Response) {
	t.Helper()
	for settled := false; ; {
		kind, size, patience := answer.First(stream, settled)
		switch {
		case kind == answer.Unknown && patience > 0 && !settled:
			settled = true
			continue
		case kind == answer.Unknown:
			return response
		case kind == answer.Message && len(stream) >= size:
			if repaired := d.Repair(stream[:size]); repaired != nil && repaired[0] == 'R' {
				response = new(base.Response)
				if err := response.Unmarshal(bufio.NewReader(bytes.NewReader(repaired))); err != nil {
					t.Fatalf("%v: %q", err, repaired)
				}
			}
		}
		stream, settled = stream[min(size, len(stream)):], false
	}
}

// mustDescribe has a strict reader read a description.
func mustDescribe(t *testing.T, response *base.Response) bool {
	t.Helper()
	if response.StatusCode != base.StatusOK {
		return false
	}
	var parsed strict.SessionDescription
	var desc description.Session
	if err := parsed.Unmarshal(response.Body); err != nil {
		t.Fatalf("%v: %q", err, response.Body)
	}
	if err := desc.Unmarshal(&parsed); err != nil {
		t.Fatalf("%v: %q", err, response.Body)
	}
	if _, err := base.ParseURL(response.Header["Content-Base"][0]); err != nil {
		t.Fatal(err)
	}
	return true
}

func note(got map[string]string, d answer.Described) {
	format := func(c *sdp.Chosen) string { return fmt.Sprint(c.Codec, " ", c.PayloadType, " ", c.Clock) }
	if d.Video != nil {
		got["video"] = format(d.Video) + fmt.Sprint(" sets=", len(d.Video.ParameterSets()))
		got["video at"] = strings.Join(d.VideoURLs, " ")
	}
	if d.Audio != nil {
		got["audio"] = format(d.Audio)
		got["audio at"] = strings.Join(d.AudioURLs, " ")
	}
	got["base"] = d.Base
	got["other video"], got["other audio"] = strings.Join(d.OtherVideo, ", "), strings.Join(d.OtherAudio, ", ")
}

// FuzzCameras reads arbitrary bytes of a camera. The output can always be read by a strict reader.
func FuzzCameras(f *testing.F) {
	files, err := filepath.Glob("testdata/cameras/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	methods := []string{"OPTIONS", "DESCRIBE", "SETUP", "PLAY"}
	for _, file := range files {
		camera, err := script.Load(file)
		if err != nil {
			f.Fatal(err)
		}
		for i, method := range methods {
			r := request(method, cameraURL, 1, "RTP/AVP/TCP;unicast;interleaved=0-1")
			f.Add(byte(i), camera.Converse(1, time.Now()).Answer(r, nil).Bytes)
		}
	}
	f.Fuzz(func(t *testing.T, i byte, stream []byte) {
		d := &answer.Conversation{}
		method := methods[int(i)%len(methods)]
		d.Sent(fmt.Appendf(nil, "%s %s RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n", method, cameraURL))
		for settled := false; len(stream) > 0; {
			kind, size, patience := answer.First(stream, settled)
			if kind == answer.Unknown {
				if patience == 0 || settled {
					return
				}
				settled = true
				continue
			}
			if size <= 0 {
				t.Fatalf("%v of %d bytes", kind, size)
			}
			if kind == answer.Message {
				if size > len(stream) {
					t.Fatalf("a message of %d bytes of %d", size, len(stream))
				}
				mustBeStrict(t, d, d.Repair(stream[:size]))
			}
			stream, settled = stream[min(size, len(stream)):], false
		}
	})
}

// mustBeStrict has a strict reader read a repaired message.
func mustBeStrict(t *testing.T, d *answer.Conversation, message []byte) {
	t.Helper()
	if message == nil {
		return
	}
	reader := bufio.NewReader(bytes.NewReader(message))
	if !bytes.HasPrefix(message, []byte("RTSP/")) {
		if err := new(base.Request).Unmarshal(reader); err != nil {
			t.Fatalf("%v: %q", err, message)
		}
		return
	}
	var response base.Response
	if err := response.Unmarshal(reader); err != nil || reader.Buffered() > 0 {
		t.Fatalf("%v, %d bytes behind: %q", err, reader.Buffered(), message)
	}
	if values, ok := response.Header["Transport"]; ok {
		if err := new(headers.Transport).Unmarshal(values); err != nil {
			t.Fatalf("%v: %q", err, message)
		}
	}
	if values, ok := response.Header["Session"]; ok {
		if err := new(headers.Session).Unmarshal(values); err != nil {
			t.Fatalf("%v: %q", err, message)
		}
	}
	if values, ok := response.Header["RTP-Info"]; ok {
		if err := new(headers.RTPInfo).Unmarshal(values); err != nil {
			t.Fatalf("%v: %q", err, message)
		}
	}
	if len(response.Body) > 0 {
		mustDescribe(t, &response)
		described := d.Described()
		for _, url := range slices.Concat(described.Bases, described.VideoURLs, described.AudioURLs) {
			if _, err := base.ParseURL(url); err != nil {
				t.Fatal(err)
			}
		}
	}
}
