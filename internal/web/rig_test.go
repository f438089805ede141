package web

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/changes"
	"github.com/kvs-edge/kvs-edge-agent/internal/evidence/collect"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/history"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/lost"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/export"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/tally"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	viewPassword    = "a password to view"
	operatePassword = "a password to operate"
)

// lostAt is where in what a page asks for something was lost, as a part of it, and lostFrom where in the time line: that is the half of it
// from a quarter on.
const (
	lostAt   = 0.35
	lostFrom = (lostAt - 0.25) * 2
)

// rig is a Server in front of a local API.
type rig struct {
	*Server
	t        *testing.T
	url      string // without a slash at its end
	registry *health.Registry
	stop     func() // waits for the end
	store    *segment.Store
	device   *x509.Certificate // with which it signs evidence

	cannotSign atomic.Bool

	mu    sync.Mutex
	at    time.Time
	asked []string // what the local API did, and for whom
}

// newRig starts it, with the options changed.
func newRig(t *testing.T, change ...func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, at: time.Now(), registry: health.NewRegistry(time.Now)}
	dir, err := os.MkdirTemp("", "web") // a socket's path is short
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	store, err := segment.Open(segment.Options{Dir: filepath.Join(dir, "recordings"), Log: zap.NewNop()})
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	r.store = store
	state, err := statefile.Open(filepath.Join(dir, "state"), atomicfile.OS{})
	must(t, err)
	o := Options{Address: "127.0.0.1:0", AddressVariable: "ADDRESS", CertificateVariable: "CERT", KeyVariable: "KEY", Dir: state,
		Thing: "shop-7", Hostname: "hub7", Component: r.registry.Component("", health.JobAPI), Log: zap.NewNop(), Now: r.now}
	for _, f := range change {
		f(&o)
	}
	api, err := localapi.NewServer(localapi.Options{Socket: filepath.Join(dir, "agent.sock"), Store: store, Log: zap.NewNop(),
		Component: o.Component, Agent: r.signing(),
		Uploads: localapi.Uploads{Counted: uploaded{}}})
	must(t, err)
	o.API = api.Serve
	r.Server, err = New(o)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = api.Run(ctx) })
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	r.stop = func() { cancel(); running.Wait() }
	t.Cleanup(r.stop)
	return r
}

// await waits until it listens.
func (r *rig) await() *rig {
	r.t.Helper()
	testtools.Eventually(r.t, time.Minute, func() error {
		link, err := r.Link(localapi.WebLinkRequest{Role: "view"})
		r.url = strings.TrimSuffix(link.URL, "/")
		return err
	})
	return r
}

func (r *rig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = r.at.Add(d)
}

func (r *rig) note(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, what)
}

func (r *rig) done() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.asked, "\n")
}

// agent answers as a hub with two cameras does, one of which is not well.
func (r *rig) agent() localapi.Agent {
	started := time.Now().Add(-time.Hour)
	broken := status.Condition{Job: health.JobRecorder, Condition: health.Condition{Code: "camera", Class: health.SystemError,
		Severity: health.Failed, Text: "Nobody answers at rtsp://10.0.0.8: <b>check</b> its power & its cable.", Since: started}}
	return localapi.Agent{
		Changes: changes.New(changes.Options{Now: time.Now}),
		Snapshot: func() status.Snapshot {
			return status.Snapshot{Time: time.Now(), Version: "1.2.3", Thing: "shop-7", Started: started, Verdict: status.Degraded,
				Disk: status.Disk{Directory: "/var/lib/rec", FreeBytes: 4e11, TotalBytes: 1e12, Forecast: status.Forecast{Days: 31}},
				Streams: []status.Stream{
					{Name: "front-door", Wanted: status.Wanted{Record: "always", Keep: "30 days"},
						Recorder: status.Recorder{Job: status.Job{State: "recording"}, FPS: 25, BitrateBPS: 4e6, LastFrame: time.Now()},
						Uploader: status.Uploader{Job: status.Job{State: "uploading"}, BacklogBytes: 5e8, BacklogSeconds: 1000,
							BacklogDone: time.Now().Add(time.Hour)},
						Space: status.Space{UsedBytes: 2e10, LimitBytes: 1e11}},
					{Name: "yard", Recorder: status.Recorder{Job: status.Job{State: "connecting"}}, Conditions: []status.Condition{broken}},
				}}
		},
		History: past,
		Settings: func() []localapi.Setting {
			return []localapi.Setting{{Name: "AWS_REGION", Value: "eu-west-1", Origin: "file", Effect: "restart", Meaning: "The `region`."}}
		},
		AddHold: func(_ context.Context, in localapi.HoldRequest, by string) (localapi.Hold, error) {
			r.note("hold " + in.Stream + " by " + by)
			return localapi.Hold{ID: "1", Stream: in.Stream}, nil
		},
		Upload: func(_ context.Context, in localapi.UploadRequest, each func(localapi.UploadProgress)) error {
			r.note("upload " + in.Stream)
			each(localapi.UploadProgress{Total: 3, Done: 1, Bytes: 1000})
			each(localapi.UploadProgress{Total: 3, Done: 3, Bytes: 3000, Finished: true})
			return nil
		},
		Lost: func(_ string, from, to time.Time) []lost.Range {
			begin := from.Add(time.Duration(lostAt * float64(to.Sub(from))))
			return []lost.Range{{From: begin, To: begin.Add(10 * time.Minute), Reason: "it is too old"}}
		},
		Configured: func() []string { return []string{"front-door", "yard"} },
		Reload:     func() (localapi.Reloaded, error) { r.note("reload"); return localapi.Reloaded{}, nil },
		Check:      r.check,
		WebLink: func(localapi.WebLinkRequest) (localapi.WebLink, error) {
			r.note("link")
			return localapi.WebLink{}, nil
		},
		SetWebPassword: func(context.Context, localapi.WebPassword) error { r.note("password"); return nil },
	}
}

