package camera

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/script"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// serveLike answers as a file says, until the camera is asked to play, and then hangs up. asked lists the methods, with the
// URLs of SETUP and PLAY.
func serveLike(t *testing.T, file string, config *tls.Config, refuse func(method, url string) bool) (url string, asked func() []string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	scheme := "rtsp://"
	if config != nil {
		listener, scheme = tls.NewListener(listener, config), "rtsps://"
	}
	var mu sync.Mutex
	var list []string
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			camera, err := script.Load(file)
			if err != nil {
				_ = conn.Close()
				return
			}
			go answerLike(conn, camera.Converse(1, time.Now()), refuse, func(method, url string) {
				mu.Lock()
				defer mu.Unlock()
				list = append(list, method+" "+url)
			})
		}
	}()
	return scheme + listener.Addr().String() + "/live", func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(list)
	}
}

func answerLike(conn net.Conn, camera *script.Conversation, refuse func(method, url string) bool, note func(method, url string)) {
	defer conn.Close()
	for line, header := range testtools.Requests(conn) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			return
		}
		note(fields[0], fields[1])
		if refuse != nil && refuse(fields[0], fields[1]) {
			_, _ = io.WriteString(conn, "RTSP/1.0 404 Not Found\r\nCSeq: "+header.Get("CSeq")+"\r\n\r\n")
			continue
		}
		request := script.Request{Method: fields[0], URL: fields[1], Header: header}
		if _, err := conn.Write(camera.Answer(request, nil).Bytes); err != nil || fields[0] == "PLAY" {
			return
		}
	}
}

// playLike plays a camera for one session, and returns its end.
func playLike(t *testing.T, url string) *accessunit.SessionEnd {
	t.Helper()
	source := NewSource(Options{
		URL:       func(context.Context) (secret.String, error) { return secret.New(url), nil },
		Transport: TransportTCP, Limits: Limits{Answer: 4 * time.Second},
	})
	var end *accessunit.SessionEnd
	if err := source.Play(t.Context(), accessunit.NewProbeSink(func() {})); !errors.As(err, &end) {
		t.Fatalf("it ends with %v", err)
	}
	return end
}

// firstPicture is a sink that ends the session at the first picture.
type firstPicture struct {
	*accessunit.ProbeSink
	stop context.CancelFunc
	came bool
}

func (s *firstPicture) AccessUnit([][]byte, uint32, time.Time) {
	s.came = true
	s.stop()
}

// eachOddCamera runs a test with each camera of answer/testdata.
func eachOddCamera(t *testing.T, run func(t *testing.T, file string, camera *script.File)) {
	t.Helper()
	files, err := filepath.Glob("answer/testdata/cameras/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			camera, err := script.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			run(t, file, camera)
		})
	}
}

// TestOddCamerasSendPictures plays each camera of answer/testdata until a picture arrives. Other tests cover those that send over UDP
// although TCP was requested, that describe a transport stream, or whose answer follows what looks like another session's
// frame.
func TestOddCamerasSendPictures(t *testing.T) {
	t.Parallel()
	eachOddCamera(t, func(t *testing.T, file string, like *script.File) {
		device, err := fakecam.Start(fakecam.Options{Like: like})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = device.Close() }()
		source := NewSource(Options{
			URL:       func(context.Context) (secret.String, error) { return secret.New(device.URL()), nil },
			Transport: TransportTCP, Limits: Limits{Answer: 4 * time.Second, Stall: 3 * time.Second, StallCheck: 100 * time.Millisecond},
		})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		sink := &firstPicture{accessunit.NewProbeSink(stop), stop, false}
		err = source.Play(ctx, sink)
		elsewhere := []string{"transport-udp", "transport-comma-in-ports", "transport-one-port", "message-frame-before"}
		multiplex := slices.ContainsFunc(like.Expect, func(line string) bool { return strings.HasPrefix(line, "video: MP2T") })
		playable := !multiplex && !slices.Contains(like.Expect, "video:") &&
			!slices.Contains(elsewhere, strings.TrimSuffix(filepath.Base(file), ".txt"))
		if playable && !sink.came {
			t.Errorf("%s: it ends with %v", like.About, err)
		}
	})
}

