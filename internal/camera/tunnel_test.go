package camera

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/webtunnel"
)

// tunnelled starts a camera behind a web server.
func tunnelled(t *testing.T, o webtunnel.Options, with fakecam.Options) (*fakecam.Camera, *webtunnel.Server) {
	t.Helper()
	camera, err := fakecam.Start(with)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = camera.Close() })
	return camera, webtunnel.New(t, hostOf(camera.URL()), o)
}

func hostOf(url string) string {
	a, err := parseEndpoint(secret.New(url))
	if err != nil {
		panic(err)
	}
	return a.host
}

var digestField = regexp.MustCompile(`(\w+)="?([^",]*)"?`)

// digest asks for a Digest, with a nonce of its own for each method, and checks the answer.
func digest(user, password string) func(r *http.Request) []string {
	sum := func(s string) string { h := md5.Sum([]byte(s)); return hex.EncodeToString(h[:]) }
	return func(r *http.Request) []string {
		nonce := "n" + r.Method
		fields := make(map[string]string)
		for _, f := range digestField.FindAllStringSubmatch(r.Header.Get("Authorization"), -1) {
			fields[f[1]] = f[2]
		}
		proof := nonce + ":" + fields["nc"] + ":" + fields["cnonce"] + ":auth:"
		want := sum(sum(user+":web:"+password) + ":" + proof + sum(r.Method+":"+r.RequestURI))
		if fields["response"] == want && fields["nonce"] == nonce {
			return nil
		}
		stale := fields["nonce"] != "" && fields["nonce"] != nonce
		return []string{fmt.Sprintf(`Digest realm="web", nonce="%s", qop="auth", stale=%v`, nonce, stale)}
	}
}

func basic(user, password string) func(r *http.Request) []string {
	return func(r *http.Request) []string {
		if u, p, ok := r.BasicAuth(); ok && u == user && p == password {
			return nil
		}
		return []string{`Basic realm="web"`}
	}
}

