// Package awsclient owns how the agent's requests travel to AWS: proxy, trusted roots, TLS versions,
// time-outs and the name that they carry. Nobody else builds an HTTP client for AWS, and a Config
// cannot exist without one. It must not know what is asked.
package awsclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
)

// product is the agent's name in the header User-Agent.
const product = "kvs-edge-agent"

const (
	// connectTimeout bounds a TCP connection, as in AWS's C producer.
	connectTimeout = 5 * time.Second
	// keepAlive is the interval of TCP's probes, for sessions that wait for media.
	keepAlive = 15 * time.Second
	// handshakeTimeout bounds TLS, as in the SDK.
	handshakeTimeout = 10 * time.Second
	// answerTimeout bounds the wait for an answer's header after a request was sent.
	answerTimeout = 15 * time.Second
	// idleTimeout and maxIdle bound the connections that are kept, as in the SDK.
	idleTimeout = 90 * time.Second
	maxIdle     = 10
)

// Options of Load.
type Options struct {
	Region      string
	Credentials aws.CredentialsProvider
	// Version of the agent, for the header User-Agent. Default: none is named.
	Version string
	// CABundle is a file with the roots to trust in place of the system's (AWS_CA_BUNDLE).
	CABundle string
	// Endpoints say which hosts are used. Default: the standard ones.
	Endpoints endpoint.Options
	// Clock is notified of the Date of every answer that came over verified TLS. Default: none is.
	Clock *hubclock.Clock
	// Meter counts the bytes of all connections. Default: none does.
	Meter *meter.Meter
	// CertFile is a file with roots to trust beside those of the system's directories
	// (SSL_CERT_FILE, see crypto/x509). CABundle takes precedence over it.
	CertFile string
}

// Config is an aws.Config with the agent's HTTP client. The zero value has one too: it trusts the
// system's roots, and has neither region nor credentials.
type Config struct {
	sdk       aws.Config
	base      *http.Transport
	version   string
	clock     *hubclock.Clock // nil: none is notified
	endpoints endpoint.Options
}

// Load sets the SDK up.
func Load(ctx context.Context, o Options) (Config, error) {
	cfg, err := load(ctx, config.WithRegion(o.Region), config.WithCredentialsProvider(o.Credentials), config.WithAppID(product))
	if err != nil {
		return Config{}, err
	}
	roots, err := rootsOf(o, cfg.HTTPClient)
	if err != nil {
		return Config{}, err
	}
	cfg.Credentials = o.Credentials // without the SDK's cache around it, which would hide Invalidate
	cfg.HTTPClient = nil
	if o.Version != "" {
		cfg.APIOptions = append(cfg.APIOptions, middleware.AddUserAgentKeyValue(product, o.Version))
	}
	return Config{sdk: cfg, base: newTransport(roots, o.Meter), version: o.Version, clock: o.Clock, endpoints: o.Endpoints}, nil
}

// Of completes a configuration of the SDK. Its HTTP client, if it has one, is taken over with its
// roots, its proxy and its time-outs; its BaseEndpoint is the host of all services.
func Of(cfg aws.Config) Config {
	c := Config{sdk: cfg, endpoints: endpoint.Options{Fixed: aws.ToString(cfg.BaseEndpoint)}}
	switch client := cfg.HTTPClient.(type) {
	case interface{ GetTransport() *http.Transport }: // the SDK's own
		c.base = client.GetTransport()
	case *http.Client:
		c.base, _ = client.Transport.(*http.Transport)
	}
	if c.base == nil {
		c.base = newTransport(nil, nil)
	}
	return c
}

// HTTP is the client for requests that the SDK does not make.
func (c Config) HTTP() *http.Client {
	return &http.Client{Transport: named{base: c.transport(), agent: c.UserAgent(), clock: c.clock}, CheckRedirect: c.redirected}
}

// UserAgent is what the agent's requests carry as their header User-Agent.
func (c Config) UserAgent() string { return UserAgent(c.version) }

// Region is the AWS region.
func (c Config) Region() string { return c.sdk.Region }

// Credentials is the provider of the hub's credentials; nil when there is none.
func (c Config) Credentials() aws.CredentialsProvider { return c.sdk.Credentials }

func (c Config) transport() *http.Transport {
	if c.base == nil {
		return newTransport(nil, nil)
	}
	return c.base
}

// UserAgent names the agent in that version; an empty one is left out.
func UserAgent(version string) string {
	if version == "" {
		return product
	}
	return product + "/" + version
}

// DeviceOptions of Device. TLS is required.
type DeviceOptions struct {
	TLS     *tls.Config // with the device's certificate
	Timeout time.Duration
	Version string          // of the agent
	Clock   *hubclock.Clock // is notified of the Date of every answer; nil: none is
	Meter   *meter.Meter    // counts the bytes; nil: none does
}

// Device is a client for an endpoint that authenticates the device by its certificate. It keeps no
// connection, since one request an hour is not worth one, and so follows a certificate that is replaced.
func Device(o DeviceOptions) *http.Client {
	t := newTransport(nil, o.Meter)
	t.TLSClientConfig = o.TLS.Clone()
	t.ForceAttemptHTTP2 = false
	t.DisableKeepAlives = true
	return single(t, o.Timeout, o.Version, o.Clock)
}

// Local is a client for a service on this machine: no proxy is asked, and nothing is counted.
func Local(timeout time.Duration, version string) *http.Client {
	t := newTransport(nil, nil)
	t.Proxy = nil
	t.DisableKeepAlives = true
	return single(t, timeout, version, nil)
}

