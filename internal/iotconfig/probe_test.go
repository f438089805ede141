package iotconfig

import (
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
)

func TestAProbeTakesNothingFromTheAgent(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	b := newMosquitto(t, ca) // the embedded one drops a message that has the id of one of our own
	cloud := newCloudSide(t, b, ca)
	dir, device := t.TempDir(), ca.Device(testThing)
	hub := newTestHub(t, b.address(), dir, device)
	hub.run()
	cloud.awaitAgent("online")
	options := ProbeOptions{ThingName: testThing, DataEndpoint: b.address(), TLS: device, Proxy: noProxy}

	// Beside a running agent: its connection stays.
	dialOnly := options
	dialOnly.DialOnly = true
	if err := Probe(t.Context(), dialOnly); err != nil {
		t.Error(err)
	}
	cloud.send("update", updateOf("cam", 1_700_000_000))
	cloud.awaitSync("cam", kvsconfig.InSync)
	hub.stop()
	cloud.awaitAgent("offline")

	// Without one: a message for the agent stays queued.
	cloud.send("update", updateOf("cam", 1_700_000_005))
	if err := Probe(t.Context(), options); err != nil {
		t.Error(err)
	}
	hub = newTestHub(t, b.address(), dir, device)
	hub.run()
	for got := hub.awaitApply("cam"); !got["cam"].Version.Time().Equal(time.Unix(1_700_000_005, 0)); got = hub.awaitApply("cam") {
	}

	stranger := iottest.NewAuthority(t).Device(testThing)
	stranger.RootCAs = ca.Pool()
	options.TLS = stranger
	if err := Probe(t.Context(), options); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a refused certificate is reported as: %v", err)
	}
}