// TestRTSPGoesThroughHTTP probes a camera behind various web servers.
func TestRTSPGoesThroughHTTP(t *testing.T) {
	t.Parallel()
	config, pin := pinnedConfig(t)
	for _, c := range []struct {
		name   string
		server webtunnel.Options
		camera fakecam.Options
		scheme string // default rtsph
		user   string
		query  string
	}{
		{name: "QuickTime's"},
		{name: "with the camera's password", camera: fakecam.Options{User: "admin", Pass: "p@ss/1"}, user: "admin:p%40ss%2F1@"},
		{name: "Digest of both", server: webtunnel.Options{Authorize: digest("admin", "p")}, camera: fakecam.Options{User: "admin", Pass: "p"},
			user: "admin:p@"},
		{name: "Basic of the server", server: webtunnel.Options{Authorize: basic("admin", "p")}, user: "admin:p@"},
		{name: "chunks", server: webtunnel.Options{Chunked: true}},
		{name: "HTTP 1.1 only", server: webtunnel.Options{OnlyVersion: 1}},
		{name: "a POST is answered at once", server: webtunnel.Options{EarlyPost: true}},
		{name: "a POST for each message", server: webtunnel.Options{PostEnds: true}},
		{name: "a POST for each message, without an answer", server: webtunnel.Options{SilentEnd: true}},
		{name: "a POST is refused and read", server: webtunnel.Options{PostFails: true}},
		{name: "over TLS", server: webtunnel.Options{TLS: config}, scheme: "rtspsh", query: pin},
		{name: "chunks over TLS", server: webtunnel.Options{TLS: config, Chunked: true, PostEnds: true}, scheme: "rtsps+http", query: pin},
		{name: "found by itself", scheme: "rtsp"},
		{name: "found by itself with a password", server: webtunnel.Options{Authorize: digest("admin", "p")}, scheme: "rtspt", user: "admin:p@"},
		{name: "found by itself over TLS", server: webtunnel.Options{TLS: config}, scheme: "rtsps", query: pin},
		{name: "sent to another page", server: webtunnel.Options{Redirect: func(r *http.Request) string {
			if r.URL.Path == "/moved" {
				return ""
			}
			return "/moved"
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			camera, server := tunnelled(t, c.server, c.camera)
			_, path, _ := strings.Cut(strings.TrimPrefix(camera.URL(), "rtsp://"), "/")
			if c.scheme == "" {
				c.scheme = "rtsph"
			}
			url := c.scheme + "://" + c.user + server.Address() + "/" + path + c.query
			seen, err := Probe(t.Context(), secret.New(url), Options{})
			if err != nil {
				t.Fatalf("%v; the server was asked %v and got %q", err, server.Asked(), server.Got())
			}
			if seen.Width != 1920 || seen.Damaged {
				t.Errorf("seen: %+v", seen)
			}
			if strings.Contains(server.Got(), "rtsps://") {
				t.Errorf("the camera is asked for %q", server.Got())
			}
		})
	}
}

// TestASentenceWhereRTSPDoesNotGoThroughHTTP: no sentence contains words of a library.
func TestASentenceWhereRTSPDoesNotGoThroughHTTP(t *testing.T) {
	t.Parallel()
	config, _ := pinnedConfig(t)
	to := func(where string) func(*http.Request) string { return func(*http.Request) string { return where } }
	for _, c := range []struct {
		name, url, want string
		server          webtunnel.Options
	}{
		{"no such page", "rtsph://%s/live", "answers 404 to HTTP, and does not accept RTSP through HTTP",
			webtunnel.Options{Page: "404 Not Found"}},
		{"a page", "rtsph://%s/live", "answers a web page", webtunnel.Options{Page: "page"}},
		{"no rights", "rtsph://%s/live", "does not let this user", webtunnel.Options{Page: "403 Forbidden"}},
		{"busy", "rtsph://%s/live", "has no free session", webtunnel.Options{Page: "503 Busy"}},
		{"a wrong password", "rtsph://a:b@%s/live", "refuses the user name or password", webtunnel.Options{Authorize: digest("a", "c")}},
		{"no password", "rtsph://%s/live", "asks for a user name", webtunnel.Options{Authorize: basic("a", "c")}},
		{"a web server only", "rtsp://%s/live", "answers 404 to HTTP", webtunnel.Options{Page: "404 Not Found"}},
		{"in a circle", "rtsph://%s/live", "from one address to the next", webtunnel.Options{Redirect: to("/x")}},
		{"to nowhere", "rtsph://%s/live", "not one for RTSP", webtunnel.Options{Redirect: to("ftp://x")}},
		{"out of TLS", "rtspsh://%s/live", "is not trusted", webtunnel.Options{TLS: config}},
		{"TLS where HTTP was meant", "rtsph://%s/live", "closed the connection", webtunnel.Options{TLS: config}},
		{"HTTP where TLS was meant", "rtspsh://%s/live", "write rtsph:// instead of rtspsh://", webtunnel.Options{}},
		{"TLS where RTSP was meant", "rtsp://%s/live", "write rtsps:// for one with TLS", webtunnel.Options{TLS: config}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, server := tunnelled(t, c.server, fakecam.Options{})
			_, err := Probe(t.Context(), secret.New(fmt.Sprintf(c.url, server.Address())), Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestAWebRedirectOutOfTLSIsNotFollowed, nor is the password sent to another host.
func TestAWebRedirectOutOfTLSIsNotFollowed(t *testing.T) {
	t.Parallel()
	config, pin := pinnedConfig(t)
	_, other := tunnelled(t, webtunnel.Options{Authorize: basic("a", "b")}, fakecam.Options{})
	redirect := func(*http.Request) string { return "http://" + other.Address() + "/" }
	_, server := tunnelled(t, webtunnel.Options{TLS: config, Redirect: redirect}, fakecam.Options{})
	_, err := Probe(t.Context(), secret.New("rtspsh://a:b@"+server.Address()+"/live"+pin), Options{})
	if err == nil || !strings.Contains(err.Error(), "without TLS") || len(other.Asked()) > 0 {
		t.Errorf("got %v, and the other was asked %v", err, other.Asked())
	}
	_, server = tunnelled(t, webtunnel.Options{Redirect: redirect}, fakecam.Options{})
	_, err = Probe(t.Context(), secret.New("rtsph://a:b@"+server.Address()+"/live"), Options{})
	if err == nil || !strings.Contains(err.Error(), "asks for a password, and that is only given") {
		t.Errorf("got %v", err)
	}
}

// TestAWebServerIsRemembered: the next session does not try RTSP without HTTP first.
func TestAWebServerIsRemembered(t *testing.T) {
	t.Parallel()
	camera, server := tunnelled(t, webtunnel.Options{}, fakecam.Options{})
	_, path, _ := strings.Cut(strings.TrimPrefix(camera.URL(), "rtsp://"), "/")
	url := secret.New("rtsp://" + server.Address() + "/" + path)
	source := NewSource(Options{URL: func(context.Context) (secret.String, error) { return url, nil }})
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		sink := accessunit.NewProbeSink(cancel)
		_ = source.Play(ctx, sink)
		if sink.Keyframes() == 0 {
			t.Fatalf("nothing came; the server was asked %v", server.Asked())
		}
		cancel()
	}
	if asked := strings.Join(server.Asked(), " "); strings.Count(asked, "no HTTP") != 1 {
		t.Errorf("the server was asked %s", asked)
	}
}

// TestFFmpegPlaysTheTunnel shows that another client also plays from the server of these tests.
func TestFFmpegPlaysTheTunnel(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	camera, server := tunnelled(t, webtunnel.Options{}, fakecam.Options{})
	_, path, _ := strings.Cut(strings.TrimPrefix(camera.URL(), "rtsp://"), "/")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-rtsp_transport", "http", "-i", "rtsp://"+server.Address()+"/"+path,
		"-t", "1", "-c", "copy", "-f", "null", "-").CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
