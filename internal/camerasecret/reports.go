package camerasecret

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
)

// Failed reports that the URL in the secret with this ARN led to no video, and why: the secret is read again
// at once, and then with growing pauses while the failure lasts.
func (c *Cache) Failed(arn, why string) {
	c.mu.Lock()
	e, now := c.entry(arn), c.now()
	due := e.outage.failed(why, e.askedAt, now)
	sooner := !due.IsZero() && e.err == nil && (e.due.IsZero() || due.Before(e.due))
	if sooner {
		e.due = due
	}
	c.mu.Unlock()
	if sooner {
		c.wake.Set()
	}
}

// Served reports that the URL in the secret with this ARN led to video.
func (c *Cache) Served(arn string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entry(arn); e.outage.serve(c.now()) && e.err == nil {
		e.due = e.readAt.Add(backoff.Jittered(rereadEvery, 0.1))
	}
}

// ReadNow has the secrets with these ARNs read again at once; without one, all that are wanted.
func (c *Cache) ReadNow(arns ...string) {
	c.mu.Lock()
	if len(arns) == 0 {
		for arn := range c.wanted {
			arns = append(arns, arn)
		}
	}
	now := c.now()
	for _, arn := range arns {
		e := c.entry(arn)
		e.outage.restart()
		e.due, e.failures = now, 0
	}
	c.mu.Unlock()
	c.wake.Set()
}

// Changed returns a channel that is closed when the secret with this ARN has another URL than now.
func (c *Cache) Changed(arn string) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entry(arn)
	if e.changed == nil {
		e.changed = make(chan struct{})
	}
	return e.changed
}

// LastRead is when the secret with this ARN was last read with success; zero for never.
func (c *Cache) LastRead(arn string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[arn]; e != nil {
		return e.readAt
	}
	return time.Time{}
}
