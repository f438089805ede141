// Package health owns the health that the components of the agent report: states,
// conditions and counters. Every component reports here; status, metrics and MQTT read here. It must not
// know cameras, files or the cloud.
package health

import (
	"maps"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// Key names a component: the job of a stream, or of the agent itself when Stream is empty.
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
	JobAPI       = "api"      // the local API, and the systemd watchdog
	JobSiteWise  = "sitewise" // the write-back to AWS IoT SiteWise
)

// Registry holds the components of one agent. Safe for concurrent use.
type Registry struct {
	now func() time.Time

	watchers signal.Watchers // of states and conditions

	mu         sync.Mutex
	components map[Key]*Component // guarded by mu
}

// NewRegistry returns an empty registry; now is the wall clock.
func NewRegistry(now func() time.Time) *Registry {
	return &Registry{now: now, components: make(map[Key]*Component)}
}

// Component returns the component of that name, made on first use. An empty stream means the agent itself.
func (r *Registry) Component(stream, job string) *Component {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := Key{Stream: stream, Job: job}
	c := r.components[key]
	if c == nil {
		c = &Component{
			key: key, registry: r, stateSince: r.now(), scopes: make(map[Scope]*scopeState),
			counters: make(map[string]*Counter), gauges: make(map[string]*Gauge),
		}
		r.components[key] = c
	}
	return c
}

// RemoveStream forgets all components of a stream.
func (r *Registry) RemoveStream(stream string) {
	r.mu.Lock()
	for key := range r.components {
		if key.Stream == stream && stream != "" {
			delete(r.components, key)
		}
	}
	r.mu.Unlock()
	r.watchers.Notify()
}

// Snapshot copies all components, ordered by stream and job.
func (r *Registry) Snapshot() []ComponentSnapshot {
	r.mu.Lock()
	components := slices.Collect(maps.Values(r.components))
	r.mu.Unlock()
	out := make([]ComponentSnapshot, 0, len(components))
	for _, c := range components {
		out = append(out, c.Snapshot())
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
