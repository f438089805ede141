package kvsconfig_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/configtest"
)

// conditionRows are the conditions of the hub's configuration, in synctest's time.
var conditionRows = []conditiontest.Row{
	{Code: "config-state", Job: health.JobConfig, Start: configured(func(h *testHub) (undo func()) {
		removeState(h)
		h.RequestListing() // so that there is something to keep
		return func() { restoreState(h) }
	})},
	{Code: "config-message", Job: health.JobConfig, Limit: 18 * time.Minute, Reason: "only a listing, every 15 min ± 20 %, shows that " +
		"nothing was missed",
		Start: configured(func(h *testHub) (undo func()) {
			h.inbox.put(push{err: &edgeconfig.Refusal{Text: "the message is not JSON"}})
			return func() {}
		})},
	{Code: "config-refused", Job: health.JobConfig, Start: configured(func(h *testHub) (undo func()) {
		h.kvs.Set(elsewhere(listed(h.t, "cam", 1_700_000_100)))
		h.RequestListing()
		return func() { // as an update does
			h.kvs.Set(listed(h.t, "cam", 1_700_000_200))
			h.RequestListing()
		}
	})},
	{Code: "config-apply", Job: health.JobConfig, Limit: 10 * time.Minute, Reason: "it is tried again with pauses of 10 s to 10 min",
		Start: configured(func(h *testHub) (undo func()) {
			h.applier.Answer("cam", errors.New("no room"))
			h.kvs.Set(listed(h.t, "cam", 1_700_000_100))
			h.RequestListing()
			return func() { h.applier.Answer("cam", nil) }
		})},
	{Code: "control-plane", Job: health.JobConfig, Limit: 5 * time.Minute, Reason: "it is asked again with pauses of 5 s to 5 min, as " +
		"thousands of hubs ask",
		Start: configured(func(h *testHub) (undo func()) {
			h.kvs.FailWith(errors.New("away"))
			h.RequestListing()
			return func() { h.kvs.Set(listed(h.t, "cam", 1_700_000_000)) }
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
	row := conditiontest.Row{
		Code: "hub-arn", Job: health.JobConfig, Limit: 25 * time.Hour, Reason: "that a stream stops is an event; it is shown for a day",
		Start: movedHub,
	}
	t.Run(row.Code, func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) { conditiontest.Check(t, row, conditiontest.Success) })
	})
}

// A stream that is refused and then taken from this hub is no longer this hub's to report.
func TestARefusalEndsWithItsConfiguration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := listOnly(t, t.TempDir())
		h.kvs.Set(elsewhere(listed(t, "other", 1_700_000_100)))
		h.RequestListing()
		time.Sleep(2 * time.Second)
		if worst, _ := h.part.Snapshot().Worst(); worst.Code != "config-refused/other" {
			t.Fatalf("condition %+v", worst)
		}
		h.kvs.Set(listed(t, "cam", 1_700_000_000))
		h.RequestListing()
		time.Sleep(2 * time.Second)
		if worst, ok := h.part.Snapshot().Worst(); ok && worst.Severity > health.Info {
			t.Errorf("%q is left", worst.Text)
		}
	})
}

// listOnly is a running hub without MQTT, with one stream, in synctest's time.
func listOnly(t *testing.T, dir string, edit ...func(*kvsconfig.Options)) *testHub {
	t.Helper()
	h := newTestHub(t, dir, append(edit, func(o *kvsconfig.Options) { o.Timing = kvsconfig.DefaultTiming() })...)
	h.kvs.Set(listed(t, "cam", 1_700_000_000))
	h.run()
	time.Sleep(time.Second)
	return h
}

// removeState puts a file in the place of the state directory: root writes anywhere else.
func removeState(h *testHub) {
	_ = os.RemoveAll(h.dir)
	_ = os.WriteFile(h.dir, nil, 0o600)
}

func restoreState(h *testHub) {
	if err := os.Remove(h.dir); err != nil {
		h.t.Error(err)
	}
}

func configured(arrange func(*testHub) (undo func())) func(*testing.T) conditiontest.Case {
	return func(t *testing.T) conditiontest.Case {
		h := listOnly(t, t.TempDir())
		var undo func()
		return conditiontest.Case{
			Health: h.health, Now: time.Now, Step: time.Second,
			Raise: func() {
				if undo == nil {
					undo = arrange(h)
				}
			},
			Repair: func() { undo() },
			Ways:   map[conditiontest.Way]func(){conditiontest.Configuration: h.RequestListing},
		}
	}
}

// movedHub has a hub that learns that it is another one than its configurations are for.
func movedHub(t *testing.T) conditiontest.Case {
	dir := t.TempDir()
	before := listOnly(t, dir)
	before.stop()
	h := listOnly(t, dir, func(o *kvsconfig.Options) {
		o.HubDeviceARN = ""
		o.FindHubARN = func(context.Context) (string, error) {
			return strings.Replace(configtest.Hub, "123456789012", "999999999999", 1), nil
		}
	})
	return conditiontest.Case{Health: h.health, Now: time.Now, Step: 20 * time.Minute, Raise: func() {}, Repair: func() { h.kvs.Set() }}
}
