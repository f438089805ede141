package recorder

import (
	"sync"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// pauses notes the longest time between two written frames of video.
type pauses struct {
	mu      sync.Mutex
	last    time.Time
	longest time.Duration
}

func (p *pauses) note() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if !p.last.IsZero() {
		p.longest = max(p.longest, now.Sub(p.last))
	}
	p.last = now
}

func (p *pauses) most() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.longest
}

type timedWriter struct {
	segmentWriter
	pauses *pauses
}

func (w timedWriter) WriteFrame(track uint8, t time.Duration, keyframe bool, parts [][]byte) error {
	if track == 1 {
		w.pauses.note()
	}
	return w.segmentWriter.WriteFrame(track, t, keyframe, parts)
}

// TestASilenceShorterThanAStallEndsNothing has cameras fall silent at different parts of a second: the
// RTSP library counts whole seconds, of the wall clock.
func TestASilenceShorterThanAStallEndsNothing(t *testing.T) {
	t.Parallel()
	const limit = 3 * time.Second
	var rigs []*rig
	var silences []*pauses
	for _, audio := range []string{"", fakecam.AudioMuLaw} {
		for range 4 {
			camera, silence := startCamera(t, fakecam.Options{Audio: audio}), new(pauses)
			silences = append(silences, silence)
			rigs = append(rigs, record(t, camera, camera.URL(), stallsAfter(limit), func(o *Options) {
				o.wrapWriter = func(w segmentWriter) segmentWriter { return timedWriter{w, silence} }
			}))
		}
	}
	for i, r := range rigs { // all silent at the same time
		r.awaitFrames(10 + int64(6*i))
		r.camera.Stall()
		time.AfterFunc(limit-500*time.Millisecond, r.camera.Resume)
	}
	for i, r := range rigs {
		r.awaitFrames(r.number(health.FramesRecorded) + 10)
		sessions, longest := r.number(health.Reconnects), silences[i].most()
		r.settle()
		r.expectAll()
		// On a machine that is late the silence becomes a stall: then nothing arrives for as long as the limit.
		if sessions > 0 && (longest < limit || r.late() < 100*time.Millisecond) {
			t.Errorf("camera %d: %d sessions ended, although the longest silence was %s", i, sessions, longest)
		}
	}
}
