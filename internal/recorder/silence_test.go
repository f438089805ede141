package recorder

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// TestASilenceShorterThanAStallEndsNothing has cameras fall silent at different parts of a second: the
// RTSP library counts in whole ones, and on the clock of the wall.
func TestASilenceShorterThanAStallEndsNothing(t *testing.T) {
	t.Parallel()
	for _, audio := range []string{"", fakecam.AudioMuLaw} {
		for i := range 4 {
			camera := startCamera(t, fakecam.Options{Audio: audio})
			t.Run(audio, func(t *testing.T) {
				t.Parallel()
				r := record(t, camera, camera.URL())
				r.awaitFrames(30 + int64(6*i))
				camera.Stall()
				stalled, sessions := time.Now(), r.number(health.Reconnects)
				if backoff.Sleep(t.Context(), stallLimit-500*time.Millisecond) != nil {
					t.Fatal("the test ended")
				}
				before := sent(camera)
				camera.Resume()
				r.await("the next frame", func() bool { return r.handed.Load() > before })
				silence, ended := time.Since(stalled), r.number(health.Reconnects)-sessions
				r.awaitFrames(r.number(health.FramesRecorded) + 30)
				r.settle()
				r.expectAll()
				// A busy machine may have been late enough to make a stall of it.
				if ended > 0 && silence < stallLimit-200*time.Millisecond {
					t.Errorf("%d sessions ended within a silence of %s", ended, silence)
				}
			})
		}
	}
}
