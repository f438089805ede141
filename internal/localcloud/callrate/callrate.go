// Package callrate owns how many calls a second are admitted. It must not know what is called.
package callrate

import (
	"sync"
	"time"
)

// Rate admits at most N calls within one second. Its methods may be called at any time from any goroutine.
type Rate struct {
	N   int
	Now func() time.Time // nil = time.Now

	mu    sync.Mutex
	calls []time.Time
}

// Admit counts a call, and reports whether it is one of those that are admitted.
func (c *Rate) Admit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.Now != nil {
		now = c.Now()
	}
	for len(c.calls) > 0 && (now.Sub(c.calls[0]) >= time.Second || now.Before(c.calls[0])) { // a clock may be set back
		c.calls = c.calls[1:]
	}
	if len(c.calls) >= c.N {
		return false
	}
	c.calls = append(c.calls, now)
	return true
}

// Forget admits as many calls again as after a second.
func (c *Rate) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = nil
}