// TestOddCamerasAreAskedToPlay has the library play each camera of answer/testdata.
func TestOddCamerasAreAskedToPlay(t *testing.T) {
	t.Parallel()
	eachOddCamera(t, func(t *testing.T, file string, camera *script.File) {
		url, asked := serveLike(t, file, nil, nil)
		end := playLike(t, url)
		playable := !slices.Contains(camera.Expect, "video:") && !strings.Contains(file, "/transport-")
		plays := slices.ContainsFunc(asked(), func(line string) bool { return strings.HasPrefix(line, "PLAY ") })
		if strings.Contains(file, "frame-before") { // an earlier session's, as far as can be known
			return
		}
		if playable && !plays {
			t.Errorf("%s: it ends with %q after %q", camera.About, end.Fault.Text, asked())
		}
		if strings.Contains(end.Fault.Text, "failed: ") {
			t.Errorf("%s: it ends with %q", camera.About, end.Fault.Text)
		}
	})
}

// TestATrackIsAskedForByTheURLsThatItMayHave has cameras that each know only one of them.
func TestATrackIsAskedForByTheURLsThatItMayHave(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ file, setup, play string }{
		"relative":      {"control-relative-no-base", "/live/trackID=0", "/live"},
		"resolved":      {"control-slash", "/live/track1", "/live"},
		"as it is":      {"control-other-host", "rtsp://192.0.2.9:554/live/track1", "/live/"},
		"of the hub":    {"control-other-host", "/live/track1", "/live/"},
		"of the base":   {"content-base-relative", "/other/trackID=0", "/other/"},
		"of request":    {"content-base-relative", "/live/trackID=0", "/live"},
		"the track's":   {"control-relative-no-base", "/live/trackID=0", "/live/trackID=0"},
		"a double one":  {"control-slash", "/live//live/track1", "/live"},
		"of a location": {"content-base-location", "rtsp://camera.local/other/trackID=0", "rtsp://camera.local/other/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := func(url, want string) bool {
				_, path, _ := strings.Cut(strings.TrimPrefix(url, "rtsp://127.0.0.1"), "/")
				return url == want || "/"+path == want && strings.HasPrefix(url, "rtsp://127.0.0.1")
			}
			url, asked := serveLike(t, filepath.Join("answer/testdata/cameras", row.file+".txt"), nil, func(method, url string) bool {
				return method == "SETUP" && !is(url, row.setup) || method == "PLAY" && !is(url, row.play)
			})
			end := playLike(t, url)
			played := func(line string) bool { return strings.HasPrefix(line, "PLAY ") && is(line[5:], row.play) }
			if last := asked(); !slices.ContainsFunc(last, played) {
				t.Errorf("it ends with %q after %q", end.Fault.Text, last)
			}
		})
	}
}

// TestOddCamerasAreAskedToPlayOverTLS: messages within TLS are repaired, too.
func TestOddCamerasAreAskedToPlayOverTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS() // for its certificate
	defer server.Close()
	sum := sha256.Sum256(server.Certificate().Raw)
	config := &tls.Config{Certificates: server.TLS.Certificates}
	for _, name := range []string{
		"status-no-reason", "content-type-missing", "cseq-zero", "content-length-missing", "lines-lf", "transport-missing",
	} {
		t.Run(name, func(t *testing.T) {
			url, asked := serveLike(t, "answer/testdata/cameras/"+name+".txt", config, nil)
			end := playLike(t, url+"?fingerprint="+hex.EncodeToString(sum[:]))
			played := func(line string) bool { return strings.HasPrefix(line, "PLAY rtsps://") }
			if last := asked(); !slices.ContainsFunc(last, played) {
				t.Errorf("it ends with %q after %q", end.Fault.Text, last)
			}
		})
	}
}
