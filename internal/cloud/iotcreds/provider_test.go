package iotcreds

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a wall clock that a test moves.
type clock struct{ at atomic.Int64 }

func newClock(t time.Time) *clock {
	c := new(clock)
	c.at.Store(t.UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) Advance(d time.Duration) { c.at.Add(int64(d)) }

// endpoint is a credentials endpoint over mutual TLS.
type endpoint struct {
	*httptest.Server
	handler  atomic.Pointer[http.HandlerFunc]
	requests atomic.Int64
	ca       *iottest.Authority
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	e := &endpoint{ca: iottest.NewAuthority(t)}
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.requests.Add(1)
		(*e.handler.Load())(w, r)
	}))
	e.TLS = e.ca.Server()
	e.Config.ErrorLog = log.New(io.Discard, "", 0)
	e.StartTLS()
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) answer(h http.HandlerFunc) { e.handler.Store(&h) }

func good(expiration time.Time) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"credentials": map[string]any{
			"accessKeyId": "ASIAEXAMPLE", "secretAccessKey": "hunter2secret", "sessionToken": "hunter2token",
			"expiration": expiration.UTC().Format(time.RFC3339),
		}})
	}
}

func failing(status int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
	}
}

type rig struct {
	*Provider
	clock *clock
	part  *health.Component
}

func newRig(t *testing.T, address string, config *tls.Config, at time.Time) *rig {
	t.Helper()
	c := newClock(at)
	part := health.NewRegistry(c.Now).Component("", health.JobCloud)
	p, err := New(Options{
		Endpoint: address, RoleAlias: "camera-role", ThingName: "hub-1", TLS: config, Now: c.Now, Health: part,
		Timeout: time.Minute, Retry: backoff.Policy{Min: time.Millisecond, Max: time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{Provider: p, clock: c, part: part}
}

func (e *endpoint) rig(t *testing.T) *rig {
	t.Helper()
	return newRig(t, e.Listener.Addr().String(), e.ca.Device("hub-1"), time.Now())
}

func TestCredentialsComeOverMutualTLSWithTheThingName(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	var path, thing, subject string
	e.answer(func(w http.ResponseWriter, r *http.Request) {
		path, thing, subject = r.URL.Path, r.Header.Get("x-amzn-iot-thingname"), r.TLS.PeerCertificates[0].Subject.CommonName
		good(time.Now().Add(time.Hour))(w, r)
	})
	f := e.rig(t)
	c, err := f.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c.AccessKeyID != "ASIAEXAMPLE" || c.SecretAccessKey != "hunter2secret" || c.SessionToken != "hunter2token" || !c.CanExpire {
		t.Errorf("got %+v", c)
	}
	if path != "/role-aliases/camera-role/credentials" || thing != "hub-1" || subject != "hub-1" {
		t.Errorf("asked for %q as thing %q with the certificate of %q", path, thing, subject)
	}
	if left := c.Expires.Sub(f.clock.Now()); left < 53*time.Minute || left > 55*time.Minute {
		t.Errorf("to be renewed in %v, want 5 to 6 min before the hour is over", left)
	}
}

func TestManyCallersShareOneRequest(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	arrived, release := make(chan struct{}, 50), make(chan struct{})
	e.answer(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		good(time.Now().Add(time.Hour))(w, r)
	})
	f := e.rig(t)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if _, err := f.Retrieve(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	<-arrived
	close(release)
	group.Wait()
	if n := e.requests.Load(); n != 1 {
		t.Errorf("%d requests for 50 callers, want 1", n)
	}
}

func TestACallerThatGivesUpDoesNotFailTheOthers(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	arrived := make(chan struct{}, 2)
	release := make(chan struct{})
	e.answer(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
			good(time.Now().Add(time.Hour))(w, r)
		case <-r.Context().Done():
		}
	})
	f := e.rig(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { _, err := f.Retrieve(ctx); first <- err }()
	<-arrived
	second := make(chan error, 1)
	go func() { _, err := f.Retrieve(t.Context()); second <- err }()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the first caller got %v, want its own cancellation", err)
	}
	close(release)
	if err := <-second; err != nil {
		t.Errorf("the second caller got %v", err)
	}
	if conditions := f.part.Snapshot().Conditions; len(conditions) != 0 {
		t.Errorf("a cancelled request raised %v", conditions)
	}
}

// TestRows has what clouds do wrong, by its name in the recorder's TestRows.
func TestRows(t *testing.T) {
	t.Parallel()
	t.Run("creds-expire", func(t *testing.T) { t.Parallel(); renewedEarly(t) })
}

// renewedEarly has credentials that are renewed ahead of time, and that serve to their end while
// the endpoint is away.
func renewedEarly(t *testing.T) {
	e := newEndpoint(t)
	f := e.rig(t)
	e.answer(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", f.clock.Now().UTC().Format(http.TimeFormat))
		good(f.clock.Now().Add(time.Hour))(w, r)
	})
	if _, err := f.Retrieve(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.clock.Advance(53 * time.Minute)
	if _, err := f.Retrieve(t.Context()); err != nil || e.requests.Load() != 1 {
		t.Fatalf("after 53 min: %v, %d requests, want 1", err, e.requests.Load())
	}

	e.answer(failing(http.StatusServiceUnavailable, ""))
	f.clock.Advance(3 * time.Minute)
	for range 3 {
		c, err := f.Retrieve(t.Context())
		if err != nil || c.AccessKeyID == "" {
			t.Fatalf("with the endpoint away and 4 min left: %v", err)
		}
		if left := c.Expires.Sub(f.clock.Now()); left <= 0 || left > shortLife {
			t.Errorf("old ones are handed out for %v, want at most %v", left, shortLife)
		}
	}
	if worst, _ := f.part.Snapshot().Worst(); worst.Code != codeService || worst.Severity != health.Degraded {
		t.Errorf("condition %+v, want %s, degraded", worst, codeService)
	}
	if n := e.requests.Load(); n != 2 {
		t.Errorf("%d requests, want one failed renewal per backoff", n)
	}

	f.clock.Advance(5 * time.Minute)
	if _, err := f.Retrieve(t.Context()); err == nil {
		t.Error("credentials past their end were served")
	}
	e.answer(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", f.clock.Now().UTC().Format(http.TimeFormat))
		good(f.clock.Now().Add(time.Hour))(w, r)
	})
	f.clock.Advance(time.Second)
	if _, err := f.Retrieve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if conditions := f.part.Snapshot().Conditions; len(conditions) != 0 {
		t.Errorf("after the recovery there is still %v", conditions)
	}
}

