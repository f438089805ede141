package camerasecret

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
)

// Certificate and key are replaced while the agent runs, and its next start is without a network.
func TestCameraURLsOutliveARotationOfTheDeviceKey(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	before, after := ca.Device("hub-1"), ca.Device("hub-1")
	var present atomic.Pointer[tls.Certificate]
	present.Store(&before.Certificates[0])
	before.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return present.Load(), nil }
	dir := t.TempDir()
	secrets := newFakeSecrets()
	secrets.set(testSecret, cameraURL)
	c := openCache(t, dir, secrets, before)
	c.Want(map[string]bool{testSecret: true})
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { c.Run(ctx) })
	if url, err := c.URL(t.Context(), testSecret); err != nil || url.Reveal() != cameraURL {
		t.Fatalf("before the rotation: %v", err)
	}
	present.Store(&after.Certificates[0])
	cancel()
	group.Wait()

	secrets.fail(errors.New("there is no network"))
	next := openCache(t, dir, secrets, after)
	if url, err := next.URL(t.Context(), testSecret); err != nil || url.Reveal() != cameraURL {
		t.Errorf("after the rotation and a start without a network: %v", err)
	}
}

// The power is cut 5 s after the rotation, when no connection has been made since and nothing else
// was to be saved: the file on the disk can then be decrypted with the present key.
func TestCameraURLsOutliveAPowerCutSoonAfterARotation(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	before, after := ca.Device("hub-1"), ca.Device("hub-1")
	path := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var present atomic.Pointer[tls.Certificate]
		present.Store(&before.Certificates[0])
		before.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return present.Load(), nil }
		secrets := newFakeSecrets()
		secrets.set(testSecret, cameraURL)
		c := newCameras(t, path, secrets, nil)
		c.device = before
		ctx, cancel := context.WithCancel(t.Context())
		var keeper sync.WaitGroup
		keeper.Go(func() { c.Run(ctx) })
		defer keeper.Wait()
		defer cancel()
		c.Want(map[string]bool{testSecret: true})
		time.Sleep(time.Minute + 2*time.Second) // amid a round
		present.Store(&after.Certificates[0])
		time.Sleep(5 * time.Second)
		synctest.Wait()

		key, err := newSealer(after)
		if err != nil {
			t.Fatal(err)
		}
		offline := newFakeSecrets()
		offline.fail(errors.New("there is no network"))
		if url, err := newCameras(t, path, offline, key).URL(t.Context(), testSecret); err != nil || url.Reveal() != cameraURL {
			t.Errorf("after the power cut and a start without a network: %v", err)
		}
	})
}

// The keeper looks every 5 s: to derive the key again, which nothing asks for, would cost about 50
// allocations each time.
func TestARoundWithoutANewDeviceKeyDerivesNone(t *testing.T) { // not parallel: allocations are counted
	device := iottest.NewAuthority(t).Device("hub-1")
	present := &device.Certificates[0]
	device.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return present, nil }
	c := newCameras(t, t.TempDir(), newFakeSecrets(), nil)
	c.device = device
	c.save()
	if allocations := testing.AllocsPerRun(100, c.save); allocations > 5 {
		t.Errorf("a round without news makes %.0f allocations, want at most those that ask for the certificate and for the file", allocations)
	}
}
