package iotcreds

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

const (
	ticket       = "hunter2ticket"
	exchangePath = "/2016-11-01/credentialprovider/"
)

// core is the token exchange service of a Greengrass core.
type core struct {
	t       *testing.T
	address string
	server  *httptest.Server

	mu       sync.Mutex
	handler  http.HandlerFunc // guarded by mu, as below
	requests int
}

func newCore(t *testing.T) *core {
	t.Helper()
	c := &core{t: t, address: "127.0.0.1:0"}
	c.start()
	t.Cleanup(c.stop)
	return c
}

// start listens where it did before.
func (c *core) start() {
	c.t.Helper()
	l, err := net.Listen("tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.address = l.Addr().String()
	c.server = &httptest.Server{Listener: l, Config: &http.Server{Handler: c}}
	c.server.Start()
}

func (c *core) stop() { c.server.Close() }

func (c *core) answer(h http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handler, c.requests = h, 0
}

func (c *core) asked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
}

// ServeHTTP implements http.Handler: as the nucleus does, it says nothing to those without the token.
func (c *core) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	handler := c.handler
	c.requests++
	c.mu.Unlock()
	switch {
	case r.URL.Path != exchangePath:
		w.WriteHeader(http.StatusBadRequest)
	case r.Header.Get("Authorization") != ticket:
		w.WriteHeader(http.StatusForbidden)
	default:
		handler(w, r)
	}
}

// credentials answers with numbered credentials that end then.
func credentials(number int, until time.Time) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{
			"AccessKeyId": fmt.Sprintf("ASIA%d", number), "SecretAccessKey": "hunter2secret", "Token": "hunter2token",
			"Expiration": until.UTC().Format(time.RFC3339),
		})
	}
}

