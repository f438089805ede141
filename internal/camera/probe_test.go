package camera

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

func TestAProbeOfACameraTellsWhatItSends(t *testing.T) {
	t.Parallel()
	camera, err := fakecam.Start(fakecam.Options{Bitrate: 4_000_000, User: "admin", Pass: "hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = camera.Close() })
	s, err := Probe(t.Context(), secret.New(camera.URL()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Codec != "H.264" || s.Width != 1920 || s.Height != 1080 || s.KeyframeInterval.Round(10*time.Millisecond) != time.Second || s.Damaged {
		t.Errorf("seen: %+v", s)
	}
	if math.Abs(s.FPS-25) > 1 || math.Abs(float64(s.BitrateBPS)-4e6) > 4e5 {
		t.Errorf("measured: %.2f frames/s and %d bit/s, want 25 and 4,000,000", s.FPS, s.BitrateBPS)
	}

	wrong := strings.Replace(camera.URL(), "hunter2", "wrong", 1)
	if _, err := Probe(t.Context(), secret.New(wrong), Options{}); err == nil ||
		!strings.Contains(err.Error(), "refuses the user name or password") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong password is reported as: %v", err)
	}
	camera.Unplug()
	if _, err := Probe(t.Context(), secret.New(camera.URL()), Options{}); err == nil || !strings.Contains(err.Error(), "refuses connections") {
		t.Errorf("an unplugged camera is reported as: %v", err)
	}
}

func TestAProbeOfACameraWithoutVideoForUs(t *testing.T) {
	t.Parallel()
	camera, err := fakecam.Start(fakecam.Options{MJPEG: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = camera.Close() })
	if _, err := Probe(t.Context(), secret.New(camera.URL()), Options{}); err == nil || !strings.Contains(err.Error(), "MJPEG") {
		t.Errorf("got: %v", err)
	}
}
