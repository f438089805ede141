// Package freeze notices that the process did not run for a while: suspended with its hub, stopped, in a virtual
// machine that was paused, or starved of memory or processor. A failure meanwhile is not the fault of
// the other end of a connection.
package freeze

import (
	"context"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/pulse"
)

const (
	// tick is how often the process shows that it runs. Each one wakes an agent that has nothing to do.
	tick = time.Second
	// Limit is the least time that the process must not have run for a freeze. One of Limit and a tick is noticed in any case.
	Limit = 2 * time.Second
	// late is how much later than it was to be a tick counts as late: the process waits for a processor.
	late = 200 * time.Millisecond
)

// Freeze is a time during which the process did not run.
type Freeze struct {
	Length time.Duration
	ended  time.Duration // by the clock of the Watch
}

// Watch notices freezes while Run runs. Safe for concurrent use.
type Watch struct {
	now    func() time.Duration
	notify func(Freeze)

	mu      sync.Mutex
	running bool
	seen    time.Duration // when the process was last seen to run
	last    Freeze
	ticks   int // since Late was called
	lates   int // of these
}

// New makes a Watch. notify is called with each freeze, at its end, by Run or the first caller that notices it, and must not
// wait. now is a clock that advances while the hub sleeps; nil = that of the kernel.
func New(notify func(Freeze), now func() time.Duration) *Watch {
	if now == nil {
		now = hubclock.SinceBoot
	}
	return &Watch{now: now, notify: notify}
}

// Run watches until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	w.setRunning(true)
	defer w.setRunning(false)
	ticker := pulse.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			w.check(true)
		}
	}
}

// setRunning says whether Run watches.
func (w *Watch) setRunning(running bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running, w.seen = running, w.now()
}

// check notices a freeze that has just ended. Only Run shows that the process runs: somebody else who looks
// may be kept from it by nothing.
func (w *Watch) check(runs bool) Freeze {
	w.mu.Lock()
	now := w.now()
	length := now - w.seen
	frozen := w.running && length >= Limit+tick
	if frozen {
		w.last = Freeze{Length: length, ended: now}
	}
	if frozen || runs {
		w.seen = now
	}
	if runs {
		w.ticks++
		if length >= tick+late {
			w.lates++
		}
	}
	last := w.last
	w.mu.Unlock()
	if frozen {
		w.notify(last)
	}
	return last
}

// Late returns how many moments the process was to run at since the last call, and how many of these came late.
func (w *Watch) Late() (late, moments int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	late, moments = w.lates, w.ticks
	w.lates, w.ticks = 0, 0
	return late, moments
}

// Within returns the length of the last freeze when that ended no longer ago than d. It knows of one that has just
// ended although nobody else has noticed it yet. A nil Watch knows of none.
func (w *Watch) Within(d time.Duration) (length time.Duration, frozen bool) {
	if w == nil {
		return 0, false
	}
	last := w.check(false)
	if last.Length == 0 || w.now()-last.ended > d {
		return 0, false
	}
	return last.Length, true
}
