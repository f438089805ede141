package scheduler

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// noAlarm is later than any time at which an alarm can be set.
var noAlarm = time.Date(1e6, 1, 1, 0, 0, 0, 0, time.UTC)

// alarm rings when the wall clock reaches a time, and whenever the clock was stepped or the zone
// changed, so that whoever set it computes the time again. It remembers one ring: a step between
// reading the clock and setting the alarm is not lost.
type alarm struct {
	ring  signal.Signal
	clock *Clock
	at    time.Time // guarded by clock.mu
}

func (c *Clock) newAlarm() *alarm {
	a := &alarm{ring: signal.New(), clock: c, at: noAlarm}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alarms[a] = struct{}{}
	return a
}

// set makes the alarm ring at a time instead of the one before; zero for none.
func (a *alarm) set(at time.Time) {
	if at.IsZero() {
		at = noAlarm
	}
	c := a.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	a.at = at
	if at.Before(c.earliest) {
		c.earliest = at
	}
	if at.Before(c.wakeAt) {
		c.wake.Set()
	}
}

func (a *alarm) stop() {
	a.clock.mu.Lock()
	defer a.clock.mu.Unlock()
	delete(a.clock.alarms, a)
}
