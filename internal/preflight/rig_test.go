package preflight

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site"
)

const (
	patience = site.Patience
	thing    = site.Hub
	// ownHost is a loopback address from which no connection of a test takes a port meanwhile.
	ownHost = "127.0.0.2"
)

// rig is a check in this process, with the hub, the cameras and the cloud of a site.
type rig struct {
	*site.Site
	t *testing.T
}

func newRig(t *testing.T, change ...func(*localcloud.Options)) *rig {
	t.Helper()
	return &rig{Site: site.New(t, change...), t: t}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// hundredGB is the disk of the hubs in these tests.
func hundredGB(string) (free, total uint64, err error) { return 90e9, 100e9, nil }

func (h *rig) check(change ...func(*Options)) (findings, bool) {
	h.t.Helper()
	var all findings
	o := Options{Getenv: h.Lookup, Report: func(f Finding) { all = append(all, f) }, diskFree: hundredGB}
	for _, f := range change {
		f(&o)
	}
	ok := Check(h.t.Context(), o)
	return all, ok
}

// run has the hub's agent run until stop, or until the test ends.
func (h *rig) run(o agent.Options) (stop func()) {
	h.t.Helper()
	o.Version = "test"
	a, err := agent.New(h.Settings(), o)
	must(h.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- a.Run(ctx) }()
	ended := false
	stop = func() {
		if cancel(); !ended {
			ended = true
			if err := <-stopped; err != nil {
				h.t.Error(err)
			}
		}
	}
	h.t.Cleanup(stop)
	return stop
}

// snapshot is the status of the running agent.
func (h *rig) snapshot() status.Snapshot {
	h.t.Helper()
	s, err := localapi.NewClient(h.Env[settings.EnvSocket]).Status(h.t.Context())
	must(h.t, err)
	return s
}

// conditions are those of one part of the running agent.
func (h *rig) conditions(job string) []status.Condition {
	h.t.Helper()
	return slices.DeleteFunc(h.snapshot().Agent, func(c status.Condition) bool { return c.Job != job })
}

// awaitRunning waits until the agent answers on its socket.
func (h *rig) awaitRunning() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	for {
		if _, err := localapi.NewClient(h.Env[settings.EnvSocket]).Status(ctx); err == nil {
			return
		}
		if backoff.Sleep(ctx, 10*time.Millisecond) != nil {
			h.t.Fatal("the agent does not answer")
		}
	}
}
