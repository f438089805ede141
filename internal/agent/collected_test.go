package agent

import (
	"context"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/iotconfig"
)

// TestLastCollectedTimeIsThatOfTheMedia and there is none of a camera that never sent a frame. It is not
// parallel: the SDK reads its endpoints from the process's environment.
func TestLastCollectedTimeIsThatOfTheMedia(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	h := newHouse(t)
	h.env[EnvSegmentDuration] = "2s"
	began := time.Now().Truncate(time.Millisecond)
	h.configure("door", h.secret("door", h.camera(fakecam.Options{}).URL()), always)
	h.configure("yard", h.secret("yard", "rtsp://127.0.0.1:1/none"), always)
	a := h.agent()
	running, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- a.Run(running) }()
	of := func(a *Agent, stream string) (s iotconfig.JobStatus) {
		for _, s = range a.jobStatuses() {
			if s.StreamName == stream {
				return s
			}
		}
		return iotconfig.JobStatus{Recorder: &iotconfig.JobState{}, Uploader: &iotconfig.JobState{}}
	}
	for a.store.Usage("door").Uploaded == 0 {
		if backoff.Sleep(ctx, 20*time.Millisecond) != nil {
			t.Fatal("no segment is uploaded")
		}
	}
	uploaded, recorded := of(a, "door").Uploader.Collected, of(a, "door").Recorder.Collected
	now := time.Now()
	if !recorded.After(began) || recorded.After(now) || !uploaded.After(began) || uploaded.After(recorded) {
		t.Errorf("from %s to %s, recorded until %s, uploaded until %s", began, now, recorded, uploaded)
	}
	if yard := of(a, "yard"); !yard.Recorder.Collected.IsZero() || !yard.Uploader.Collected.IsZero() {
		t.Errorf("a camera that never sent a frame is recorded until %s, uploaded until %s", yard.Recorder.Collected, yard.Uploader.Collected)
	}
	stop()
	must(t, <-stopped)
	uploaded = a.lastCollected("door")

	// The next start knows it before anything is recorded.
	again := h.agent()
	defer again.release()
	if got := again.store.LastEnd("door"); got.Before(recorded) {
		t.Errorf("after a restart it is recorded until %s, was %s", got, recorded)
	}
	if got := again.lastCollected("door"); got.IsZero() || got.After(uploaded) {
		t.Errorf("after a restart it is uploaded until %s, was %s", got, uploaded)
	}
	if got := again.lastCollected("yard"); !got.IsZero() {
		t.Errorf("after a restart a camera that was never uploaded is until %s", got)
	}
}
