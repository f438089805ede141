package iotconfig

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

const (
	firstReading = 10 * time.Second // how long a recorder waits for a URL it never had
	minRetry     = time.Second      // between failed readings on behalf of recorders
)

// keeperRound is how long the keeper rests at most. A device key that was replaced, which nobody
// announces, is noticed so soon: until the URLs are sealed with it, a power cut would lose them.
// A round without news costs a look at two files' times.
const keeperRound = 5 * time.Second

// The codes of the conditions, and the scopes.
const (
	codeCameraSecret = "camera-secret"
	codeCameraStore  = "camera-store"

	scopeSecrets     health.Scope = "secrets"      // reading the secrets
	scopeCameraStore health.Scope = "camera-store" // the disk's copy of the URLs
)

// cameras caches the URLs of cameras. Whatever it ever learnt it hands out at once, from memory
// or disk; it makes a caller wait only when there is nothing yet. Readings for a URL that does not work are the keeper's.
type cameras struct {
	secrets Secrets
	dir     stateDir
	device  *tls.Config // whose private key seals; nil: memory only
	now     func() time.Time
	log     *zap.Logger
	health  *health.Part
	wake    chan struct{}

	mu      sync.Mutex
	entries map[string]*cameraEntry // by secret ARN, guarded by mu
	wanted  map[string]bool         // what the desired set refers to, guarded by mu
	unsaved bool                    // the disk lacks a change, guarded by mu
	kept    bool                    // the file was read or written; for who saves
	unfit   bool                    // the disk's copy could not be used, guarded by mu
	sealer  *sealer                 // by the device key of the last save; nil: memory only; guarded by mu
}

// cameraEntry is one secret. Guarded by cameras.mu.
type cameraEntry struct {
	url      secret.String
	readAt   time.Time     // when url was read, also in an earlier life
	due      time.Time     // when the keeper reads it again
	askedAt  time.Time     // the last reading, good or not
	err      error         // of the last reading
	failures int           // readings in a row that failed
	outage   outage        // of the camera
	flight   chan struct{} // closed when the reading under way ends
	changed  chan struct{} // closed when url changes; nil: nobody waits for that
}

// get returns the URL of the camera whose secret has this ARN.
func (c *cameras) get(ctx context.Context, arn string) (secret.String, error) {
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

		c.read(ctx, arn, flight)
		url, err := c.known(arn)
		if url.Empty() && ctx.Err() != nil {
			err = ctx.Err()
		}
		return url, err
	}
}

// await shares another caller's reading. done is false when that caller gave up.
func (c *cameras) await(ctx context.Context, arn string, flight <-chan struct{}) (url secret.String, done bool, err error) {
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

// known gives the URL, or why there is none.
func (c *cameras) known(arn string) (secret.String, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entry(arn)
	if e.url.Empty() {
		return e.url, e.err
	}
	return e.url, nil
}

// entry is that of a secret, made on first use. Called with mu held.
func (c *cameras) entry(arn string) *cameraEntry {
	e := c.entries[arn]
	if e == nil {
		e = new(cameraEntry)
		c.entries[arn] = e
	}
	return e
}

// read asks Secrets Manager once and notes what came of it, then ends the flight. A failure
// leaves the URL that was known.
func (c *cameras) read(ctx context.Context, arn string, flight chan struct{}) {
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
		c.log.Info("camera URL read", zap.String("secret", arn))
		c.wakeKeeper()
	}
	c.reportSecrets()
}

// note takes in what a reading brought, and reports whether the URL is another one. Called with mu held.
func (e *cameraEntry) note(url secret.String, err error, now time.Time) (changed bool) {
	e.askedAt, e.err = now, err
	if err != nil {
		e.failures++
		e.due = now.Add(jittered(rereadFailed, 0.2))
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
	if e.due = now.Add(jittered(rereadEvery, 0.1)); e.outage.failing {
		e.due = e.outage.read(now)
	}
	return changed
}

func (c *cameras) raise(scope health.Scope, severity health.Severity, f *health.Fault) {
	if c.health.Report(scope, severity, f) {
		c.log.Warn("camera URLs condition raised", zap.String("code", f.Code), zap.Error(f), zap.NamedError("cause", f.Err))
	}
}

// reportSecrets raises or ends the one condition about secrets that cannot be read.
func (c *cameras) reportSecrets() {
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
			c.log.Info("all camera secrets can be read again")
		}
		return
	}
	cause := health.FaultOf(first, codeCameraSecret)
	text := cause.Text
	if failed > 1 {
		text += fmt.Sprintf(" The same or the like holds for %s.", humanize.Count(failed-1, "more secret"))
	}
	if served > 0 {
		text += fmt.Sprintf(" The URLs known from before serve meanwhile (%d of %d).", served, failed)
	}
	c.raise(scopeSecrets, health.Degraded, cause.Recode(codeCameraSecret, text))
}

// sinceBetween reports whether then lies less than d before now. A then in the future (the clock
// went back) does not.
func sinceBetween(now, then time.Time, d time.Duration) bool {
	age := now.Sub(then)
	return !then.IsZero() && age >= 0 && age < d
}

// jittered varies d by the given share either way.
func jittered(d time.Duration, share float64) time.Duration {
	return d + time.Duration((2*rand.Float64()-1)*share*float64(d))
}
