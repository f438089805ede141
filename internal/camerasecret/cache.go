// Package camerasecret keeps the URLs of the cameras: read from their secrets, handed out from memory, and on the
// disk sealed with the device's key, so that a hub that boots offline records.
package camerasecret

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

const (
	firstReading = 10 * time.Second // how long a recorder waits for a URL it never had
	minRetry     = time.Second      // between failed readings on behalf of recorders
)

// Secrets reads camera URLs.
type Secrets interface {
	MediaURI(ctx context.Context, secretARN string) (secret.String, error)
}

// Options of a Cache. All are required, but Device.
type Options struct {
	Secrets Secrets
	Dir     statefile.Dir
	Device  *tls.Config // whose private key seals; nil: the URLs are in memory only
	Now     func() time.Time
	Log     *zap.Logger
	Health  *health.Component
}

// Cache has the URLs of cameras. It returns a URL that it ever read at once, from memory or disk; a caller waits only
// for the first reading. Run reads a secret again when its URL does not work. It is safe for concurrent use.
type Cache struct {
	secrets Secrets
	dir     statefile.Dir
	device  *tls.Config // whose private key seals; nil: memory only
	now     func() time.Time
	log     *zap.Logger
	health  *health.Component
	wake    signal.Signal // there may be something to read or to save

	mu      sync.Mutex
	entries map[string]*cached // by secret ARN, guarded by mu
	wanted  map[string]bool    // what the desired set refers to, guarded by mu
	unsaved bool               // the disk lacks a change, guarded by mu
	kept    bool               // the file was read or written; for who saves
	unfit   bool               // the disk's copy could not be used, guarded by mu
	sealer  *sealer            // by the device key of the last save; nil: memory only; guarded by mu
}

// cached is one secret. Guarded by Cache.mu.
type cached struct {
	url      secret.String
	readAt   time.Time     // when url was read, also in an earlier life
	due      time.Time     // when it is read again
	askedAt  time.Time     // the last reading, good or not
	err      error         // of the last reading
	failures int           // readings in a row that failed
	outage   outage        // of the camera
	flight   chan struct{} // closed when the reading under way ends
	changed  chan struct{} // closed when url changes; nil: nobody waits for that
}

// URL returns the URL of the camera whose secret has this ARN. One that was ever read is returned at once; only the
// first reading is waited for, 10 s at most. An error is a *health.Fault or ctx's.
func (c *Cache) URL(ctx context.Context, arn string) (secret.String, error) {
	for {
		c.mu.Lock()
		e := c.entry(arn)
		now := c.now()
		if !e.url.Empty() {
			url := e.url
			c.mu.Unlock()
			return url, nil
		}
		if flight := e.flight; flight != nil {
			c.mu.Unlock()
			if url, done, err := c.await(ctx, arn, flight); done {
				return url, err
			}
			continue
		}
		if e.err != nil && (sinceBetween(now, e.askedAt, minRetry) || answered(e.err) && now.Before(e.due)) {
			err := e.err
			c.mu.Unlock()
			return secret.String{}, err
		}
		flight := make(chan struct{})
		e.flight = flight
		c.mu.Unlock()

		c.fetch(ctx, arn, flight)
		url, err := c.known(arn)
		if url.Empty() && ctx.Err() != nil {
			err = ctx.Err()
		}
		return url, err
	}
}

// await shares another caller's reading. done is false when that caller gave up.
func (c *Cache) await(ctx context.Context, arn string, flight <-chan struct{}) (url secret.String, done bool, err error) {
	timer := time.NewTimer(firstReading)
	defer timer.Stop()
	select {
	case <-flight:
	case <-timer.C:
	case <-ctx.Done():
	}
	if url, err = c.known(arn); !url.Empty() || err != nil {
		return url, true, err
	}
	return secret.String{}, ctx.Err() != nil, ctx.Err()
}

// known returns the URL, or why there is none.
func (c *Cache) known(arn string) (secret.String, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entry(arn)
	if e.url.Empty() {
		return e.url, e.err
	}
	return e.url, nil
}

// entry is that of a secret, made on first use. Called with mu held.
func (c *Cache) entry(arn string) *cached {
	e := c.entries[arn]
	if e == nil {
		e = new(cached)
		c.entries[arn] = e
	}
	return e
}

// fetch asks Secrets Manager once and stores the result, then ends the flight. A failure
// leaves the URL that was known.
func (c *Cache) fetch(ctx context.Context, arn string, flight chan struct{}) {
	bounded, cancel := context.WithTimeout(ctx, firstReading)
	url, err := c.secrets.MediaURI(bounded, arn)
	cancel()
	if err == nil && url.Empty() {
		err = health.UserFault(codeCameraSecret, nil, "The secret %s holds an empty URL.", arn)
	}
	cancelled := err != nil && errors.Is(ctx.Err(), context.Canceled)

	c.mu.Lock()
	e := c.entry(arn)
	e.flight = nil
	close(flight)
	if cancelled {
		c.mu.Unlock()
		return
	}
	changed := e.note(url, err, c.now())
	c.unsaved = c.unsaved || changed
	c.mu.Unlock()
	if changed {
		logevent.CameraURLRead.Log(c.log, zap.String("secretARN", arn))
		c.wake.Set()
	}
	c.reportSecrets()
}

// note takes in what a reading brought, and reports whether the URL is another one. Called with mu held.
func (e *cached) note(url secret.String, err error, now time.Time) (changed bool) {
	e.askedAt, e.err = now, err
	if err != nil {
		e.failures++
		e.due = now.Add(backoff.Jittered(rereadFailed, 0.2))
		if answered(err) {
			e.due = now.Add(afterFailure(e.failures))
		}
		return false
	}
	changed = !e.url.Equal(url)
	e.url, e.readAt, e.failures = url, now, 0
	if changed {
		e.outage.restart()
		if e.changed != nil {
			close(e.changed)
			e.changed = nil
		}
	}
	if e.due = now.Add(backoff.Jittered(rereadEvery, 0.1)); e.outage.failing {
		e.due = e.outage.read(now)
	}
	return changed
}

func (c *Cache) raise(scope health.Scope, severity health.Severity, f *health.Fault) {
	if c.health.Report(scope, severity, f) {
		logevent.Condition(c.log, f)
	}
}

// reportSecrets raises or ends the one condition about secrets that cannot be read.
func (c *Cache) reportSecrets() {
	c.mu.Lock()
	var first error
	failed, served := 0, 0
	for _, arn := range slices.Sorted(maps.Keys(c.wanted)) {
		if e := c.entries[arn]; e != nil && e.err != nil {
			if first == nil {
				first = e.err
			}
			if failed++; !e.url.Empty() {
				served++
			}
		}
	}
	c.mu.Unlock()
	if first == nil {
		if c.health.OK(scopeSecrets) {
			logevent.CameraSecretsReadable.Log(c.log)
		}
		return
	}
	cause := health.FaultOf(first, codeCameraSecret)
	text := cause.Text
	if failed > 1 {
		text += fmt.Sprintf(" The same or a similar failure concerns %s.", humanize.Count(failed-1, "more secret"))
	}
	if served > 0 {
		text += fmt.Sprintf(" The URLs known from before are used meanwhile (%d of %d).", served, failed)
	}
	c.raise(scopeSecrets, health.Degraded, cause.Recode(codeCameraSecret, text))
}