func says(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// component is the agent's side.
type component struct {
	*rig
	lines *observer.ObservedLogs
}

func (c *core) component(t *testing.T, token string) component {
	t.Helper()
	wall := newClock(time.Now())
	part := health.NewRegistry(wall.Now).Component("", health.JobCloud)
	logs, lines := observer.New(zapcore.DebugLevel)
	p, err := NewTokenExchange(TokenExchange{URL: "http://" + c.address + exchangePath, Token: secret.New(token)}, Options{
		Now: wall.Now, Health: part, Timeout: time.Minute, Log: zap.New(logs),
		Retry: backoff.Policy{Min: time.Millisecond, Max: time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	return component{&rig{Provider: p, clock: wall, part: part}, lines}
}

func (c component) worst() health.Condition {
	worst, _ := c.part.Snapshot().Worst()
	return worst
}

func TestGreengrassGivesCredentialsAndRenewsThem(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	f := c.component(t, ticket)
	c.answer(credentials(1, f.clock.Now().Add(time.Hour)))
	got, err := f.Retrieve(t.Context())
	if err != nil || got.AccessKeyID != "ASIA1" || got.SecretAccessKey != "hunter2secret" || got.SessionToken != "hunter2token" ||
		!got.CanExpire {
		t.Fatalf("got %s, %v", got.AccessKeyID, err)
	}
	// Until 5 min before their end Greengrass would give the same again.
	if left := got.Expires.Sub(f.clock.Now()); left < 55*time.Minute || left > 56*time.Minute {
		t.Errorf("to be renewed in %v, want less than 5 min before the hour is over", left)
	}
	f.clock.Advance(54 * time.Minute)
	c.answer(credentials(2, f.clock.Now().Add(time.Hour)))
	if got, err := f.Retrieve(t.Context()); err != nil || got.AccessKeyID != "ASIA1" || c.asked() != 0 {
		t.Errorf("after 54 min: %s, %v, asked %d times", got.AccessKeyID, err, c.asked())
	}
	f.clock.Advance(3 * time.Minute)
	if got, err := f.Retrieve(t.Context()); err != nil || got.AccessKeyID != "ASIA2" {
		t.Errorf("after 57 min: %s, %v, want the new ones", got.AccessKeyID, err)
	}
}

// TestTheEndOfGreengrassCredentialsFollowsTheClock: a hub without a battery for its clock boots hours
// behind. Counted from then on, credentials of an hour would seem good for hours longer.
func TestTheEndOfGreengrassCredentialsFollowsTheClock(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	// With time.Now, whose monotonic reading no step of the clock changes.
	p, err := NewTokenExchange(TokenExchange{URL: "http://" + c.address + exchangePath, Token: secret.New(ticket)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(4 * time.Hour).Truncate(time.Second)
	c.answer(credentials(1, end))
	if _, err := p.Retrieve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.expires != p.expires.Round(0) || !p.expires.Equal(end) {
		t.Errorf("the end is %v, want the time of day %v and no monotonic reading", p.expires, end)
	}
}

func TestGreengrassThatIsNotThereYetIsAskedAgain(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	c.stop()
	f := c.component(t, ticket)
	if _, err := f.Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(),
		"check that the component aws.greengrass.TokenExchangeService runs") {
		t.Errorf("with the service down: %v", err)
	}
	if w := f.worst(); w.Code != codeNetwork || w.Severity != health.Failed || w.Class != health.SystemError {
		t.Errorf("condition %+v", w)
	}
	c.start()
	c.answer(credentials(1, f.clock.Now().Add(time.Hour)))
	f.clock.Advance(time.Second)
	if _, err := f.Retrieve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(f.part.Snapshot().Conditions); n != 0 {
		t.Errorf("%d conditions are left after the recovery", n)
	}
}

func TestCredentialsOutliveGreengrassUntilTheirEnd(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	f := c.component(t, ticket)
	c.answer(credentials(1, f.clock.Now().Add(time.Hour)))
	if _, err := f.Retrieve(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.stop()
	f.clock.Advance(57 * time.Minute)
	if got, err := f.Retrieve(t.Context()); err != nil || got.AccessKeyID != "ASIA1" {
		t.Errorf("with 3 min left: %v", err)
	}
	if w := f.worst(); w.Code != codeNetwork || w.Severity != health.Degraded {
		t.Errorf("condition %+v", w)
	}
	f.clock.Advance(4 * time.Minute)
	if _, err := f.Retrieve(t.Context()); err == nil {
		t.Error("credentials past their end were served")
	}
	if w := f.worst(); w.Severity != health.Failed {
		t.Errorf("condition %+v", w)
	}
	c.start()
	c.answer(credentials(2, f.clock.Now().Add(time.Hour)))
	f.clock.Advance(time.Second)
	if got, err := f.Retrieve(t.Context()); err != nil || got.AccessKeyID != "ASIA2" {
		t.Errorf("after the service's return: %v", err)
	}
}

// TestWhatGreengrassRefusesIsOneSentence: the nucleus repeats answers of AWS IoT with credentials in
// them when it cannot use them, so no text of it may be shown.
func TestWhatGreengrassRefusesIsOneSentence(t *testing.T) {
	t.Parallel()
	bad := `Bad TES response: {"credentials":{"secretAccessKey":"hunter2secret"}}`
	for name, row := range map[string]struct {
		token   string
		handler http.HandlerFunc
		code    string
		class   health.Class
		says    string
	}{
		"token of another start": {"hunter2old", says(200, ""), codeToken, health.UserError, "restart the component"},
		"alias not allowed": {ticket, says(403, "TES responded with status code: 403. Caching response. hunter2"), codeRoleAlias,
			health.UserError, "must allow iot:AssumeRoleWithCertificate"},
		"alias unknown": {ticket, says(404, "TES responded with status code: 404. Caching response. hunter2"), codeRoleAlias,
			health.UserError, "iotRoleAlias"},
		"no network":             {ticket, says(500, "Failed to get connection"), codeService, health.SystemError, "HTTP status 500"},
		"unusable, with secrets": {ticket, says(500, bad), codeService, health.SystemError, "HTTP status 500"},
		"not JSON":               {ticket, says(200, "hunter2secret"), codeService, health.SystemError, "without credentials"},
		"empty":                  {ticket, says(200, "{}"), codeService, health.SystemError, "without credentials"},
		"already over":           {ticket, credentials(1, time.Now().Add(-time.Hour)), codeClock, health.UserError, "set the clock"},
		"redirect": {ticket, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		}, codeService, health.SystemError, "HTTP status 302"},
		"silent": {ticket, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, codeNetwork, health.SystemError,
			"does not answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCore(t)
			c.answer(row.handler)
			f := c.component(t, row.token)
			if name == "silent" {
				f.client.Timeout = 200 * time.Millisecond
			}
			_, err := f.Retrieve(t.Context())
			fault := health.FaultOf(err, "none")
			if fault == nil || fault.Code != row.code || fault.Class != row.class || !strings.Contains(fault.Text, row.says) {
				t.Fatalf("got %+v", fault)
			}
			var seen strings.Builder
			_, _ = fmt.Fprintf(&seen, "%v %+v %v %v %v", err, fault, fault.Err, f.Provider, f.part.Snapshot())
			for _, line := range f.lines.All() {
				_, _ = fmt.Fprintf(&seen, "\n%s %v", line.Message, line.ContextMap())
			}
			if f.lines.Len() != 1 || strings.Contains(seen.String(), "hunter2") {
				t.Errorf("%d lines of log, want 1; a secret is in:\n%s", f.lines.Len(), seen.String())
			}
		})
	}
}

func TestATokenGoesWithoutTLSOnlyToThisMachine(t *testing.T) {
	t.Parallel()
	for address, good := range map[string]bool{
		"http://localhost:1441/2016-11-01/credentialprovider/": true,
		"http://127.0.0.1:1441/":                               true,
		"http://[::1]:1441/":                                   true,
		"https://creds.example/":                               true,
		"http://169.254.170.2/v2/credentials":                  false,
		"http://localhost.example/":                            false,
		"http://192.0.2.1/":                                    false,
		"localhost:1441":                                       false,
		"":                                                     false,
	} {
		if _, err := NewTokenExchange(TokenExchange{URL: address}, Options{}); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// TestATokenInAFileIsReadForEachRequest as it is replaced in time.
func TestATokenInAFileIsReadForEachRequest(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	c.answer(credentials(1, time.Now().Add(time.Hour)))
	file := filepath.Join(t.TempDir(), "token")
	p, err := NewTokenExchange(TokenExchange{URL: "http://" + c.address + exchangePath, TokenFile: file}, Options{Now: time.Now,
		Retry: backoff.Policy{Min: time.Millisecond, Max: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ content, want string }{
		{"", "The file with the token for the token exchange service, " + file + ", cannot be read (no such file or directory)"},
		{"another", "does not accept this component's token"},
		{ticket + "\n", ""},
	} {
		if step.content != "" {
			if err := os.WriteFile(file, []byte(step.content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		testtools.Eventually(t, time.Minute, func() error {
			p.Invalidate()
			_, err := p.Retrieve(t.Context())
			if (err == nil) != (step.want == "") || err != nil && !strings.Contains(err.Error(), step.want) {
				return fmt.Errorf("with %q: %w", step.content, err)
			}
			return nil
		})
	}
}
