package health

import (
	"strings"
	"sync"
	"time"
)

// Component is what one job of one stream reports of itself. Safe for concurrent use.
type Component struct {
	key      Key
	registry *Registry

	mu         sync.Mutex
	state      string    // guarded by mu, as all below
	stateSince time.Time // when state was last changed
	scopes     map[Scope]*scopeState
	counters   map[string]*Counter
	gauges     map[string]*Gauge
}

// SetState notes what the component is doing, in one or two words: "recording", "waiting for the window".
func (c *Component) SetState(state string) {
	state = Clean(state, MaxPart)
	c.mu.Lock()
	same := c.state == state
	if !same {
		c.state, c.stateSince = state, c.registry.now()
	}
	c.mu.Unlock()
	if !same {
		c.registry.watchers.Notify()
	}
}

// Counter returns the component's counter of that name, made on first use. Keep the pointer: the look-up takes a lock, the
// counter does not.
func (c *Component) Counter(name string) *Counter {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.counters[name]
	if n == nil {
		n = new(Counter)
		c.counters[name] = n
	}
	return n
}

// Gauge returns the component's gauge of that name, made on first use. Keep the pointer, as with Counter.
func (c *Component) Gauge(name string) *Gauge {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.gauges[name]
	if g == nil {
		g = new(Gauge)
		c.gauges[name] = g
	}
	return g
}

// Value reads the counter or gauge of that name; 0 when there is none yet.
func (c *Component) Value(name string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.counters[name]; n != nil {
		return n.Load()
	}
	if g := c.gauges[name]; g != nil {
		return g.Load()
	}
	return 0
}

// Snapshot copies the component. Conditions come worst first.
func (c *Component) Snapshot() ComponentSnapshot {
	now := c.registry.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := ComponentSnapshot{
		Key: c.key, State: c.state, StateSince: c.stateSince, Conditions: c.conditions(now),
		Numbers: make(map[string]int64, len(c.counters)+len(c.gauges)),
	}
	for name, n := range c.counters {
		s.Numbers[name] = n.Load()
	}
	for name, g := range c.gauges {
		s.Numbers[name] = g.Load()
	}
	return s
}

// ComponentSnapshot is a Component at one instant.
type ComponentSnapshot struct {
	Key
	State      string           `json:"state"`
	StateSince time.Time        `json:"stateSince"`
	Conditions []Condition      `json:"conditions,omitempty"`
	Numbers    map[string]int64 `json:"numbers,omitempty"`
}

// Worst returns the condition that matters most, if there is any.
func (s ComponentSnapshot) Worst() (Condition, bool) {
	if len(s.Conditions) == 0 {
		return Condition{}, false
	}
	return s.Conditions[0], true
}

// OffBySchedule begins the state of a job that waits for its window.
const OffBySchedule = "off by schedule"

// IsOffBySchedule reports whether the job waits for its window.
func (s ComponentSnapshot) IsOffBySchedule() bool { return strings.HasPrefix(s.State, OffBySchedule) }
