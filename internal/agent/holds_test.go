package agent

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
)

// holdsOverLimit has a hold that has more than a new setting allows.
func holdsOverLimit(t *testing.T) conditiontest.Case {
	var most atomic.Int64
	most.Store(1 << 40)
	registry := health.NewRegistry(time.Now)
	store, err := segment.Open(segment.Options{
		Dir: t.TempDir(), Health: registry.Component("", health.JobStore), HoldMost: func(uint64) int64 { return most.Load() },
	})
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	start := time.Date(2026, 11, 27, 7, 0, 0, 0, time.UTC)
	writeSecond(t, store, start, true)
	_, err = store.Holding().Add(t.Context(), hold.Hold{ID: "one", Stream: conditiontest.Stream, From: start, To: start.Add(time.Hour),
		Reason: "a test"})
	must(t, err)
	inBackground(t, store.Run)
	return conditiontest.Case{
		Health: registry, Now: time.Now, Step: time.Second,
		Raise: func() { most.Store(1); synctest.Wait() }, Repair: func() { most.Store(1 << 40) },
	}
}

// TestHoldsOfAnAgent are those that its peers ask for.
func TestHoldsOfAnAgent(t *testing.T) {
	a := newRig(t).agent()
	t.Cleanup(a.release)
	start := time.Now().Add(-time.Hour).Truncate(time.Second)
	writeSecond(t, a.store, start, true)
	asked := localapi.HoldRequest{Stream: conditiontest.Stream, From: start, To: start.Add(time.Minute), Reason: "theft"}
	done, err := a.holds.AddForPeer(t.Context(), asked, "user ada (uid 1000)")
	if err != nil || done.Segments != 1 || done.Bytes == 0 || done.Source != "user ada (uid 1000)" || done.ID == "" {
		t.Fatalf("%+v %v", done, err)
	}
	asked.Stream = "no-such"
	_, err = a.holds.AddForPeer(t.Context(), asked, "")
	var fault *health.Fault
	if !errors.As(err, &fault) || fault.Code != hold.CodeRequest || !strings.Contains(fault.Text, "There is no stream no-such") {
		t.Errorf("%v", err)
	}
	if _, err := a.holds.RemoveForPeer(done.ID, "user ada (uid 1000)"); err != nil {
		t.Errorf("%v", err)
	}
	if _, err := a.holds.RemoveForPeer(done.ID, "user ada (uid 1000)"); !errors.As(err, &fault) || fault.Code != hold.CodeRequest {
		t.Errorf("twice: %v", err)
	}
}
