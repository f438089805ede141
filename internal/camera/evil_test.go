package camera_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera"
)

// entries are where a camera can place text in its answers, by method, with the text at %s.
var entries = map[string]map[string]string{
	"reason of OPTIONS":  {"OPTIONS": "RTSP/1.0 500 %s\r\n"},
	"reason of DESCRIBE": {"DESCRIBE": "RTSP/1.0 499 %s\r\n"},
	"reason of SETUP":    {"SETUP": "RTSP/1.0 499 %s\r\n"},
	"reason of PLAY":     {"PLAY": "RTSP/1.0 499 %s\r\n"},
	"protocol":           {"OPTIONS": "%s 200 OK\r\n"},
	"status":             {"OPTIONS": "RTSP/1.0 %s OK\r\n"},
	"header":             {"DESCRIBE": "RTSP/1.0 200 OK\r\n%s: %[1]s\r\n"},
	"realm":              {"DESCRIBE": "RTSP/1.0 401 No\r\nWWW-Authenticate: Digest realm=\"%s\", nonce=\"n\", algorithm=X\r\n"},
	"algorithm":          {"DESCRIBE": "RTSP/1.0 401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=\"%s\"\r\n"},
	"qop":                {"DESCRIBE": "RTSP/1.0 401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"%s\"\r\n"},
	"location":           {"DESCRIBE": "RTSP/1.0 302 Found\r\nLocation: %s\r\n"},
	"path of a location": {"DESCRIBE": "RTSP/1.0 302 Found\r\nLocation: rtsp://127.0.0.1:1/%s\r\n"},
	"content type":       {"DESCRIBE": "RTSP/1.0 200 OK\r\nContent-Type: %s\r\n"},
	"content base":       {"DESCRIBE": "RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\nContent-Base: rtsp:\\\\%s\r\n"},
	"session":            {"SETUP": "RTSP/1.0 200 OK\r\nSession: ;timeout=%s\r\n"},
	"transport":          {"SETUP": "RTSP/1.0 200 OK\r\nTransport: %s\r\n"},
}

// descriptions are where a camera can place text in a session description.
var descriptions = map[string]string{
	"codec":       "m=video 0 RTP/AVP 96\r\na=rtpmap:96 %s/90000\r\n",
	"many codecs": "m=video 0 RTP/AVP 96\r\na=rtpmap:96 X%s/90000\r\n",
	"line":        "%s\r\n",
	"attribute":   "a=%s\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n",
	"parameters":  "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 sprop-parameter-sets=%s\r\n",
	"control":     "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:rtsp://127.0.0.1:1/%s\r\n",
	"media":       "m=%s 0 RTP/AVP 96\r\n",
}

// evilCamera answers all requests correctly, except for those in answers.
func evilCamera(t *testing.T, answers map[string]string, media string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for line, header := range testtools.Requests(conn) {
					method, _, _ := strings.Cut(line, " ")
					head, body := answers[method], ""
					if head == "" {
						head = "RTSP/1.0 200 OK\r\n"
						switch method {
						case "DESCRIBE":
							head, body = head+"Content-Type: application/sdp\r\n", "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n"+media
						case "SETUP":
							head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
						}
					}
					fmt.Fprintf(conn, "%sCSeq: %s\r\nContent-Length: %d\r\n\r\n%s", head, header.Get("CSeq"), len(body), body)
				}
			}()
		}
	}()
	return "rtsp://user:password@" + listener.Addr().String() + "/x"
}

// TestNothingOfACameraIsShownAsItCame puts malicious texts in every place where a camera can send text, and checks what status shows.
func TestNothingOfACameraIsShownAsItCame(t *testing.T) {
	t.Parallel()
	good := strings.ReplaceAll(descriptions["parameters"], "a=fmtp:96 sprop-parameter-sets=%s\r\n", "a=control:t\r\n")
	shown := make(chan string, 10_000)
	for what, text := range testtools.EvilTexts {
		for entry, answers := range entries {
			filled := make(map[string]string)
			for method, answer := range answers {
				filled[method] = fmt.Sprintf(answer, text)
			}
			t.Run(entry+", "+what, func(t *testing.T) { mustShowClean(t, evilCamera(t, filled, good), shown) })
		}
		for entry, description := range descriptions {
			media := fmt.Sprintf(description, text)
			if entry == "many codecs" {
				media = ""
				for i := range 1500 {
					media += fmt.Sprintf(description, fmt.Sprint(i, text[:min(len(text), 20)]))
				}
			}
			t.Run(entry+", "+what, func(t *testing.T) { mustShowClean(t, evilCamera(t, nil, media), shown) })
		}
	}
	t.Cleanup(func() {
		if n := len(shown); n < len(testtools.EvilTexts)*(len(entries)+len(descriptions))/2 {
			t.Errorf("only %d sentences were made: the test does not test much", n)
		}
	})
}

// mustShowClean probes a camera as check does, and checks the texts of its fault.
func mustShowClean(t *testing.T, url string, shown chan<- string) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
	defer cancel()
	_, err := camera.Probe(ctx, secret.New(url), camera.Options{Transport: camera.TransportTCP})
	var fault *health.Fault
	if !errors.As(err, &fault) {
		return // it waits for more
	}
	shown <- fault.Text
	part := health.NewRegistry(time.Now).Component("door", health.JobRecorder)
	part.Report(health.ScopeRecord, health.Failed, fault)
	snapshot, err := json.Marshal(part.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fault.Text, fault.Error(), string(snapshot)} {
		if why := testtools.Harm(text, 2*health.MaxText); why != "" {
			t.Errorf("%.300q %s", text, why)
		}
	}
	if len([]rune(fault.Text)) > health.MaxText || !strings.HasSuffix(fault.Text, ".") && !strings.HasSuffix(fault.Text, "…") {
		t.Errorf("the sentence is not complete: %q", fault.Text)
	}
}

// TestManyCodecsMakeOneSentence: the sentence still says what to do.
func TestManyCodecsMakeOneSentence(t *testing.T) {
	t.Parallel()
	media := ""
	for i := range 1500 {
		media += fmt.Sprintf("m=video 0 RTP/AVP 96\r\na=rtpmap:96 C%d/90000\r\n", i)
	}
	_, err := camera.Probe(t.Context(), secret.New(evilCamera(t, nil, media)), camera.Options{Transport: camera.TransportTCP})
	if err == nil || len(err.Error()) > 1000 || !strings.HasSuffix(err.Error(), "set its stream to H.264 or H.265.") {
		t.Errorf("%v", err)
	}
}
