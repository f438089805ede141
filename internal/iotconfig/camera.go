package iotconfig

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// camerasFile holds the camera URLs, sealed.
const camerasFile = "cameras.json"

const camerasVersion = 1

// How often secrets are read.
const (
	rereadEvery   = time.Hour        // a URL that works
	rereadRefused = time.Minute      // at most, when the camera refuses the password
	rereadFailed  = 5 * time.Minute  // when the last reading failed
	firstReading  = 10 * time.Second // how long a recorder waits for a URL it never had
	freshReading  = 5 * time.Second  // how long it waits when the camera refused the one it has
	minRetry      = time.Second      // between failed readings on behalf of recorders
)

// keeperRound is how long the keeper rests at most. A device key that was replaced, which nobody
// announces, is noticed so soon: until the URLs are sealed with it, a power cut would lose them.
// A round without news costs a look at two files' times.
const keeperRound = 5 * time.Second

// The codes of the conditions.
const (
	codeCameraSecret = "camera-secret"
	codeCameraStore  = "camera-store"
)

// cameras caches the URLs of cameras. Whatever it ever learnt it hands out at once, from memory
// or disk; it makes a caller wait only when there is nothing yet, or when the camera itself said
// that the URL is wrong.
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
	sealer  *sealer                 // by the device key of the last save; nil: memory only; guarded by mu
}

// cameraEntry is one secret. Guarded by cameras.mu.
type cameraEntry struct {
	url     secret.String
	readAt  time.Time     // when url was read, also in an earlier life
	due     time.Time     // when the keeper reads it again
	refused bool          // the camera did not take url
	askedAt time.Time     // the last reading, good or not
	err     error         // of the last reading
	flight  chan struct{} // closed when the reading under way ends
}

type camerasDocument struct {
	Version int              `json:"Version"`
	Cameras []cameraDocument `json:"Cameras"`
}

type cameraDocument struct {
	SecretARN string    `json:"SecretARN"`
	ReadAt    time.Time `json:"ReadAt"`
	Sealed    []byte    `json:"Sealed"`
}

// openCameras takes what the disk has. wanted are the ARNs of the secrets that the desired set refers to.
func openCameras(o Options, dir stateDir, wanted map[string]bool) *cameras {
	c := &cameras{
		secrets: o.Secrets, dir: dir, device: o.TLS, now: o.Now, log: o.Log, health: o.Health, wake: make(chan struct{}, 1),
		entries: make(map[string]*cameraEntry), wanted: wanted,
	}
	var err error
	if c.sealer, err = newSealer(o.TLS); err != nil {
		c.raise(health.Info, health.SystemFault(codeCameraStore, err,
			"The cameras' URLs are not kept on disk, as the device's private key cannot be used to encrypt them: after a boot without a network the hub records only once it has one."))
	}
	c.load()
	return c
}

// load takes what the disk has. Nothing here is fatal.
func (c *cameras) load() {
	if c.sealer == nil {
		return
	}
	var doc camerasDocument
	switch err := c.dir.read(camerasFile, &doc); {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil && !errors.Is(err, errCorrupt):
		c.raise(health.Degraded, health.SystemFault(codeCameraStore, err,
			"The file %s with the cameras' URLs cannot be read: give it to the agent's user, or check the disk; the URLs are read anew from Secrets Manager.", filepath.Join(c.dir.path, camerasFile)))
		return
	case err != nil:
		c.raise(health.Degraded, health.SystemFault(codeCameraStore, err,
			"The file %s with the cameras' URLs was damaged and is set aside; the URLs are read anew from Secrets Manager.", camerasFile))
		return
	}
	unsealed := 0
	c.mu.Lock()
	for _, d := range doc.Cameras {
		url, err := c.sealer.open(d.Sealed, d.SecretARN)
		if err != nil {
			continue
		}
		unsealed++
		c.entries[d.SecretARN] = &cameraEntry{url: url, readAt: d.ReadAt}
	}
	c.mu.Unlock()
	if unsealed < len(doc.Cameras) {
		c.raise(health.Info, health.SystemFault(codeCameraStore, nil,
			"%d camera URLs on disk were sealed with another device key; they are read anew from Secrets Manager.", len(doc.Cameras)-unsealed))
	}
}

func (c *cameras) raise(severity health.Severity, f *health.Fault) {
	if c.health.Raise(severity, f) {
		c.log.Warn("camera URLs", zap.String("code", f.Code), zap.Error(f), zap.NamedError("cause", f.Err))
	}
}

// get returns the URL of the camera whose secret has this ARN.
func (c *cameras) get(ctx context.Context, arn string) (secret.String, error) {
	for {
		c.mu.Lock()
		e := c.entry(arn)
		now := c.now()
		patience := firstReading
		if !e.url.Empty() {
			if !e.refused || sinceBetween(now, e.askedAt, rereadRefused) {
				url := e.url
				c.mu.Unlock()
				return url, nil
			}
			patience = freshReading
		}
		if flight := e.flight; flight != nil {
			c.mu.Unlock()
			if url, done, err := c.await(ctx, arn, flight, patience); done {
				return url, err
			}
			continue
		}
		if e.err != nil && e.url.Empty() && sinceBetween(now, e.askedAt, minRetry) {
			err := e.err
			c.mu.Unlock()
			return secret.String{}, err
		}
		flight := make(chan struct{})
		e.flight = flight
		c.mu.Unlock()

		c.read(ctx, arn, flight, patience)
		url, err := c.known(arn)
		if url.Empty() && ctx.Err() != nil {
			err = ctx.Err()
		}
		return url, err
	}
}

