package camerasecret

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/pulse"
)

// roundEvery is how long Run rests at most. A device key that was replaced, which nobody
// announces, is noticed so soon: until the URLs are sealed with it, a power cut would lose them.
// A round without news costs a look at two files' times.
const roundEvery = 5 * time.Second

// Want says which secrets the hub's configurations refer to; the others are forgotten.
func (c *Cache) Want(arns map[string]bool) {
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
	c.wake.Set()
}

// Run reads wanted secrets ahead of need and again every hour, and keeps the disk's copy, until
// ctx ends. Only it writes the file, so that a slow disk holds up no recorder.
func (c *Cache) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	defer c.save()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake.C():
		case <-timer.C:
		}
		for ctx.Err() == nil {
			c.save()
			arn, flight, wait := c.nextDue()
			if flight == nil {
				timer.Reset(wait)
				break
			}
			c.fetch(ctx, arn, flight)
		}
	}
}

// nextDue begins the reading of a wanted secret that is due, or says how long there is none.
func (c *Cache) nextDue() (arn string, flight chan struct{}, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	wait = pulse.Until(roundEvery) // a bound, so that a step of the clock is noticed too
	for _, arn := range slices.Sorted(maps.Keys(c.wanted)) {
		e := c.entry(arn)
		if e.due.IsZero() && !e.readAt.IsZero() {
			e.due = e.readAt.Add(backoff.Jittered(rereadEvery, 0.1)) // read in an earlier life
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