func TestInvalidatedCredentialsAreReplaced(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.answer(good(time.Now().Add(time.Hour)))
	f := e.rig(t)
	retrieve := func(requests int64, why string) {
		t.Helper()
		if _, err := f.Retrieve(t.Context()); err != nil {
			t.Fatalf("%s: %v", why, err)
		}
		if n := e.requests.Load(); n != requests {
			t.Errorf("%s: %d requests in all, want %d", why, n, requests)
		}
	}
	retrieve(1, "at first")
	f.clock.Advance(time.Minute)
	retrieve(1, "a minute later")
	f.Invalidate()
	retrieve(2, "when a service refuses them")
	f.Invalidate()
	retrieve(2, "when another stream says the same")
	f.clock.Advance(time.Minute)
	e.answer(failing(http.StatusInternalServerError, ""))
	f.Invalidate()
	retrieve(3, "when there are no others")
}

func TestAFailedRetrieveIsRetriedAFewTimes(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.answer(func(w http.ResponseWriter, r *http.Request) {
		if e.requests.Load() < 3 {
			failing(http.StatusInternalServerError, "")(w, r)
			return
		}
		good(time.Now().Add(time.Hour))(w, r)
	})
	f := newRig(t, e.Listener.Addr().String(), e.ca.Device("hub-1"), time.Now())
	f.o.Now = time.Now
	if _, err := f.Retrieve(t.Context()); err != nil {
		t.Errorf("after two bad answers and a good one: %v", err)
	}
}