// signing is the agent with a certificate of its own, with which it signs evidence.
func (r *rig) signing() localapi.Agent {
	r.t.Helper()
	agent := r.agent()
	cert, key := testtools.DeviceFiles(r.t, r.t.TempDir(), "hub")
	pair, err := tls.LoadX509KeyPair(cert, key)
	must(r.t, err)
	r.device = pair.Leaf
	agent.EvidenceReady = func(stream string) error {
		if r.cannotSign.Load() {
			return health.UserFault(export.Code, nil, "Evidence of stream %s cannot be signed: there is no key.", stream)
		}
		return nil
	}
	agent.Evidence = func(ctx context.Context, span localapi.Span) (out localapi.Evidence, err error) {
		if err := agent.EvidenceReady(span.Stream); err != nil {
			return out, err
		}
		hub := collect.Hub{Thing: "shop-7", Version: "1", Clock: hubclock.New(hubclock.Options{}),
			Certificate: func() (*tls.Certificate, error) { return &pair, nil }}
		made, err := collect.Make(ctx, r.store, hub, span.Stream, span.From, span.To)
		return localapi.Evidence{From: made.From, To: made.To, Manifest: made.Manifest, Signature: made.Signature,
			Certificate: made.Certificate, Sums: made.Sums}, err
	}
	return agent
}

// past is how the hub was in the last four hours: an hour of them is missing.
func past(from time.Time) history.Series {
	h := history.New(history.Options{})
	for m := -240; m <= 0; m++ {
		if m > -120 && m < -60 {
			continue
		}
		n := int64(m + 240)
		h.Add(history.Sample{Time: time.Now().Add(time.Duration(m) * time.Minute), DiskUsed: 5e11 + n*4e8, DiskTotal: 1e12, LineSent: n * 3e6,
			LineReceived: n * 1e5, HasLine: true, BacklogBytes: map[string]int64{"front-door": 2e9 - n*6e6, "yard": 0},
			UsedBytes: map[string]int64{"front-door": 2e10, "yard": 0}})
	}
	return h.Since(from)
}

// uploaded is what was counted of uploads.
type uploaded struct{}

func (uploaded) Streams() []string { return []string{"front-door"} }

func (uploaded) Days(string) (map[string]tally.Day, time.Time) {
	days := make(map[string]tally.Day)
	for i := range 10 {
		days[time.Now().UTC().AddDate(0, 0, -i).Format(time.DateOnly)] = tally.Day{Bytes: int64(10-i) << 30, Fragments: 9000, Calls: 10}
	}
	return days, time.Time{}
}

// setPasswords sets that of both roles.
func (r *rig) setPasswords() *rig {
	r.t.Helper()
	must(r.t, r.SetPassword(r.t.Context(), localapi.WebPassword{Role: "view", Password: viewPassword}))
	must(r.t, r.SetPassword(r.t.Context(), localapi.WebPassword{Role: "operate", Password: operatePassword}))
	return r
}

// browser is a client with cookies, which says where its requests come from as browsers do.
type browser struct {
	*rig
	http   *http.Client
	header http.Header
}

func (r *rig) browser() *browser {
	r.t.Helper()
	jar, err := cookiejar.New(nil)
	must(r.t, err)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	r.t.Cleanup(transport.CloseIdleConnections)
	b := &browser{r, &http.Client{Jar: jar, Transport: transport, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, http.Header{}}
	b.header.Set("Origin", r.url)
	b.header.Set("Sec-Fetch-Site", "same-origin")
	return b
}

// do sends a request, with header instead of the usual ones where it has them; a value "-" leaves one out.
func (b *browser) do(method, path, body string, header ...string) (*http.Response, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, bytes.NewReader([]byte(body)))
	must(b.t, err)
	for name, values := range b.header {
		req.Header[name] = values
	}
	for i := 0; i+1 < len(header); i += 2 {
		switch {
		case header[i] == "Host":
			req.Host = header[i+1]
		case header[i+1] == "-":
			req.Header.Del(header[i])
		default:
			req.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := b.http.Do(req)
	must(b.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(b.t, err)
	return resp, strings.TrimSpace(string(text))
}

// want sends a request that must be answered with a status, and returns the answer's text.
func (b *browser) want(status int, method, path, body string, header ...string) string {
	b.t.Helper()
	resp, text := b.do(method, path, body, header...)
	if resp.StatusCode != status {
		b.t.Errorf("%s %s %q is answered %s: %s, want %d", method, path, header, resp.Status, text, status)
	}
	return text
}

// signedIn is a browser of a role.
func (r *rig) signedIn(role string) *browser {
	r.t.Helper()
	b := r.browser()
	link, err := r.Link(localapi.WebLinkRequest{Role: role})
	must(r.t, err)
	b.want(http.StatusOK, http.MethodPost, "/session", fmt.Sprintf(`{"link": %q}`, tokenOf(link)))
	return b
}

// tokenOf is the secret of a link.
func tokenOf(link localapi.WebLink) string {
	_, token, _ := strings.Cut(link.Path, "#link=")
	return token
}

func decode[T any](t *testing.T, text string) (value T) {
	t.Helper()
	must(t, json.Unmarshal([]byte(text), &value))
	return value
}

func command(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	return string(out), err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