// single is a client for single requests, which are answered by whom they are sent to.
func single(t *http.Transport, timeout time.Duration, version string, clock *hubclock.Clock) *http.Client {
	return &http.Client{
		Timeout:       timeout,
		Transport:     named{base: t, agent: UserAgent(version), clock: clock},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// newTransport is where every HTTP connection of the agent to AWS comes from. Without roots the system's
// are trusted.
func newTransport(roots *x509.CertPool, m *meter.Meter) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           Dial(m, connectTimeout),
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:   handshakeTimeout,
		ResponseHeaderTimeout: answerTimeout,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       idleTimeout,
		MaxIdleConns:          maxIdle * maxIdle,
		MaxIdleConnsPerHost:   maxIdle,
		ForceAttemptHTTP2:     true,
	}
}

// redirected is sameMethod, but where only FIPS endpoints are used, no answer sends a request to another server.
func (c Config) redirected(r *http.Request, before []*http.Request) error {
	if first := before[0].URL; c.endpoints.FIPS && (r.URL.Scheme != first.Scheme || r.URL.Host != first.Host) {
		return http.ErrUseLastResponse
	}
	return sameMethod(r, before)
}

// sameMethod follows only redirects that repeat the request, as the SDK's own client does: a signature
// is good for one method.
// Source: aws-sdk-go-v2, aws/transport/http, limitedRedirect.
func sameMethod(r *http.Request, _ []*http.Request) error {
	switch r.Response.StatusCode {
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return nil
	}
	return http.ErrUseLastResponse
}

// rootsOf reads the roots to trust; nil for the system's. The SDK has read AWS_CA_BUNDLE, and the
// ca_bundle of its own configuration file, from the process's environment.
func rootsOf(o Options, client aws.HTTPClient) (*x509.CertPool, error) {
	if o.CABundle != "" {
		pem, err := os.ReadFile(o.CABundle)
		if err != nil {
			return nil, fmt.Errorf("cannot read the root certificates of AWS_CA_BUNDLE: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the file %s of AWS_CA_BUNDLE has no PEM certificate", o.CABundle)
		}
		return pool, nil
	}
	if own, ok := client.(*awshttp.BuildableClient); ok {
		if t := own.GetTransport().TLSClientConfig; t != nil && t.RootCAs != nil {
			return t.RootCAs, nil
		}
	}
	if o.CertFile == "" {
		return nil, nil
	}
	// The file may have been named by the agent's settings file after crypto/x509 read the system's
	// roots, which it does once. One that cannot be read counts as empty there, and here.
	pem, err := os.ReadFile(o.CertFile)
	if err != nil {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	pool.AppendCertsFromPEM(pem)
	return pool, nil
}

// named puts the agent's name on requests that have none, and has the hub's clock compared with the
// services' by their answers.
type named struct {
	base  *http.Transport
	agent string
	clock *hubclock.Clock
}

// RoundTrip implements http.RoundTripper.
func (n named) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("User-Agent") == "" {
		r = r.Clone(r.Context())
		r.Header.Set("User-Agent", n.agent)
	}
	if _, ok := r.Body.(io.WriterTo); ok {
		r = r.WithContext(r.Context())
		r.Body = readOnly{r.Body}
	}
	return roundTrip(n.base, r, n.clock)
}

// readOnly hides the WriteTo of the SDK's bodies. The SDK closes a body once the answer begins; net/http may look only then whether more
// follows, and a closed body's WriteTo fails where its Read ends: the connection was closed while the answer was read.
// Source: smithy-go, transport/http/internal/io, safeWriteToReadCloser.
type readOnly struct{ io.ReadCloser }

// RoundTrip makes a request over a clone of Media, and has the hub's clock compared with the service's.
func (c Config) RoundTrip(media *http.Transport, r *http.Request) (*http.Response, error) {
	return roundTrip(media, r, c.clock)
}

// roundTrip has the clock, which may be nil, compared with that of who answers.
func roundTrip(base *http.Transport, r *http.Request, clock *hubclock.Clock) (*http.Response, error) {
	var sent time.Time
	if clock != nil {
		sent = clock.Now()
	}
	answer, err := base.RoundTrip(r)
	if err == nil {
		compare(clock, answer, sent)
	}
	return answer, err
}

// SigningTime returns the date for a request to AWS: the time by the services' clocks, since they refuse signatures
// that are more than 5 min off. now is the hub's clock, which is used while the time of no service is known.
func (c Config) SigningTime(now time.Time) time.Time {
	if c.clock == nil {
		return now
	}
	return now.Add(-c.clock.Ahead())
}

// compare notifies the clock, which may be nil, of the time in a service's answer. Only a server whose certificate was
// verified is trusted, and no cache, whose Date is an old one. An endpoint that is set to plain HTTP only shows which time
// the service uses. Of several Dates the last one counts; the others are removed from the answer for the SDK's own
// correction, as servers write theirs before that of the application.
func compare(clock *hubclock.Clock, answer *http.Response, sent time.Time) {
	dates := answer.Header.Values("Date")
	if len(dates) == 0 {
		return
	}
	last := dates[len(dates)-1]
	answer.Header.Set("Date", last)
	date, err := http.ParseTime(last)
	if clock == nil || err != nil || answer.Header.Get("Age") != "" {
		return
	}
	switch {
	case answer.TLS == nil:
		clock.HeardInTheClear(date, sent, clock.Now())
	case len(answer.TLS.VerifiedChains) > 0:
		clock.Heard(date, sent, clock.Now())
	}
}

// CloseIdleConnections closes the connections that are kept.
func (n named) CloseIdleConnections() { n.base.CloseIdleConnections() }
