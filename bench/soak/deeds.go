package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
)

// deed is something that happens repeatedly.
type deed struct {
	name  string
	every time.Duration // on average
	do    func(ctx context.Context, random *rand.Rand) error

	random *rand.Rand
	left   time.Duration // until it happens next; 0 = to be drawn

	mu      sync.Mutex // guards what follows
	done    int
	failed  int
	lastErr string
}

// allDeeds are all things that happen, with how often they do.
func (s *soak) allDeeds() []*deed {
	return []*deed{
		{name: "camera ends its sessions", every: 2 * time.Minute, do: s.dropCamera},
		{name: "camera stalls", every: 4 * time.Minute, do: s.stallCamera},
		{name: "camera is off", every: 5 * time.Minute, do: s.unplugCamera},
		{name: "camera has other parameters", every: 3 * time.Minute, do: s.changeParameters},
		{name: "camera's timestamps jump", every: 7 * time.Minute, do: s.jump},
		{name: "camera is muted", every: 6 * time.Minute, do: s.mute},
		{name: "configurations come in a storm", every: 4 * time.Minute, do: s.storm},
		{name: "stream is configured otherwise", every: 6 * time.Minute, do: s.reconfigure},
		{name: "line is cut", every: 10 * time.Minute, do: s.cutLine},
		{name: "media service is down", every: 9 * time.Minute, do: s.stopMedia},
		{name: "media service has an error", every: 3 * time.Minute, do: s.mediaFault},
		{name: "operation is refused", every: 8 * time.Minute, do: s.refuseOperation},
		{name: "settings change, with a reload", every: 7 * time.Minute, do: s.reload},
		{name: "event", every: time.Minute, do: s.event},
		{name: "hold", every: 3 * time.Minute, do: s.hold},
		{name: "upload on request", every: 4 * time.Minute, do: s.uploadOnRequest},
		{name: "audit", every: 6 * time.Minute, do: s.audit},
		{name: "export", every: 2 * time.Minute, do: s.export},
		{name: "viewer of live video", every: 2 * time.Minute, do: s.watchLive},
		{name: "viewer of recorded video", every: 3 * time.Minute, do: s.watchRecorded},
		{name: "lists are read", every: time.Minute, do: s.readLists},
		{name: "recordings are verified", every: 10 * time.Minute, do: s.verify},
		{name: "evidence", every: 12 * time.Minute, do: s.evidence},
		{name: "changes are followed", every: 2 * time.Minute, do: s.followChanges},
	}
}

// repeat does it until ctx ends, with pauses from half to one and a half times its own. A pause that ends with ctx is continued by
// the next call.
func (s *soak) repeat(ctx context.Context, d *deed) {
	for !s.ended() {
		if d.left <= 0 {
			d.left = between(d.random, d.every/2, d.every*3/2)
		}
		began := time.Now()
		if s.pause(ctx, d.left) != nil {
			d.left -= time.Duration(float64(time.Since(began)) * s.o.haste)
			return
		}
		d.left = 0
		err := d.do(ctx, d.random)
		if ctx.Err() != nil {
			return // it was interrupted
		}
		d.mu.Lock()
		d.done++
		if err != nil {
			d.failed++
			d.lastErr = err.Error()
		}
		d.mu.Unlock()
	}
}

// figures of a deed: how often it was done, how many of these failed, and the last error.
func (d *deed) figures() (done, failed int, lastErr string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.done, d.failed, d.lastErr
}

// pause waits, in haste for less.
func (s *soak) pause(ctx context.Context, d time.Duration) error {
	return backoff.Sleep(ctx, s.short(d))
}

// short is a time as it is in haste.
func (s *soak) short(d time.Duration) time.Duration { return time.Duration(float64(d) / s.o.haste) }

func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)+1))
}

// pick draws one of the cameras that pass.
func (s *soak) pick(random *rand.Rand, passes func(*camera) bool) *camera {
	for {
		if c := s.cameras[random.IntN(len(s.cameras))]; passes(c) {
			return c
		}
	}
}

func anyCamera(*camera) bool       { return true }
func lastingCamera(c *camera) bool { return !c.storm }
func onlyPartly(c *camera) bool    { return c.partly }
func keepsMedia(c *camera) bool    { return !*c.deletion.DeleteAfterUpload }

func (s *soak) dropCamera(_ context.Context, random *rand.Rand) error {
	c := s.pick(random, anyCamera)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Drop()
	return nil
}

// stallCamera stalls a camera for less, or for more, than the agent waits for.
func (s *soak) stallCamera(ctx context.Context, random *rand.Rand) error {
	c := s.pick(random, anyCamera)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Stall()
	defer c.Resume()
	_ = s.pause(ctx, between(random, time.Second, 40*time.Second))
	return nil
}

func (s *soak) unplugCamera(ctx context.Context, random *rand.Rand) error {
	c := s.pick(random, anyCamera)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Unplug()
	_ = s.pause(ctx, between(random, time.Second, time.Minute))
	return c.Plug()
}

func (s *soak) changeParameters(_ context.Context, random *rand.Rand) error {
	s.pick(random, func(c *camera) bool { return !c.h265 }).ChangeParams()
	return nil
}

func (s *soak) jump(_ context.Context, random *rand.Rand) error {
	s.pick(random, anyCamera).Jump(between(random, -time.Hour, time.Hour))
	return nil
}

func (s *soak) mute(ctx context.Context, random *rand.Rand) error {
	c := s.pick(random, anyCamera)
	c.Mute(true)
	_ = s.pause(ctx, between(random, time.Second, 30*time.Second))
	c.Mute(false)
	return nil
}

// reload changes settings of three kinds, and has the agent read them.
func (s *soak) reload(ctx context.Context, random *rand.Rand) error {
	choices := [][]string{
		{"AWS_KVS_EDGE_SEGMENT_DURATION", "20s", "30s", "45s"},
		{"AWS_KVS_EDGE_FRAGMENT_DURATION", "auto", "2s", "5s"},
		{"AWS_KVS_EDGE_LOG_LEVEL", "DEBUG", "TRACE"},
		{"AWS_KVS_EDGE_UPLOAD_MAX_BITRATE", "20M", "8M, 22:00-06:00=20M"},
		{"AWS_KVS_EDGE_FRAGMENT_TAGS", "on", "off"},
		{"AWS_KVS_EDGE_FSYNC_INTERVAL", "2s", "1s"},
	}
	s.mu.Lock()
	for range 2 {
		one := choices[random.IntN(len(choices))]
		s.settings[one[0]] = one[1+random.IntN(len(one)-1)]
	}
	s.mu.Unlock()
	if err := s.writeSettings(); err != nil {
		return err
	}
	_, err := s.api.Reload(ctx)
	return err
}

// errWrong says that something was answered which must not be.
type errWrong struct{ text string }

// Error implements error.
func (e errWrong) Error() string { return e.text }

func (s *soak) wrong(format string, values ...any) error {
	e := errWrong{fmt.Sprintf(format, values...)}
	s.found("%s", e.text)
	return e
}
