package agent

import (
	"context"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site"
)

// TestLastCollectedTimeIsThatOfTheMedia also checks that a camera that never sent a frame has no such time. It is not
// parallel: the SDK reads its endpoints from the process's environment.
func TestLastCollectedTimeIsThatOfTheMedia(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	h := newRig(t)
	h.Env[settings.EnvSegmentDuration] = "2s"
	began := time.Now().Truncate(time.Millisecond)
	h.Configure("door", h.Secret("door", h.Camera(fakecam.Options{}).URL()), site.Always)
	h.Configure("yard", h.Secret("yard", "rtsp://127.0.0.1:1/none"), site.Always)
	a := h.agent()
	running, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- a.Run(running) }()
	of := func(stream string) (recorded, uploaded time.Time) {
		for _, s := range a.jobStatuses() {
			if s.StreamName == stream {
				return s.Jobs[0].Collected, s.Jobs[1].Collected
			}
		}
		return time.Time{}, time.Time{}
	}
	for a.store.Usage("door").Uploaded == 0 {
		if backoff.Sleep(ctx, 20*time.Millisecond) != nil {
			t.Fatal("no segment is uploaded")
		}
	}
	recorded, uploaded := of("door")
	now := time.Now()
	if !recorded.After(began) || recorded.After(now) || !uploaded.After(began) || uploaded.After(recorded) {
		t.Errorf("from %s to %s, recorded until %s, uploaded until %s", began, now, recorded, uploaded)
	}
	if recorded, uploaded := of("yard"); !recorded.IsZero() || !uploaded.IsZero() {
		t.Errorf("a camera that never sent a frame is recorded until %s, uploaded until %s", recorded, uploaded)
	}
	stop()
	must(t, <-stopped)
	uploaded = a.lastUploaded("door")

	// The next start knows it before anything is recorded.
	again := h.agent()
	defer again.release()
	if got := again.store.LastEnd("door"); got.Before(recorded) {
		t.Errorf("after a restart it is recorded until %s, was %s", got, recorded)
	}
	if got := again.lastUploaded("door"); got.IsZero() || got.After(uploaded) {
		t.Errorf("after a restart it is uploaded until %s, was %s", got, uploaded)
	}
	if got := again.lastUploaded("yard"); !got.IsZero() {
		t.Errorf("after a restart a camera that was never uploaded is until %s", got)
	}
}

// What a clock dated ahead was not collected in the future. It is not parallel, as the one above.
func TestLastCollectedTimeIsNotThatOfAClockThatWasAhead(t *testing.T) {
	h := newRig(t)
	a := h.agent()
	defer a.release()
	now := time.Now().Truncate(time.Millisecond)
	record := func(at time.Time) {
		t.Helper()
		track := mkv.Track{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, Width: 16, Height: 16}
		w, err := a.store.Create("door", mkv.Header{Start: at, Title: "door", Tracks: []mkv.Track{track}})
		must(t, err)
		must(t, w.BeginFragment(0, true))
		must(t, w.WriteFrame(1, 0, true, [][]byte{{0x65}}))
		must(t, w.Seal())
		r, err := a.store.OpenSegment(w.Key())
		must(t, err)
		list, _, err := r.Fragments()
		must(t, err)
		must(t, r.Close())
		must(t, a.store.MarkPersisted(w.Key(), list[0]))
		must(t, a.store.MarkUploaded(w.Key()))
	}
	ahead := now.AddDate(1, 0, 0)
	record(now.Add(-time.Minute))
	record(ahead)
	persisted := a.health.Component("door", health.JobUploader).Gauge(health.LastPersistedMedia)
	persisted.Set(ahead.UnixMilli())
	must(t, a.store.BeginEpoch("door", time.Time{}, time.Time{}, 0, now))
	for _, last := range []int64{ahead.UnixMilli(), 0} { // 0: as after a restart
		persisted.Set(last)
		recorded := a.jobState("door", a.streams.workers.jobs[0]).Collected
		if uploaded := a.lastUploaded("door"); !uploaded.Equal(now) || !recorded.Equal(now) {
			t.Errorf("uploaded until %s, recorded until %s, want %s", uploaded, recorded, now)
		}
	}
}
