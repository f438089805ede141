package awsclient

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

// dated is a service whose clock is off by so much, over TLS or in the clear.
func dated(t *testing.T, secure bool, off time.Duration, age string) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
		if age != "" {
			w.Header().Set("Age", age)
		}
		_, _ = w.Write([]byte(answer))
	}))
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

func unsynchronised() *hubclock.Clock {
	return hubclock.New(hubclock.Options{Synchronised: func() bool { return false }})
}

// The hub's clock is compared with what verified services show, by whatever client they are asked.
func TestTheDateOfAnAnswer(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		secure bool
		off    time.Duration
		age    string
		want   hubclock.Trust
	}{
		"it agrees":         {secure: true, want: hubclock.ByService},
		"it is a minute on": {secure: true, off: time.Minute},
		"in the clear":      {},
		"out of a cache":    {secure: true, age: "0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := dated(t, row.secure, row.off, row.age)
			o := Options{Region: "us-west-2", Credentials: keys}
			if row.secure {
				o.CABundle = fileOf(t, server.Certificate())
			}
			for by, ask := range map[string]func(Config) error{
				"HTTP": func(c Config) error {
					response, err := c.HTTP().Get(server.URL)
					if err == nil {
						_ = response.Body.Close()
					}
					return err
				},
				"the SDK": func(c Config) error {
					sdk := c.SDK(endpoint.STS)
					sdk.BaseEndpoint, sdk.RetryMaxAttempts = &server.URL, 1
					_, err := sts.NewFromConfig(sdk).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
					return err
				},
			} {
				o.Clock = unsynchronised()
				c, err := Load(t.Context(), o)
				must(t, err)
				must(t, ask(c))
				c.HTTP().CloseIdleConnections()
				if got := o.Clock.Trust(); got != row.want {
					t.Errorf("by %s: %s, want %s", by, got, row.want)
				}
			}
		})
	}
}

// Requests are dated by the service's clock once its time is known, also where the server adds a Date of its own.
func TestSignaturesFollowTheServicesClock(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		secure bool
		dates  []time.Duration
		age    string
		want   time.Duration
	}{
		"it agrees":              {true, []time.Duration{0}, "", 0},
		"10 min on":              {true, []time.Duration{10 * time.Minute}, "", 10 * time.Minute},
		"a day back":             {true, []time.Duration{-24 * time.Hour}, "", -24 * time.Hour},
		"in the clear":           {false, []time.Duration{10 * time.Minute}, "", 10 * time.Minute},
		"after the server's own": {true, []time.Duration{0, time.Hour}, "", time.Hour},
		"out of a cache":         {true, []time.Duration{time.Hour}, "3", 0},
		"none":                   {true, nil, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Date"] = nil
				for _, off := range row.dates {
					w.Header().Add("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
				}
				if row.age != "" {
					w.Header().Set("Age", row.age)
				}
			}))
			o := Options{Region: "us-west-2", Credentials: keys, Clock: unsynchronised()}
			if server.Start(); row.secure {
				server.Close()
				server = httptest.NewTLSServer(server.Config.Handler)
				o.CABundle = fileOf(t, server.Certificate())
			}
			t.Cleanup(server.Close)
			c, err := Load(t.Context(), o)
			must(t, err)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, nil)
			must(t, err)
			media := c.Media()
			answer, err := c.RoundTrip(media, request)
			must(t, err)
			_ = answer.Body.Close()
			media.CloseIdleConnections()
			now := time.Now()
			if got := c.SigningTime(now).Sub(now); (got - row.want).Abs() > 2*time.Second {
				t.Errorf("%s, want %s", got, row.want)
			}
		})
	}
}

// The Date of a server whose certificate was not verified is ignored.
func TestTheDateOfAServerThatIsNotVerified(t *testing.T) {
	t.Parallel()
	server := dated(t, true, 0, "")
	authority := iottest.NewAuthority(t)
	for verified, identity := range map[bool]*tls.Config{
		true: {RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs},
		false: {InsecureSkipVerify: true, Certificates: []tls.Certificate{authority.Issue("hub", time.Now().Add(-time.Hour),
			time.Now().Add(time.Hour))}},
	} {
		clock := unsynchronised()
		response, err := Device(DeviceOptions{TLS: identity, Timeout: time.Minute, Clock: clock}).Get(server.URL)
		must(t, err)
		_ = response.Body.Close()
		if clock.Trusted() != verified {
			t.Errorf("verified %v: the clock is trusted: %v", verified, clock.Trusted())
		}
	}
}
