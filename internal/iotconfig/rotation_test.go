package iotconfig

import (
	"crypto/tls"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
)

// Certificate and key are replaced while the agent runs, and its next start is without a network.
func TestCameraURLsOutliveARotationOfTheDeviceKey(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	before, after := ca.Device(testThing), ca.Device(testThing)
	var present atomic.Pointer[tls.Certificate]
	present.Store(&before.Certificates[0])
	before.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return present.Load(), nil }
	dir := t.TempDir()
	h := newTestHub(t, "127.0.0.1:1", dir, before)
	h.kvs.set(listedAs(t, "cam", 1, InSync))
	h.run()
	h.awaitApply("cam")
	if url, err := h.CameraURL(t.Context(), testSecret); err != nil || url.Reveal() != cameraURL {
		t.Fatalf("before the rotation: %v", err)
	}
	present.Store(&after.Certificates[0])
	h.stop()

	next := newTestHub(t, "127.0.0.1:1", dir, after)
	next.secrets.fail(errors.New("there is no network"))
	if url, err := next.CameraURL(t.Context(), testSecret); err != nil || url.Reveal() != cameraURL {
		t.Errorf("after the rotation and a start without a network: %v", err)
	}
}
