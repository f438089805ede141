// Package pulse owns when goroutines check something now and then: at common instants, whole multiples of their intervals, so that the
// process wakes once for all of them. Of an agent that has nothing to do each wake-up costs more than the check.
package pulse

import (
	"sync"
	"time"
)

// Ticker is as a time.Ticker whose ticks are at whole multiples of its interval on the hub's clock. Call Stop in the end.
type Ticker struct {
	C <-chan time.Time // has one tick at most

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

// NewTicker returns a running ticker.
func NewTicker(interval time.Duration) *Ticker {
	c := make(chan time.Time, 1)
	t := &Ticker{C: c}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = time.AfterFunc(Until(interval), func() {
		select {
		case c <- time.Now():
		default:
		}
		t.again(Until(interval))
	})
	return t
}

func (t *Ticker) again(wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.stopped {
		t.timer.Reset(wait)
	}
}

// Stop ends the ticks.
func (t *Ticker) Stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	t.timer.Stop()
}

// near is the part of an interval within which an instant counts as the next one: a timer may be a little early.
const near = 16

// Until returns how long it is to the next instant for that interval: a sixteenth of the interval at least, and that more than the
// interval at most.
func Until(interval time.Duration) time.Duration {
	wait := interval - time.Duration(time.Now().UnixNano())%interval
	if wait > interval { // before 1970
		wait -= interval
	}
	if wait < interval/near {
		wait += interval
	}
	return wait
}