// await shares another caller's reading. done is false when that caller gave up.
func (c *cameras) await(ctx context.Context, arn string, flight <-chan struct{}, patience time.Duration) (url secret.String, done bool, err error) {
	timer := time.NewTimer(patience)
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
func (c *cameras) read(ctx context.Context, arn string, flight chan struct{}, patience time.Duration) {
	bounded, cancel := context.WithTimeout(ctx, patience)
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
	now := c.now()
	e.askedAt, e.err = now, err
	changed := false
	if err == nil {
		changed = !e.url.Equal(url)
		c.unsaved = c.unsaved || changed
		e.url, e.readAt, e.refused = url, now, false
		e.due = now.Add(jittered(rereadEvery, 0.1))
	} else {
		e.due = now.Add(jittered(rereadFailed, 0.2))
	}
	c.mu.Unlock()
	if changed {
		c.log.Info("camera URL read", zap.String("secret", arn))
		c.wakeKeeper()
	}
	c.reportSecrets()
}

// refusedBy notes that the camera did not take the URL: the next get reads the secret anew.
func (c *cameras) refusedBy(arn string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[arn]; e != nil && !e.url.Empty() {
		e.refused = true
	}
}

// want tells which secrets the desired set refers to; the others are forgotten.
func (c *cameras) want(arns map[string]bool) {
	c.mu.Lock()
	c.wanted = maps.Clone(arns)
	for arn, e := range c.entries {
		if !arns[arn] && e.flight == nil {
			c.unsaved = c.unsaved || !e.url.Empty()
			delete(c.entries, arn)
		}
	}
	c.mu.Unlock()
	c.reportSecrets()
	c.wakeKeeper()
}

func (c *cameras) wakeKeeper() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// keep reads wanted secrets ahead of need and again every hour, and keeps the disk's copy, until
// ctx ends. Only it writes the file, so that a slow disk holds up no recorder.
func (c *cameras) keep(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer c.save()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-timer.C:
		}
		for ctx.Err() == nil {
			c.save()
			arn, flight, wait := c.nextDue()
			if flight == nil {
				timer.Reset(wait)
				break
			}
			c.read(ctx, arn, flight, firstReading)
		}
	}
}

// nextDue begins the reading of a wanted secret that is due, or says how long there is none.
func (c *cameras) nextDue() (arn string, flight chan struct{}, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	wait = keeperRound // a bound, so that a step of the clock is noticed too
	for _, arn := range slices.Sorted(maps.Keys(c.wanted)) {
		e := c.entry(arn)
		if e.due.IsZero() && !e.readAt.IsZero() {
			e.due = e.readAt.Add(jittered(rereadEvery, 0.1)) // read in an earlier life
		}
		until := e.due.Sub(now)
		if e.flight != nil {
			until = time.Second
		} else if until <= 0 || until > 2*rereadEvery { // beyond any due time: the clock went back
			e.flight = make(chan struct{})
			return arn, e.flight, 0
		}
		wait = min(wait, until)
	}
	return "", nil, wait
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
		if c.health.Clear(codeCameraSecret) {
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
	c.raise(health.Degraded, &health.Fault{Class: cause.Class, Code: codeCameraSecret, Text: text, Err: cause.Err})
}

// followKey seals with the device key that is in use now, since fleets rotate it while the agent
// runs: the next start has that one only.
func (c *cameras) followKey() {
	device, err := presented(c.device)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || c.sealer != nil && c.sealer.device == device {
		return
	}
	next, err := newSealer(c.device)
	if err != nil {
		return
	}
	c.unsaved = c.unsaved || c.sealer == nil || !bytes.Equal(c.sealer.key, next.key)
	c.sealer = next
}

// save writes all URLs, sealed, when the disk lacks a change. A failure is reported, and tried
// again with the next round.
func (c *cameras) save() {
	c.followKey()
	doc := camerasDocument{Version: camerasVersion}
	c.mu.Lock()
	if !c.unsaved || c.sealer == nil {
		c.mu.Unlock()
		return
	}
	c.unsaved = false
	for _, arn := range slices.Sorted(maps.Keys(c.entries)) {
		if e := c.entries[arn]; !e.url.Empty() {
			doc.Cameras = append(doc.Cameras, cameraDocument{SecretARN: arn, ReadAt: e.readAt, Sealed: c.sealer.seal(e.url, arn)})
		}
	}
	c.mu.Unlock()
	if err := c.dir.write(camerasFile, doc); err != nil {
		c.raise(health.Degraded, health.SystemFault(codeCameraStore, err,
			"The cameras' URLs cannot be kept on disk, so that the hub would not record after an offline boot: make %s writable.", c.dir.path))
		c.mu.Lock()
		c.unsaved = true
		c.mu.Unlock()
		return
	}
	c.health.Clear(codeCameraStore)
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
