package recorder

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// The size of segments changes while a camera plays: its session continues, no frame is lost, and the
// next segments obey.
func TestAnotherLimitOfSegmentsInterruptsNothing(t *testing.T) {
	t.Parallel()
	camera := startCamera(t, fakecam.Options{Bitrate: 8_000_000})
	var limit atomic.Int64
	r := record(t, camera, camera.URL(), func(o *Options) { o.MaxSegmentBytes = limit.Load })
	r.awaitFrames(60)
	if n := len(r.recordings()); n != 1 {
		t.Fatalf("%d segments without a limit", n)
	}
	const small = 3_000_000
	limit.Store(small)
	r.await("smaller segments", func() bool { return len(r.recordings()) >= 3 })
	limit.Store(0)
	grown := len(r.recordings())
	r.awaitFrames(r.number(health.FramesRecorded) + 150)
	if n := len(r.recordings()); n > grown+1 {
		t.Errorf("%d segments after the limit was removed, %d before", n, grown)
	}
	again := r.number(health.Reconnects) // before the camera is unplugged
	r.expectOneSession()
	lost, gaps := r.number(health.FramesLost), r.number(health.Gaps)
	if lost != 0 || gaps != 0 || again != 0 {
		t.Errorf("%d frames lost, %d gaps, %d reconnections", lost, gaps, again)
	}
	if list := r.recordings(); list[1].Bytes > small {
		t.Errorf("the segment after the change has %d bytes", list[1].Bytes)
	}
}

// A recorder that replaces another, or that is run again after an abnormal end, has missed
// media; one whose window opens again has not.
func TestWhatARestartMissesIsAGap(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		continues bool
		again     func(*Recorder) // between the first run and the second; nil: there is no second
		want      int64
	}{
		{"the first", false, nil, 0},
		{"replacing another", true, nil, 1},
		{"the next window", false, func(*Recorder) {}, 0},
		{"after an abnormal end", false, func(r *Recorder) { r.continues = true }, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			camera := startCamera(t, fakecam.Options{})
			r := record(t, camera, camera.URL(), func(o *Options) { o.Continues = tc.continues })
			r.awaitFrames(10)
			r.finish()
			if tc.again != nil {
				tc.again(r.recorder)
				before := r.number(health.FramesRecorded)
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- r.recorder.Run(ctx) }()
				r.awaitFrames(before + 10)
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
			if n := r.number(health.Gaps); n != tc.want {
				t.Errorf("%d gaps, want %d", n, tc.want)
			}
		})
	}
}
