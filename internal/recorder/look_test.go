package recorder

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

func TestALookAtACameraTellsWhatItSends(t *testing.T) {
	t.Parallel()
	camera, err := fakecam.Start(fakecam.Options{Bitrate: 4_000_000, User: "admin", Pass: "hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = camera.Close() })
	s, err := Look(t.Context(), secret.New(camera.URL()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Codec != "H.264" || s.Width != 1920 || s.Height != 1080 || s.KeyframeInterval.Round(10*time.Millisecond) != time.Second || s.Damaged {
		t.Errorf("seen: %+v", s)
	}
	if math.Abs(s.FPS-25) > 1 || math.Abs(float64(s.BitrateBPS)-4e6) > 4e5 {
		t.Errorf("measured: %.2f frames/s and %d bit/s, want 25 and 4,000,000", s.FPS, s.BitrateBPS)
	}

	if _, err := Look(t.Context(), secret.New(strings.Replace(camera.URL(), "hunter2", "wrong", 1)), Options{}); err == nil || !strings.Contains(err.Error(), "refuses the user name or password") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong password is told as: %v", err)
	}
	camera.Unplug()
	if _, err := Look(t.Context(), secret.New(camera.URL()), Options{}); err == nil || !strings.Contains(err.Error(), "refuses connections") {
		t.Errorf("an unplugged camera is told as: %v", err)
	}
}

func TestALookAtACameraWithoutVideoForUs(t *testing.T) {
	t.Parallel()
	camera, err := fakecam.Start(fakecam.Options{MJPEG: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = camera.Close() })
	if _, err := Look(t.Context(), secret.New(camera.URL()), Options{}); err == nil || !strings.Contains(err.Error(), "MJPEG") {
		t.Errorf("told as: %v", err)
	}
}

func TestKeyframesTooFarApartAreSeen(t *testing.T) {
	t.Parallel()
	e := &eye{enough: func() {}}
	e.Begin(accessunit.H264, 90_000, nil, nil)
	idr, slice := []byte{0x65, 0x88, 0x80}, []byte{0x41, 0x9a, 0x00}
	const start = math.MaxUint32 - 90_000 // RTP times wrap on the way
	for i := range 25*25 + 1 {
		nal := slice
		if i%(25*25) == 0 {
			nal = idr
		}
		e.AccessUnit([][]byte{nal}, uint32(start+int64(i)*3600), time.Time{})
	}
	if s := e.sight(); s.KeyframeInterval.Round(time.Millisecond) != 25*time.Second {
		t.Errorf("seen: %+v", s)
	}
}
