package iotconfig

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
)

// conditionRows are the conditions of the hub's configuration, in synctest's time.
var conditionRows = []conditiontest.Row{
	{Code: "config-state", Job: health.JobConfig, Start: configured(func(h *testHubSource) (mend func()) {
		removeState(h)
		h.requestListing() // so that there is something to keep
		return func() { restoreState(h) }
	})},
	{Code: "config-message", Job: health.JobConfig, Limit: 18 * time.Minute, Reason: "only a listing, every 15 min ± 20 %, shows that nothing was missed",
		Start: configured(func(h *testHubSource) (mend func()) {
			h.inbox.put(message{topic: h.topics.update, payload: []byte("garbage"), ack: func() {}})
			return func() {}
		})},
	{Code: "config-refused", Job: health.JobConfig, Start: configured(func(h *testHubSource) (mend func()) {
		refused := listedAs(h.t, "cam", 1_700_000_100, syncing)
		refused.Config.HubDeviceArn = strings.Replace(testHub, "hub-1", "hub-2", 1)
		h.kvs.set(refused)
		h.requestListing()
		return func() { // as an update does
			h.kvs.set(listedAs(h.t, "cam", 1_700_000_200, syncing))
			h.requestListing()
		}
	})},
	{Code: "config-apply", Job: health.JobConfig, Limit: 10 * time.Minute, Reason: "it is tried again with pauses of 10 s to 10 min",
		Start: configured(func(h *testHubSource) (mend func()) {
			h.applier.answer("cam", errors.New("no room"))
			h.kvs.set(listedAs(h.t, "cam", 1_700_000_100, syncing))
			h.requestListing()
			return func() { h.applier.answer("cam", nil) }
		})},
	{Code: "control-plane", Job: health.JobConfig, Limit: 5 * time.Minute, Reason: "it is asked again with pauses of 5 s to 5 min, as thousands of hubs ask",
		Start: configured(func(h *testHubSource) (mend func()) {
			h.kvs.failWith(errors.New("away"))
			h.requestListing()
			return func() { h.kvs.set(listedAs(h.t, "cam", 1_700_000_000, syncing)) }
		})},
	{Code: "camera-secret", Job: health.JobConfig, Limit: rereadFailed * 6 / 5, Reason: "each answer costs money; a reload reads it at once",
		Start: configured(func(h *testHubSource) (mend func()) {
			h.secrets.fail(health.UserFault("secret-not-found", nil, "The secret does not exist."))
			h.ReadCameras()
			return func() { h.secrets.set(testSecret, cameraURL) }
		})},
	{Code: "camera-store", Job: health.JobConfig, Start: configured(func(h *testHubSource) (mend func()) {
		h.cameras.mu.Lock()
		h.cameras.sealer, h.cameras.unsaved = storeKey(), true
		h.cameras.mu.Unlock()
		removeState(h)
		h.requestListing() // so that there is something to keep
		return func() { restoreState(h) }
	})},
}

func TestConditionsEnd(t *testing.T) {
	t.Parallel()
	storeKey = sync.OnceValue(func() *sealer { return testSealer(t) })
	storeKey()
	for _, row := range conditionRows {
		for _, way := range conditiontest.Ways {
			t.Run(row.Code+"/"+string(way), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { conditiontest.Check(t, row, way) })
			})
		}
	}
	for _, row := range []conditiontest.Row{
		{Code: "mqtt", Job: health.JobConfig, Limit: 5 * time.Minute, Reason: "hubs that lose their connections together spread over 5 min", Start: withoutBroker},
		{Code: "mqtt-retain", Job: health.JobConfig, Limit: 48 * time.Hour, Reason: "each try costs a session, so it comes after 1 h, 2 h … 24 h; a reload tries at once", Start: withoutRetain},
	} {
		for _, way := range []conditiontest.Way{conditiontest.Success, conditiontest.Reload} {
			t.Run(row.Code+"/"+string(way), func(t *testing.T) {
				t.Parallel()
				conditiontest.Check(t, row, way)
			})
		}
	}
	row := conditiontest.Row{
		Code: "hub-arn", Job: health.JobConfig, Limit: eventShown + time.Hour, Reason: "that a stream stops is an event; it is shown for a day", Start: movedHub,
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
		refused := listedAs(t, "other", 1_700_000_100, syncing)
		refused.Config.HubDeviceArn = strings.Replace(testHub, "hub-1", "hub-2", 1)
		h.kvs.set(refused)
		h.requestListing()
		time.Sleep(2 * time.Second)
		if worst, _ := h.part.Snapshot().Worst(); worst.Code != refusedCode("other") {
			t.Fatalf("condition %+v", worst)
		}
		h.kvs.set(listedAs(t, "cam", 1_700_000_000, syncing))
		h.requestListing()
		time.Sleep(2 * time.Second)
		if worst, ok := h.part.Snapshot().Worst(); ok && worst.Severity > health.Info {
			t.Errorf("%q is left", worst.Text)
		}
	})
}

