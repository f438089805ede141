package conn

import "time"

const (
	// batchInterval is how long bytes of a camera are left in the socket once it plays. A
	// frame of 1080p arrives as a dozen packets, and each would wake a thread; recording does not
	// need them sooner. All cameras are read at the same instants, so that the processor sleeps in
	// between.
	batchInterval = 100 * time.Millisecond
	// AtOnce is how long everything is read at once before that: the arrival of the first picture anchors
	// the session's time.
	AtOnce = time.Second
)

// Instants are those at which the cameras are read, all at the same ones. One goroutine uses it.
type Instants struct{ timer *time.Timer }

// NewInstants returns them. Make it once: each is an allocation.
func NewInstants() Instants { return Instants{time.NewTimer(batchInterval)} }

// Next returns a channel that receives at the next instant.
func (i Instants) Next() <-chan time.Time {
	now := time.Now()
	i.timer.Reset(now.Truncate(batchInterval).Add(batchInterval).Sub(now))
	return i.timer.C
}

// Stop releases what they took.
func (i Instants) Stop() { i.timer.Stop() }
