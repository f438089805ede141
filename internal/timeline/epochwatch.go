package timeline

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

const (
	// epochCheck is how often the clock is asked whether it can be trusted, at most.
	epochCheck = time.Second
	// epochRetry is how long an epoch waits that could not be begun.
	epochRetry = 30 * time.Second
)

// EpochWatch remembers what was done to the hub's clock, so that it is known which times were ahead, and by how much.
// The zero value is ready for use.
type EpochWatch struct {
	seen    time.Time     // the hub's clock at the last access unit
	stepped time.Duration // by which it was set since from
	from    time.Time     // producer time of the first frame that it dated as it did until then; zero: there is none
	next    time.Time     // of the next check
}

// Watch follows the clock.
func (e *EpochWatch) Watch(now time.Time) {
	if !e.seen.IsZero() {
		e.stepped += hubclock.Step(e.seen, now)
	}
	e.seen = now
}

// Recorded takes the producer time of a frame that is recorded.
func (e *EpochWatch) Recorded(producer time.Time) {
	if e.from.IsZero() {
		e.from = producer
	}
}

// Reset forgets what was done to the clock: times count from it.
func (e *EpochWatch) Reset() { e.stepped, e.from = 0, time.Time{} }

// Ahead is by how much the newest producer time is too far ahead of the clock, which was set; 0 when it is not.
func (e *EpochWatch) Ahead(newest, now time.Time) time.Duration {
	if ahead := newest.Sub(now.Round(0)); ahead > MaxAhead && !hubclock.Unset(now) {
		return ahead
	}
	return 0
}

// CheckDue reports whether the clock should be asked now whether it can be trusted.
func (e *EpochWatch) CheckDue(now time.Time) bool {
	if now.Sub(e.next) < 0 && e.next.Sub(now) <= epochRetry {
		return false
	}
	e.next = now.Add(epochCheck)
	return true
}

// PutOff says that an epoch could not be begun now: it waits for a while.
func (e *EpochWatch) PutOff(now time.Time) { e.next = now.Add(epochRetry) }

// Correction returns what is known of times that are ahead: since which producer time, and what must be added to them.
// It is zero when nobody knows since when.
func (e *EpochWatch) Correction() Correction {
	if e.stepped <= -MaxAhead && !e.from.IsZero() {
		return Correction{From: e.from, Add: e.stepped}
	}
	return Correction{}
}
