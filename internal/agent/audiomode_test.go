package agent

import (
	"slices"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/playcheck"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
)

// TestAudioModes changes the mode while a camera with G.711 plays in a live upload. Between auto and
// on neither job restarts; what is recorded has the sound in both.
func TestAudioModes(t *testing.T) {
	h := newRig(t)
	h.Unplayable(playcheck.Tracks, "the mode on sends G.711, which HLS does not play")
	h.Unplayable(playcheck.Constant, "the mode changes, and with it what tracks are sent")
	h.Configure("door", h.Secret("door", h.Camera(fakecam.Options{Audio: fakecam.AudioMuLaw}).URL()))
	s := h.service()
	a, service := s.agent, h.Cloud.Media()
	stored := func(what string) {
		t.Helper()
		n := len(service.Fragments("door"))
		s.await(what, func() bool { return len(service.Fragments("door")) > n })
	}
	leftOut := func() bool {
		list := a.health.Component("door", health.JobUploader).Snapshot().Conditions
		return slices.ContainsFunc(list, func(c health.Condition) bool { return c.Code == uploader.CodeAudio && c.Severity == health.Info })
	}
	stored("a fragment is uploaded")
	s.await("status says that audio is left out", leftOut)
	before := a.streams.get("door")
	for _, mode := range []settings.AudioMode{settings.AudioOn, settings.AudioAuto, settings.AudioOn} {
		s.write(map[string]string{settings.EnvAudio: string(mode)})
		if done := s.reload(); !slices.Equal(done.Changed, []string{settings.EnvAudio}) || done.Streams != nil {
			t.Errorf("%s: %+v", mode, done)
		}
		stored("a fragment is uploaded with " + string(mode))
		s.await("status follows "+string(mode), func() bool { return leftOut() == (mode == settings.AudioAuto) })
	}
	if now := a.streams.get("door"); !slices.Equal(now.jobs, before.jobs) {
		t.Error("a job was restarted")
	}
	recorder := a.health.Component("door", health.JobRecorder)
	if lost, gaps := recorder.Value(health.FramesLost), recorder.Value(health.Gaps); lost != 0 || gaps != 0 {
		t.Errorf("%d frames lost, %d gaps", lost, gaps)
	}
	if refused := a.health.Component("door", health.JobUploader).Value(health.FragmentsRefused); refused != 0 {
		t.Errorf("%d fragments refused", refused)
	}
	s.write(map[string]string{settings.EnvAudio: string(settings.AudioOff)})
	if done := s.reload(); !slices.Equal(done.Streams, []string{"door"}) || !recordSpec(a, "door").Camera.NoAudio {
		t.Errorf("off: %+v", done)
	}
}
