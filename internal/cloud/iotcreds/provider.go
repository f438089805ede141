// Package iotcreds owns the hub's AWS credentials: it exchanges the device certificate for
// temporary ones at the AWS IoT credentials endpoint, or has Greengrass do so. It must not know
// what they are used for.
// Source: AWS IoT Core Developer Guide, "Authorizing direct calls to AWS services".
package iotcreds

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
)

const (
	defaultRefreshBefore = 5 * time.Minute
	defaultTimeout       = 10 * time.Second
	// attempts in one Retrieve while there is nothing valid to serve.
	attempts = 3
	// shortLife is how long credentials that should have been renewed are handed out for, so
	// that a cache above this one asks again soon.
	shortLife = 30 * time.Second
	// jitterShare of RefreshBefore is added at random, so that hubs that booted together do not
	// renew together.
	jitterShare = 0.2
)

// scope is the getting of credentials.
const scope health.Scope = "credentials"

// Options of a Provider.
type Options struct {
	// Endpoint of the credentials provider, host[:port]. Required.
	Endpoint string
	// Refused says why Endpoint must not be used: a *health.Fault. Default: it may be.
	Refused error
	// RoleAlias names the role that the hub takes on. Required.
	RoleAlias string
	// ThingName of the hub, sent so that policies can refer to it. Required.
	ThingName string
	// TLS holds the device certificate and the roots of the endpoint. Required.
	TLS *tls.Config
	// Version of the agent, for the header User-Agent. Default: none is named.
	Version string
	// RefreshBefore is how long before their end credentials are renewed. Default 5 min.
	RefreshBefore time.Duration
	// Timeout bounds one request. Default 10 s.
	Timeout time.Duration
	// Retry paces the attempts after failures. Default 500 ms doubling to 30 s, full jitter.
	Retry backoff.Policy
	// Now is the wall clock. Default time.Now.
	Now func() time.Time
	// Clock is notified of the Date of every answer. Default: none is.
	Clock *hubclock.Clock
	// Meter counts the bytes of the requests. Default: none does.
	Meter *meter.Meter
	// Log receives one line per episode. Default none.
	Log *zap.Logger
	// Health receives the faults as conditions. Default: one of its own.
	Health *health.Component
}

// Provider is an aws.CredentialsProvider. Many callers share one request; valid credentials are
// served from memory, also while the endpoint cannot be reached. Safe for concurrent use.
type Provider struct {
	o      Options
	url    string
	client *http.Client
	ask    func(context.Context) (answer, error) // makes one request; its errors are faults
	name   string                                // where the credentials come from, for logs

	mu        sync.Mutex
	flight    chan struct{}   // guarded by mu, as all below: closed when the request under way ends
	current   aws.Credentials // as the endpoint gave them
	expires   time.Time       // by the hub's clock
	fetched   time.Time       // when current was
	refreshAt time.Time
	lastErr   error     // of the last failed attempt, nil after a success
	retryAt   time.Time // no attempt before this
	retry     *backoff.Backoff
}

var _ aws.CredentialsProvider = (*Provider)(nil)

// New returns a Provider that has not asked for anything yet.
func New(o Options) (*Provider, error) {
	endpoint := strings.TrimSuffix(strings.TrimPrefix(o.Endpoint, "https://"), "/")
	switch {
	case endpoint == "":
		return nil, errors.New("the credentials endpoint is not set")
	case o.RoleAlias == "":
		return nil, errors.New("the role alias is not set")
	case o.ThingName == "":
		return nil, errors.New("the thing name is not set")
	case o.TLS == nil:
		return nil, errors.New("the device certificate is not set")
	}
	o.Endpoint = endpoint
	p := newProvider(o)
	p.url, p.client = requestURL(endpoint, o.RoleAlias), awsclient.Device(awsclient.DeviceOptions{
		TLS: p.o.TLS, Timeout: p.o.Timeout, Version: p.o.Version, Clock: p.o.Clock, Meter: p.o.Meter,
	})
	p.ask, p.name = p.fetch, "role alias "+o.RoleAlias+" at "+endpoint
	return p, nil
}

