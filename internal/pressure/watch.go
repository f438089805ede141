package pressure

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// The codes of the conditions.
const (
	codeOverloaded = "hub-overloaded"
	codeWorn       = "storage-worn"
)

// The scopes.
const (
	scopeOverloaded health.Scope = "overloaded"
	scopeWorn       health.Scope = "storage-worn"
)

const (
	// probeEvery is how often the kernel is asked.
	probeEvery = 15 * time.Second
	// A condition begins after so many looks in a row that say so, and ends after so many that do not.
	raiseAfter = 3
	endAfter   = 3
)

// Options of a Watch.
type Options struct {
	Read      func() Reading // asks the kernel
	Lag       func() Lag     // how late the agent was since the last call
	Component *health.Component
	Log       *zap.Logger
}

// Watch asks the kernel from time to time, and says when the hub cannot keep up or its storage is worn. Safe for concurrent use.
type Watch struct {
	o Options

	mu  sync.Mutex
	now Reading // guarded by mu

	// Of Run alone.
	at       time.Time // when the last probe was; zero for none
	slow     int       // probes in a row with a bottleneck
	fast     int       // probes in a row without one
	reported bool      // the condition is in force
}

// New returns a Watch.
func New(o Options) *Watch { return &Watch{o: o} }

// Now is the last reading; an empty one before the first.
func (w *Watch) Now() Reading {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Run probes until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		w.probe(time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// probe reads once, and judges what is new.
func (w *Watch) probe(at time.Time) {
	now, lag := w.o.Read(), w.o.Lag()
	w.mu.Lock()
	before := w.now
	w.now = now
	w.mu.Unlock()
	if !w.at.IsZero() {
		w.judge(between(before, now, at.Sub(w.at), lag))
	}
	w.at = at
	w.judgeWear(now.Storage)
}

// judge reports a bottleneck that lasts, and its end when that lasts.
func (w *Watch) judge(s seen) {
	b := s.bottleneck()
	if b == None {
		w.slow, w.fast = 0, w.fast+1
		if w.reported && w.fast >= endAfter {
			w.reported = false
			w.o.Component.OK(scopeOverloaded)
			logevent.HubKeepsUp.Log(w.o.Log)
		}
		return
	}
	w.slow, w.fast = w.slow+1, 0
	if w.slow < raiseAfter && !w.reported {
		return
	}
	w.reported = true
	fault := b.fault(s)
	if w.o.Component.Report(scopeOverloaded, health.Degraded, fault) {
		logevent.Condition(w.o.Log, fault, zap.String("bottleneck", string(b)))
	}
}

// judgeWear reports the most worn eMMC.
func (w *Watch) judgeWear(list []Storage) {
	var worst *health.Fault
	severity := health.Info
	for _, s := range list {
		if fault, how := s.fault(); fault != nil && (worst == nil || how > severity) {
			worst, severity = fault, how
		}
	}
	if worst == nil {
		w.o.Component.OK(scopeWorn)
	} else if w.o.Component.Report(scopeWorn, severity, worst) {
		logevent.Condition(w.o.Log, worst)
	}
}

// fault says that the eMMC is worn, or returns nil.
func (s Storage) fault() (*health.Fault, health.Severity) {
	const do = "Replace it, or the hub, before it fails; until then record to another disk, or with a longer AWS_KVS_EDGE_FSYNC_INTERVAL."
	switch {
	case s.UsedPercent >= exceeded:
		return health.SystemFault(codeWorn, nil, "The eMMC %s has exceeded its life time, by its own estimate. %s", s.Device, do), health.Degraded
	case s.PreEOL == preEOLUrgent:
		return health.SystemFault(codeWorn, nil, "The eMMC %s has used 90 %% of its spare blocks. %s", s.Device, do), health.Degraded
	case s.PreEOL == preEOLWarning:
		return health.SystemFault(codeWorn, nil, "The eMMC %s has used 80 %% of its spare blocks. %s", s.Device, do), health.Info
	case s.UsedPercent >= exceeded-10:
		return health.SystemFault(codeWorn, nil, "The eMMC %s has used 90 to 100 %% of its life time, by its own estimate. %s", s.Device, do),
			health.Info
	}
	return nil, health.Info
}
