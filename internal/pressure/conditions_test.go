package pressure_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/pressure"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
)

// machine is a hub whose kernel and agent say what the test sets, in synctest's time.
type machine struct {
	began time.Time

	mu   sync.Mutex
	late int // of 30 moments in each look
	busy time.Duration
	wear []pressure.Storage
}

// read has a processor for which the agent has waited half of the time while it is late.
func (m *machine) read() pressure.Reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.late > 0 {
		m.busy = time.Since(m.began)
	}
	return pressure.Reading{Processor: &pressure.Stalls{Some: pressure.Stall{Total: m.busy}}, Storage: m.wear}
}

func (m *machine) lag() pressure.Lag {
	m.mu.Lock()
	defer m.mu.Unlock()
	return pressure.Lag{Moments: 30, Late: m.late}
}

func (m *machine) set(change func()) func() {
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		change()
	}
}

func on(arrange func(*machine) (raise, repair func())) func(*testing.T) conditiontest.Case {
	return func(t *testing.T) conditiontest.Case {
		m := &machine{began: time.Now()}
		registry := health.NewRegistry(time.Now)
		watch := pressure.New(pressure.Options{Read: m.read, Lag: m.lag, Component: registry.Component("", health.JobAPI), Log: zap.NewNop()})
		go func() { _ = watch.Run(t.Context()) }()
		raise, repair := arrange(m)
		return conditiontest.Case{Health: registry, Now: time.Now, Step: time.Second, Raise: m.set(raise), Repair: m.set(repair)}
	}
}

var conditionRows = []conditiontest.Row{
	{Code: "hub-overloaded", Job: health.JobAPI, Start: on(func(m *machine) (raise, repair func()) {
		return func() { m.late = 10 }, func() { m.late = 0 }
	})},
	{Code: "storage-worn", Job: health.JobAPI, Start: on(func(m *machine) (raise, repair func()) {
		return func() { m.wear = []pressure.Storage{{Device: "mmcblk0", UsedPercent: 110}} },
			func() { m.wear = []pressure.Storage{{Device: "mmcblk0", UsedPercent: 10}} }
	})},
}

func TestConditionsEnd(t *testing.T) {
	t.Parallel()
	for _, row := range conditionRows {
		for _, way := range conditiontest.Ways {
			t.Run(row.Code+"/"+string(way), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { conditiontest.Check(t, row, way) })
			})
		}
	}
}
