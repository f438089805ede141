package scheduler

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/pulse"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

const (
	// clockSlice is the longest sleep of the clock where the kernel does not report that the wall clock was set or a
	// suspension ended. Timers of the runtime notice neither, so this bounds the delay: within a second, as promised.
	clockSlice = 800 * time.Millisecond
	// zoneEvery is how often the system's time zone is read, and the longest sleep of the clock in any case; see pulse.Until.
	zoneEvery = 2 * time.Second
)

// ClockOptions replace the sources of a Clock; the zero value is the system's clock and time zone.
type ClockOptions struct {
	// Wall is the wall clock. Default time.Now.
	Wall func() time.Time
	// Zone returns the system's time zone: the same pointer until it changes. It is called every 2 s. The default follows
	// the variable TZ and /etc/localtime.
	Zone func() *time.Location
	// Log receives steps of the clock and changes of the zone. Default: none.
	Log *zap.Logger
}

// Clock is the wall clock for any number of runners. One goroutine sleeps for all of them, at most 2 s at once, and wakes
// all when the wall clock was stepped, for any reason, or the time zone changed.
type Clock struct {
	wall    func() time.Time
	zone    func() *time.Location
	log     *zap.Logger
	slice   time.Duration
	started time.Time // carries a monotonic reading

	wake  signal.Signal // an alarm was set to a time before wakeAt, or the wall clock was set
	quit  chan struct{}
	ended chan struct{}
	close sync.Once

	set      *clockSet // nil: Wall is replaced, or the kernel does not report it
	watching sync.WaitGroup

	mu          sync.Mutex
	alarms      map[*alarm]struct{}
	earliest    time.Time     // no alarm is set to before it
	wakeAt      time.Time     // wall time up to which the goroutine sleeps
	offset      time.Duration // how far the wall clock is ahead of the monotonic one
	current     *time.Location
	zoneChecked time.Duration // monotonic, since started
}

// NewClock returns a running clock. Close ends it.
func NewClock(o ClockOptions) *Clock {
	if o.Wall != nil {
		return newClock(o, clockSlice)
	}
	set, err := watchClock()
	if err != nil {
		c := newClock(o, clockSlice)
		logevent.TimerfdUnavailable.Log(c.log, zap.Error(err))
		return c
	}
	c := newClock(o, zoneEvery)
	c.set = set
	c.watching.Go(func() {
		for set.await() {
			c.wake.Set()
		}
	})
	return c
}

func newClock(o ClockOptions, slice time.Duration) *Clock {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Zone == nil {
		o.Zone = newSystemZone(o.Log).location
	}
	c := &Clock{
		wall:    o.Wall,
		zone:    o.Zone,
		log:     o.Log,
		slice:   slice,
		started: time.Now(),
		wake:    signal.New(),
		quit:    make(chan struct{}),
		ended:   make(chan struct{}),
		alarms:  make(map[*alarm]struct{}),
		current: o.Zone(),

		earliest: noAlarm,
	}
	var wall time.Time
	wall, c.offset, _ = c.read()
	c.wakeAt = wall
	go c.run()
	return c
}

// Close ends the clock; its alarms are silent from then on.
func (c *Clock) Close() {
	c.close.Do(func() {
		close(c.quit)
		if c.set != nil {
			_ = c.set.close()
		}
	})
	c.watching.Wait()
	<-c.ended
}

// Now returns the wall clock, without a monotonic reading, and the system's time zone.
func (c *Clock) Now() (time.Time, *time.Location) {
	c.mu.Lock()
	zone := c.current
	c.mu.Unlock()
	return c.wall().Round(0).In(zone), zone
}

// read returns the wall clock, how far it is ahead of the monotonic one, and the latter.
func (c *Clock) read() (wall time.Time, offset, elapsed time.Duration) {
	now := c.wall()
	elapsed = time.Since(c.started)
	wall = now.Round(0)
	return wall, wall.Sub(c.started.Round(0)) - elapsed, elapsed
}

func (c *Clock) run() {
	defer close(c.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-c.quit:
			return
		case <-c.wake.C():
		case <-timer.C:
		}
		wait := c.slice
		if err := supervise.Do("Checking the clock", func() error { wait = c.tick(); return nil }); err != nil {
			logevent.Condition(c.log, health.FaultOf(err, supervise.Code))
		}
		timer.Reset(wait)
	}
}

// tick rings the alarms that are due and returns how long to sleep.
func (c *Clock) tick() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, offset, elapsed := c.read()
	all := false
	if step := offset - c.offset; step.Abs() > hubclock.WakeStep {
		logevent.ClockStepped.Log(c.log, zap.Duration("step", step), zap.Time("now", now))
		c.offset, all = offset, true
	}
	if elapsed-c.zoneChecked >= zoneEvery-zoneEvery/8 { // wake-ups are not exactly so far apart
		c.zoneChecked = elapsed
		if zone := c.zone(); zone != c.current {
			logevent.TimeZoneChanged.Log(c.log, zap.Stringer("zone", zone))
			c.current, all = zone, true
		}
	}
	if all || !c.earliest.After(now) {
		c.ringAlarms(now, all)
	}
	c.wakeAt = now.Add(pulse.Until(c.slice))
	if c.earliest.Before(c.wakeAt) {
		c.wakeAt = c.earliest
	}
	return c.wakeAt.Sub(now)
}

// ringAlarms rings the alarms that are due, or all.
func (c *Clock) ringAlarms(now time.Time, all bool) {
	c.earliest = noAlarm
	for a := range c.alarms {
		switch {
		case all || !a.at.After(now):
			a.at = noAlarm
			a.ring.Set()
		case a.at.Before(c.earliest):
			c.earliest = a.at
		}
	}
}

// noAlarm is later than any time to which an alarm can be set.
var noAlarm = time.Date(1e6, 1, 1, 0, 0, 0, 0, time.UTC)

// alarm rings when the wall clock reaches a time, and whenever the clock was stepped or the zone changed, so that its owner
// computes the time again. It stores one ring: a step between reading the clock and setting the alarm is not lost.
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

// set sets the time of the alarm instead of the previous one; zero for none.
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