// newProvider sets the defaults; what to ask is the caller's to add.
func newProvider(o Options) *Provider {
	if o.RefreshBefore <= 0 {
		o.RefreshBefore = defaultRefreshBefore
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Health == nil {
		o.Health = health.NewRegistry(o.Now).Component("", health.JobCloud)
	}
	return &Provider{o: o, retry: backoff.New(o.Retry)}
}

// Retrieve implements aws.CredentialsProvider. Expires of the credentials is when others should be
// requested, which is before the service stops accepting them. An error is a *health.Fault, or
// ctx's error.
func (p *Provider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	waited := false
	for attempt := 1; ; {
		p.mu.Lock()
		now := p.o.Now()
		valid := p.current.HasKeys() && now.Before(p.expires)
		if valid && (now.Before(p.refreshAt) || p.flight != nil || now.Before(p.retryAt)) {
			c := p.serve(now)
			p.mu.Unlock()
			return c, nil
		}
		if flight := p.flight; flight != nil {
			p.mu.Unlock()
			select {
			case <-flight:
			case <-ctx.Done():
				return aws.Credentials{}, ctx.Err()
			}
			if c, done, err := p.outcome(); done {
				return c, err
			}
			continue // the caller in front gave up: take its place
		}
		if wait := p.retryAt.Sub(now); p.lastErr != nil && wait > 0 && !waited {
			err := p.lastErr
			p.mu.Unlock()
			if attempt == 1 || attempt > attempts {
				return aws.Credentials{}, err
			}
			if ctxErr := backoff.Sleep(ctx, wait); ctxErr != nil {
				return aws.Credentials{}, err
			}
			waited = true
			continue
		}
		waited = false
		flight := make(chan struct{})
		p.flight = flight
		p.mu.Unlock()

		attempt++
		p.fetchInto(ctx, flight)
		if ctx.Err() != nil {
			if c, done, err := p.outcome(); done {
				return c, err
			}
			return aws.Credentials{}, ctx.Err()
		}
	}
}

// Invalidate makes the next Retrieve request other credentials, as a service does not accept those that it returned.
// While there are no others, it returns them still. Credentials that were obtained within shortLife stay: all
// streams of a hub are refused the same credentials at once, and ask one after the other.
func (p *Provider) Invalidate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if age := p.o.Now().Sub(p.fetched); age < 0 || age >= shortLife {
		p.refreshAt = time.Time{}
	}
}

// outcome is what the callers share that waited for one request. done is false when the request
// ended with its caller's context, which says nothing about the endpoint.
func (p *Provider) outcome() (c aws.Credentials, done bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.o.Now()
	if p.current.HasKeys() && now.Before(p.expires) {
		return p.serve(now), true, nil
	}
	return aws.Credentials{}, p.lastErr != nil, p.lastErr
}

// serve returns the current credentials with the time at which to ask again. Called with mu held.
func (p *Provider) serve(now time.Time) aws.Credentials {
	c := p.current
	c.CanExpire = true
	c.Expires = p.refreshAt
	if !now.Before(p.refreshAt) {
		c.Expires = now.Add(shortLife)
	}
	if c.Expires.After(p.expires) {
		c.Expires = p.expires
	}
	return c
}

// fetchInto asks once and stores the result, then ends the flight.
func (p *Provider) fetchInto(ctx context.Context, flight chan struct{}) {
	answer, err := p.ask(ctx)
	cancelled := err != nil && errors.Is(ctx.Err(), context.Canceled) // a deadline is a failure of the endpoint

	p.mu.Lock()
	defer p.mu.Unlock()
	p.flight = nil
	close(flight)
	if cancelled {
		return
	}
	if err != nil {
		p.lastErr = err
		p.retryAt = p.o.Now().Add(p.retry.Next())
		p.report(err)
		return
	}
	p.current, p.expires, p.fetched = answer.credentials, answer.expires, p.o.Now()
	lead := p.o.RefreshBefore + time.Duration(rand.Float64()*jitterShare*float64(p.o.RefreshBefore))
	if life := p.expires.Sub(p.fetched); lead > life/2 {
		lead = life / 2 // very short-lived: renew half-way
	}
	p.refreshAt = p.expires.Add(-lead)
	p.lastErr, p.retryAt = nil, time.Time{}
	p.retry.Reset()
	p.recovered()
}

// report raises the fault and logs it when it is new.
func (p *Provider) report(err error) {
	fault := health.FaultOf(err, codeNetwork)
	severity := health.Failed
	if p.o.Now().Before(p.expires) {
		severity = health.Degraded
	}
	if p.o.Health.Report(scope, severity, fault) {
		logevent.Condition(p.o.Log, fault)
	}
}

// recovered ends all faults.
func (p *Provider) recovered() {
	if p.o.Health.OK(scope) {
		logevent.CredentialsRenewed.Log(p.o.Log, zap.Time("expires", p.expires))
	}
}
