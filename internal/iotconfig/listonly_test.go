package iotconfig

import (
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/configtest"
)

func TestWithoutACertificateConfigurationsComeByListing(t *testing.T) {
	t.Parallel()
	hub := newTestHub(t, "", t.TempDir(), nil, func(o *hubOptions) {
		o.noTLS, o.timing.ListOnlyEvery = "the key lies in hardware", 10*time.Millisecond
	})
	hub.kvs.Set(configtest.Listed(t, "cam", 1, "SYNCING"))
	hub.run()
	hub.awaitApply("cam")
	hub.kvs.Set(configtest.Listed(t, "cam", 1, kvsconfig.InSync), configtest.Listed(t, "yard", 2, "SYNCING"))
	hub.awaitApply("cam", "yard")
	said := false
	for _, c := range hub.part.Snapshot().Conditions {
		if c.Code == CodeMQTT {
			said = c.Severity == health.Info && strings.Contains(c.Text, "the key lies in hardware") && strings.Contains(c.Text, "within 6 min")
		}
	}
	if !said {
		t.Errorf("nobody says why there is no MQTT: %+v", hub.part.Snapshot())
	}
	if url, err := hub.cameras.URL(t.Context(), testSecret); err != nil || url.Reveal() != cameraURL {
		t.Errorf("the camera's URL: %v", err)
	}
}

func TestWhyThereIsNoCertificateMustBeKnown(t *testing.T) {
	t.Parallel()
	_, err := New(Options{ThingName: testThing})
	if err == nil || !strings.Contains(err.Error(), "the device certificate is not set") {
		t.Errorf("got %v", err)
	}
}
