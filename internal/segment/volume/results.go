package volume

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// Results are the last results of all who sync and repair files of the recording disk. Safe for concurrent use.
type Results struct {
	log    *zap.Logger
	health *health.Component

	mu sync.Mutex
	of map[uint64]error // by who did it
}

// newResults returns the results of a disk that is well.
func newResults(log *zap.Logger, component *health.Component) *Results {
	return &Results{log: log, health: component, of: make(map[uint64]error)}
}

// Set notes a result, and reports whether the disk is well, or what is wrong with it.
func (r *Results) Set(of uint64, err error) {
	r.mu.Lock()
	r.of[of] = err
	all := errors.Join(slices.Collect(maps.Values(r.of))...)
	r.mu.Unlock()
	r.Report(all)
}

// Report reports whether the recording disk is well, or what is wrong with it.
func (r *Results) Report(err error) {
	if err == nil {
		if r.health.OK(health.ScopeDisk) {
			logevent.DiskRecovered.Log(r.log)
		}
		return
	}
	fault := health.FaultOf(err, CodeDisk)
	if r.health.Report(health.ScopeDisk, health.Degraded, fault) {
		logevent.Condition(r.log, fault)
	}
}