// TestWhichHostKnowsNoRoleAliases decides by the host's name where the answer is a bare 404, as from a proxy.
func TestWhichHostKnowsNoRoleAliases(t *testing.T) {
	t.Parallel()
	for endpoint, body := range map[string]string{
		"c0a1.credentials.iot.us-west-2.amazonaws.com no":                       `{"message":"Not Found"}`,
		"c0a1.credentials.iot.us-west-2.amazonaws.com no, as the data endpoint": `{"message":"Not Found","traceId":"0a"}`,
		"c0a1.credentials.iot-fips.us-west-2.amazonaws.com no":                  `{"message":"Not Found","traceId":"0a"}`,
		"C0A1.Credentials.IoT.us-west-2.amazonaws.com. no":                      `{"message":"Not Found","traceId":"0a"}`,
		"data.iot-fips.us-west-2.amazonaws.com yes":                             `{"message":"Not Found"}`,
		"a0b1-ats.iot.us-west-2.amazonaws.com yes":                              `{"message":"Not Found","traceId":"0a"}`,
		"a0b1-ats.iot.us-west-2.amazonaws.com yes, bare":                        ``,
		"a0b1-ats.iot.us-west-2.amazonaws.com no":                               `{"message":"Role alias does not exist"}`,
		"proxy.example no": ``,
	} {
		host, want, _ := strings.Cut(endpoint, " ")
		p := &Provider{o: Options{Endpoint: host}}
		if got := p.otherEndpoint(awserr.Parse(http.StatusNotFound, nil, []byte(body))); got != strings.HasPrefix(want, "yes") {
			t.Errorf("%s with %s: %v", endpoint, body, got)
		}
	}
}

