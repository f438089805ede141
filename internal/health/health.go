// Package health owns what the parts of the agent know of their own well-being: states,
// conditions and counters. Every part reports here; status, metrics and MQTT read here. It knows
// nothing of cameras, files or the cloud.
package health

import (
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// Severity orders conditions by how much they matter.
type Severity int

// The severities, least first.
const (
	// Info is worth a line in status and no more.
	Info Severity = iota
	// Degraded means the part does its job, but not fully (frames lost, backlog kept back).
	Degraded
	// Failed means the part does not do its job now.
	Failed
)

// String gives the severity's name as JSON and status show it.
func (s Severity) String() string {
	switch s {
	case Info:
		return "info"
	case Degraded:
		return "degraded"
	default:
		return "failed"
	}
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; an unknown name reads as Failed.
func (s *Severity) UnmarshalText(text []byte) error {
	*s = Failed
	for _, known := range []Severity{Info, Degraded} {
		if known.String() == string(text) {
			*s = known
		}
	}
	return nil
}

// Condition is one thing that is out of the ordinary with a part.
type Condition struct {
	Code     string    `json:"code"`
	Class    Class     `json:"class"`
	Severity Severity  `json:"severity"`
	Text     string    `json:"text"`
	Since    time.Time `json:"since"`
	// Count is how often the condition was reported since Since.
	Count int64 `json:"count"`
}

// Key names a part: the job of a stream, or of the agent itself when Stream is empty.
type Key struct {
	Stream string `json:"stream,omitempty"`
	Job    string `json:"job"`
}

// The jobs that report.
const (
	JobRecorder  = "recorder"
	JobUploader  = "uploader"
	JobRetention = "retention"
	JobConfig    = "config"
	JobStore     = "store"
	JobCloud     = "cloud"
	JobMetrics   = "metrics"
	JobSettings  = "settings"
	JobAPI       = "api" // the local API, and the word to systemd
)

// Registry holds the parts of one agent. Safe for concurrent use.
type Registry struct {
	now func() time.Time

	watchers signal.Watchers // of states and conditions

	mu    sync.Mutex
	parts map[Key]*Part // guarded by mu
}

// NewRegistry returns an empty registry; now is the wall clock.
func NewRegistry(now func() time.Time) *Registry {
	return &Registry{now: now, parts: make(map[Key]*Part)}
}

// Part returns the part of that name, made on first use. An empty stream means the agent itself.
func (r *Registry) Part(stream, job string) *Part {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := Key{Stream: stream, Job: job}
	p := r.parts[key]
	if p == nil {
		p = &Part{key: key, registry: r, stateSince: r.now(), scopes: make(map[Scope]*scopeState), numbers: make(map[string]*Number)}
		r.parts[key] = p
	}
	return p
}

// RemoveStream forgets all parts of a stream.
func (r *Registry) RemoveStream(stream string) {
	r.mu.Lock()
	for key := range r.parts {
		if key.Stream == stream && stream != "" {
			delete(r.parts, key)
		}
	}
	r.mu.Unlock()
	r.watchers.Notify()
}

// Snapshot copies all parts, ordered by stream and job.
func (r *Registry) Snapshot() []PartSnapshot {
	r.mu.Lock()
	parts := make([]*Part, 0, len(r.parts))
	for _, p := range r.parts {
		parts = append(parts, p)
	}
	r.mu.Unlock()
	out := make([]PartSnapshot, 0, len(parts))
	for _, p := range parts {
		out = append(out, p.Snapshot())
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Stream != out[j].Stream {
			return out[i].Stream < out[j].Stream
		}
		return out[i].Job < out[j].Job
	})
	return out
}

// Watch returns a channel that receives after states or conditions changed (changes in quick
// succession may arrive as one), and a function that ends the watch.
func (r *Registry) Watch() (changes <-chan struct{}, stop func()) { return r.watchers.Watch() }

// Part is what one job of one stream reports of itself. Safe for concurrent use.
type Part struct {
	key      Key
	registry *Registry

	mu         sync.Mutex
	state      string    // guarded by mu, as all below
	stateSince time.Time // when state was last changed
	scopes     map[Scope]*scopeState
	numbers    map[string]*Number
}

// SetState notes what the part is doing, in one or two words: "recording", "waiting for the window".
func (p *Part) SetState(state string) {
	state = Clean(state, MaxPart)
	p.mu.Lock()
	same := p.state == state
	if !same {
		p.state, p.stateSince = state, p.registry.now()
	}
	p.mu.Unlock()
	if !same {
		p.registry.watchers.Notify()
	}
}

// Number returns the part's counter or gauge of that name, made on first use. Keep the pointer:
// the look-up takes a lock, the Number does not.
func (p *Part) Number(name string) *Number {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.numbers[name]
	if n == nil {
		n = new(Number)
		p.numbers[name] = n
	}
	return n
}

// Snapshot copies the part. Conditions come worst first.
func (p *Part) Snapshot() PartSnapshot {
	now := p.registry.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := PartSnapshot{
		Key: p.key, State: p.state, StateSince: p.stateSince, Conditions: p.conditions(now), Numbers: make(map[string]int64, len(p.numbers)),
	}
	for name, n := range p.numbers {
		s.Numbers[name] = n.Load()
	}
	return s
}

// PartSnapshot is a Part at one instant.
type PartSnapshot struct {
	Key
	State      string           `json:"state"`
	StateSince time.Time        `json:"stateSince"`
	Conditions []Condition      `json:"conditions,omitempty"`
	Numbers    map[string]int64 `json:"numbers,omitempty"`
}

// Worst returns the condition that matters most, if there is any.
func (s PartSnapshot) Worst() (Condition, bool) {
	if len(s.Conditions) == 0 {
		return Condition{}, false
	}
	return s.Conditions[0], true
}

// OffBySchedule begins the state of a job that waits for its window.
const OffBySchedule = "off by schedule"

// IsOffBySchedule reports whether the job waits for its window.
func (s PartSnapshot) IsOffBySchedule() bool { return strings.HasPrefix(s.State, OffBySchedule) }

// Number is a counter or a gauge. Its zero value is ready; it never takes a lock.
type Number struct{ v atomic.Int64 }

// Add adds to a counter.
func (n *Number) Add(delta int64) { n.v.Add(delta) }

// Set sets a gauge.
func (n *Number) Set(value int64) { n.v.Store(value) }

// Load reads it.
func (n *Number) Load() int64 { return n.v.Load() }
