package timeline

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

const (
	// epochCheck is the least interval of checks whether the clock is trusted.
	epochCheck = time.Second
	// epochRetry is how long to wait after an epoch could not be started.
	epochRetry = 30 * time.Second
)

// EpochWatch follows steps of the hub's clock, so that it is known which times were ahead, and by how much.
// The zero value is ready for use.
type EpochWatch struct {
	seen    time.Time     // the hub's clock at the last access unit
	stepped time.Duration // the sum of its steps since from
	from    time.Time     // producer timestamp of the first frame that was dated before those steps; zero: there is none
	next    time.Time     // the time of the next check
}

// Watch notes the clock at an access unit.
func (e *EpochWatch) Watch(now time.Time) {
	if !e.seen.IsZero() {
		e.stepped += hubclock.Step(e.seen, now)
	}
	e.seen = now
}

// Recorded notes the producer timestamp of a recorded frame.
func (e *EpochWatch) Recorded(producer time.Time) {
	if e.from.IsZero() {
		e.from = producer
	}
}

// Reset forgets the steps of the clock: times were restarted from it.
func (e *EpochWatch) Reset() { e.stepped, e.from = 0, time.Time{} }

// Ahead returns how far the newest producer timestamp is ahead of the clock, beyond MaxAhead, after it was set; 0 when it is not.
func (e *EpochWatch) Ahead(newest, now time.Time) time.Duration {
	if ahead := newest.Sub(now.Round(0)); ahead > MaxAhead && !hubclock.Unset(now) {
		return ahead
	}
	return 0
}

// CheckDue reports whether it is time to check whether the clock is trusted.
func (e *EpochWatch) CheckDue(now time.Time) bool {
	if now.Sub(e.next) < 0 && e.next.Sub(now) <= epochRetry {
		return false
	}
	e.next = now.Add(epochCheck)
	return true
}

// PutOff postpones an epoch that could not be started now.
func (e *EpochWatch) PutOff(now time.Time) { e.next = now.Add(epochRetry) }

// Correction returns from which producer timestamp on times are ahead, and what must be added to them.
// It is zero when the start is unknown.
func (e *EpochWatch) Correction() Correction {
	if e.stepped <= -MaxAhead && !e.from.IsZero() {
		return Correction{From: e.from, Add: e.stepped}
	}
	return Correction{}
}