// storeKey seals in the rows; made outside of synctest, once.
var storeKey func() *sealer

// listOnly is a running hub without MQTT, with one stream, in synctest's time.
func listOnly(t *testing.T, dir string, edit ...func(*Options)) *testHubSource {
	t.Helper()
	h := newTestHub(t, "", dir, nil, append(edit, func(o *Options) { o.NoTLS = "a test" })...)
	h.timing = defaultTiming()
	h.kvs.set(listedAs(t, "cam", 1_700_000_000, syncing))
	h.run()
	time.Sleep(time.Second)
	return h
}

// removeState puts a file in the place of the state directory: root writes anywhere else.
func removeState(h *testHubSource) {
	_ = os.RemoveAll(h.dir.path)
	_ = os.WriteFile(h.dir.path, nil, 0o600)
}

func restoreState(h *testHubSource) {
	if err := os.Remove(h.dir.path); err != nil {
		h.t.Error(err)
	}
}

func configured(arrange func(*testHubSource) (mend func())) func(*testing.T) conditiontest.Case {
	return func(t *testing.T) conditiontest.Case {
		h := listOnly(t, t.TempDir())
		var mend func()
		return conditiontest.Case{
			Health: h.health, Now: time.Now, Step: time.Second,
			Raise: func() {
				if mend == nil {
					mend = arrange(h)
				}
			},
			Mend: func() { mend() },
			Ways: map[conditiontest.Way]func(){
				conditiontest.Reload:        func() { h.ReadCameras() },
				conditiontest.Configuration: func() { h.ReadCameras(testSecret); h.requestListing() },
			},
		}
	}
}

func withoutBroker(t *testing.T) conditiontest.Case {
	ca := iottest.NewAuthority(t)
	b := newEmbedded(t, ca)
	h, _ := online(t, b, ca)
	return conditiontest.Case{Health: h.health, Now: time.Now, Step: 50 * time.Millisecond, Raise: b.stop, Mend: b.start}
}

// withoutRetain has a broker that ends the sessions of who publishes retained messages, until it is mended. An hour of
// its tries takes 50 ms, on the clock of the row too.
func withoutRetain(t *testing.T) conditiontest.Case {
	ca := iottest.NewAuthority(t)
	hook := &noRetain{wills: true}
	b := newEmbedded(t, ca, hook)
	h := newTestHub(t, b.address(), t.TempDir(), ca.Device(testThing))
	const hour = 50 * time.Millisecond
	h.timing.retainRetry, h.timing.retainRetryMost = hour, 24*hour
	h.run()
	began := time.Now()
	now := func() time.Time { return began.Add(time.Since(began) * time.Duration(time.Hour/hour)) }
	return conditiontest.Case{
		Health: h.health, Now: now, Step: hour / 5, Raise: func() {}, Mend: func() { hook.granted.Store(true) },
		Ways: map[conditiontest.Way]func(){conditiontest.Reload: h.RetryRights},
	}
}

// movedHub has a hub that learns that it is another one than its configurations are for.
func movedHub(t *testing.T) conditiontest.Case {
	dir := t.TempDir()
	before := listOnly(t, dir)
	before.stop()
	h := listOnly(t, dir, func(o *Options) {
		o.HubDeviceARN = ""
		o.FindHubARN = func(context.Context) (string, error) {
			return strings.Replace(testHub, "123456789012", "999999999999", 1), nil
		}
	})
	return conditiontest.Case{Health: h.health, Now: time.Now, Step: 20 * time.Minute, Raise: func() {}, Mend: func() { h.kvs.set() }}
}
