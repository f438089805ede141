package iotconfig

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
)

// TestConditionsEnd has the conditions of the connection.
func TestConditionsEnd(t *testing.T) {
	t.Parallel()
	for _, row := range []conditiontest.Row{
		{Code: "mqtt", Job: health.JobConfig, Limit: 5 * time.Minute, Reason: "hubs that lose their connections together spread over 5 min",
			Start: withoutBroker},
		{Code: "mqtt-retain", Job: health.JobConfig, Limit: 48 * time.Hour, Reason: "each try costs a session, so it comes after 1 h, 2 h … " +
			"24 h; a reload tries at once", Start: withoutRetain},
		{Code: "endpoint", Job: health.JobConfig, Start: withRefusedHost},
	} {
		for _, way := range []conditiontest.Way{conditiontest.Success, conditiontest.Reload} {
			t.Run(row.Code+"/"+string(way), func(t *testing.T) {
				t.Parallel()
				conditiontest.Check(t, row, way)
			})
		}
	}
}

func withoutBroker(t *testing.T) conditiontest.Case {
	ca := iottest.NewAuthority(t)
	b := newEmbedded(t, ca)
	h := newTestHub(t, b.address(), t.TempDir(), ca.Device(testThing))
	h.run()
	h.awaitListing(2) // at start and after the connection
	return conditiontest.Case{Health: h.health, Now: time.Now, Step: 50 * time.Millisecond, Raise: b.stop, Repair: b.start}
}

// withRefusedHost has a host that the settings do not allow, until the agent is restarted with others.
func withRefusedHost(t *testing.T) conditiontest.Case {
	ca := iottest.NewAuthority(t)
	h := newTestHub(t, newEmbedded(t, ca).address(), t.TempDir(), ca.Device(testThing))
	_, h.dialer.refused = endpoint.Options{Choices: endpoint.Choices{FIPS: true}}.Given(endpoint.IoTData, "127.0.0.1")
	h.run()
	return conditiontest.Case{Health: h.health, Now: time.Now, Step: 50 * time.Millisecond, Raise: func() {}, Repair: func() {
		h.stop()
		h.dialer.refused = nil
		h.run()
	}}
}

// withoutRetain has a broker that ends the session of each client that publishes retained messages, until it is repaired.
// An hour of the hub's tries takes 250 ms, on the clock of the row too.
func withoutRetain(t *testing.T) conditiontest.Case {
	ca := iottest.NewAuthority(t)
	hook := &noRetain{wills: true}
	b := newEmbedded(t, ca, hook)
	h := newTestHub(t, b.address(), t.TempDir(), ca.Device(testThing))
	const hour = 250 * time.Millisecond
	h.timing.retainRetry, h.timing.retainRetryMost = hour, 24*hour
	h.run()
	began := time.Now()
	now := func() time.Time { return began.Add(time.Since(began) * time.Duration(time.Hour/hour)) }
	return conditiontest.Case{
		Health: h.health, Now: now, Step: hour / 5, Raise: func() {}, Repair: func() { hook.granted.Store(true) },
		Ways: map[conditiontest.Way]func(){conditiontest.Reload: h.RetryRetained},
	}
}
