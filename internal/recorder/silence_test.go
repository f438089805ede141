package recorder

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// TestASilenceShorterThanAStallEndsNothing has cameras fall silent at different parts of a second: the
// RTSP library counts whole seconds, of the wall clock.
func TestASilenceShorterThanAStallEndsNothing(t *testing.T) {
	t.Parallel()
	const limit = 3 * time.Second
	late := testtools.SchedulingDelay(t)
	var rigs []*rig
	for _, audio := range []string{"", fakecam.AudioMuLaw} {
		for range 4 {
			camera := startCamera(t, fakecam.Options{Audio: audio})
			rigs = append(rigs, record(t, camera, camera.URL(), stallsAfter(limit)))
		}
	}
	for i, r := range rigs { // all silent at the same time
		r.awaitFrames(10 + int64(6*i))
		r.camera.Stall()
		time.AfterFunc(limit-500*time.Millisecond, r.camera.Resume)
	}
	for i, r := range rigs {
		r.awaitFrames(r.number(health.FramesRecorded) + 10)
		r.settle()
		r.expectAll()
		// On a machine that is late the silence becomes a stall.
		if n := r.number(health.Reconnects); n > 0 && late() < 100*time.Millisecond {
			t.Errorf("camera %d: %d sessions ended", i, n)
		}
	}
}