func TestEveryFailureHasItsOwnSentence(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })

	type setup struct {
		handler http.HandlerFunc
		address string // instead of the server's
		device  func(*iottest.Authority) *tls.Config
		at      time.Time // the hub's clock
		timeout time.Duration
	}
	now := time.Now()
	device := func(ca *iottest.Authority) *tls.Config { return ca.Device("hub-1") }
	stranger := func(ca *iottest.Authority) *tls.Config {
		c := iottest.NewAuthority(t).Device("hub-1")
		c.RootCAs = ca.Pool()
		return c
	}
	rows := map[string]struct {
		setup
		code  string
		class health.Class
		says  string
	}{
		"alias unknown": {setup{handler: failing(404, "Role alias does not exist")}, codeRoleAlias, health.UserError,
			"role alias camera-role does not exist"},
		"the data endpoint": {setup{handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"message":"Not Found","traceId":"0a1b2c3d-0000"}`)
		}}, codeService, health.UserError, "is not the credentials endpoint of AWS IoT"},
		"alias not allowed": {setup{handler: failing(403, "Access Denied")}, codeRoleAlias, health.UserError,
			"must allow iot:AssumeRoleWithCertificate"},
		"thing refused": {setup{handler: failing(400, "Invalid thing name passed")}, codeRoleAlias, health.UserError, "refuses thing hub-1"},
		"cert refused, 403": {setup{handler: failing(403, "Invalid certificate")}, codeCertificate, health.UserError,
			"refuses the device certificate"},
		"cert refused, TLS": {setup{handler: good(now.Add(time.Hour)), device: stranger}, codeCertificate, health.UserError,
			"refuses the device certificate"},
		"cert over": {setup{handler: good(now.Add(time.Hour)), device: func(ca *iottest.Authority) *tls.Config {
			c := ca.Device("x")
			c.Certificates[0] = ca.Issue("x", now.Add(-2*time.Hour), now.Add(-time.Hour))
			return c
		}}, codeCertificate, health.UserError, "renew the certificate"},
		"cert over, replaced since, and refused": {setup{handler: failing(403, "Invalid certificate"),
			device: func(ca *iottest.Authority) *tls.Config {
				c := ca.Device("hub-1")
				replaced := c.Certificates[0]
				c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &replaced, nil }
				c.Certificates = []tls.Certificate{ca.Issue("hub-1", now.Add(-2*time.Hour), now.Add(-time.Hour))}
				return c
			}}, codeCertificate, health.UserError, "refuses the device certificate"},
		"cert not yet valid": {setup{handler: good(now.Add(time.Hour)), device: func(ca *iottest.Authority) *tls.Config {
			c := ca.Device("x")
			c.Certificates[0] = ca.Issue("x", now.Add(time.Hour), now.Add(2*time.Hour))
			return c
		}}, codeClock, health.UserError, "set the clock"},
		"clock an hour off": {setup{handler: failing(403, "denied"), at: now.Add(30 * time.Minute)}, codeClock, health.UserError, "30 min ahead"},
		"wrong CA": {setup{handler: good(now.Add(time.Hour)),
			device: func(*iottest.Authority) *tls.Config { return iottest.NewAuthority(t).Device("x") }}, codeTrust, health.UserError,
			"not signed by a CA in AWS_IOT_CA_CERT"},
		"no such name": {setup{handler: failing(500, ""), address: "hub.invalid:443"}, codeNetwork, health.SystemError,
			"cannot be resolved"},
		"nobody there": {setup{handler: failing(500, ""), address: testtools.HeldAddress(t, "127.0.0.1")}, codeNetwork, health.SystemError,
			"cannot be reached"},
		"black hole": {setup{handler: failing(500, ""), address: silent.Addr().String(), timeout: 200 * time.Millisecond}, codeNetwork,
			health.SystemError, "does not answer"},
		"service broken": {setup{handler: failing(500, "")}, codeService, health.SystemError, "HTTP status 500"},
		"redirect":       {setup{handler: failing(302, "")}, codeService, health.SystemError, "HTTP status 302"},
		"not JSON": {setup{handler: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }}, codeService,
			health.SystemError, "without credentials"},
		"empty object": {setup{handler: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }}, codeService,
			health.SystemError, "without credentials"},
		"already over": {setup{handler: good(now.Add(-time.Hour))}, codeService, health.SystemError, "expired at"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEndpoint(t)
			e.answer(row.handler)
			if row.device == nil {
				row.device = device
			}
			if row.address == "" {
				row.address = e.Listener.Addr().String()
			}
			if row.at.IsZero() {
				row.at = now
			}
			f := newRig(t, row.address, row.device(e.ca), row.at)
			if row.timeout > 0 {
				f.client.Timeout = row.timeout
			}
			_, err := f.fetch(t.Context())
			f.report(err)
			var fault *health.Fault
			if !errors.As(err, &fault) {
				t.Fatalf("got %v, want a fault", err)
			}
			if fault.Code != row.code || fault.Class != row.class || !strings.Contains(fault.Text, row.says) {
				t.Errorf("got %s %s: %s\nwant %s %s with %q (cause %v)", fault.Code, fault.Class, fault.Text, row.code, row.class, row.says, fault.Err)
			}
			if worst, _ := f.part.Snapshot().Worst(); worst.Code != row.code {
				t.Errorf("condition %+v, want %s", worst, row.code)
			}
		})
	}
}

func TestAWrongClockDoesNotMakeGoodCredentialsLookExpired(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	real := time.Now()
	e.answer(good(real.Add(time.Hour)))
	f := newRig(t, e.Listener.Addr().String(), e.ca.Device("hub-1"), real.Add(20*time.Minute))
	// The device certificate of the test ends in an hour: 20 min ahead is still within it.
	c, err := f.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if left := c.Expires.Sub(f.clock.Now()); left < 53*time.Minute {
		t.Errorf("to be renewed in %v, want the full life", left)
	}
	if worst, ok := f.part.Snapshot().Worst(); ok {
		t.Errorf("got condition %+v, want none: the hub's clock has its own condition", worst)
	}
}

func TestNothingPrintsTheCredentials(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.answer(good(time.Now().Add(time.Hour)))
	f := e.rig(t)
	if _, err := f.Retrieve(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%s"} {
		if text := fmt.Sprintf(format, f.Provider); strings.Contains(text, "hunter2") {
			t.Errorf("%s shows the credentials: %s", format, text)
		}
	}
}

func TestMissingOptionsAreNamed(t *testing.T) {
	t.Parallel()
	full := Options{Endpoint: "https://x:1/", RoleAlias: "r", ThingName: "t", TLS: &tls.Config{}}
	if _, err := New(full); err != nil {
		t.Fatal(err)
	}
	for _, damage := range []func(*Options){
		func(o *Options) { o.Endpoint = "" }, func(o *Options) { o.RoleAlias = "" },
		func(o *Options) { o.ThingName = "" }, func(o *Options) { o.TLS = nil },
	} {
		o := full
		damage(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}
