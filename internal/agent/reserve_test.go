package agent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/jobspec"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site"
)

// tooLarge is more than any disk has.
const tooLarge = "900000TB"

func TestAReloadRefusesAReserveLargerThanTheDisk(t *testing.T) {
	h := newRig(t)
	s := h.service()
	before := s.agent.settings().MinFreeDisk
	s.write(map[string]string{settings.EnvMinFreeDisk: tooLarge})
	_, err := s.agent.Reload()
	if err == nil || !strings.Contains(err.Error(), "line ") ||
		!strings.Contains(err.Error(), settings.EnvMinFreeDisk+" keeps 900000.0 TB free, but the disk with") {
		t.Errorf("it says %v", err)
	}
	if s.agent.settings().MinFreeDisk != before {
		t.Error("it is in effect")
	}
	s.write(map[string]string{settings.EnvMinFreeDisk: "1MB"})
	s.reload()
}

// TestAStartWithAReserveLargerThanTheDiskRecords with the default reserve, and a condition says so.
func TestAStartWithAReserveLargerThanTheDiskRecords(t *testing.T) {
	h := newRig(t)
	h.Env[settings.EnvMinFreeDisk] = tooLarge
	camera := h.Camera(fakecam.Options{})
	h.Configure("door", h.Secret("door", camera.URL()), site.Always)
	a := h.agent()
	running, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- a.Run(running) }()
	s := &serviceOf{rig: h, agent: a}
	s.await("it records", func() bool {
		return a.health.Component("door", health.JobRecorder).Value(health.FramesRecorded) > 30
	})
	s.await("it says so", func() bool {
		for _, c := range a.health.Component("", health.JobRetention).Snapshot().Conditions {
			if c.Code == retention.CodeReserve && strings.Contains(c.Text, "Until then the default applies") {
				return true
			}
		}
		return false
	})
	stop()
	must(t, <-stopped)
	if left := a.store.Segments("door", time.Time{}, time.Time{}); len(left) == 0 {
		t.Error("its recordings are gone")
	}
}

// TestAnAgentWithoutItsConfigurationDeletesNothing has media of a stream whose configuration is lost, and and a
// person who wants to delete it meanwhile.
func TestAnAgentWithoutItsConfigurationDeletesNothing(t *testing.T) {
	h := newRig(t)
	h.Cloud.Faults().RefuseOperation("ListEdgeAgentConfigurations", 500, "InternalFailure")
	store, err := segment.Open(segment.Options{Dir: h.Env[settings.EnvRecordingDirectory]})
	must(t, err)
	w, err := store.Create("old", mkv.Header{Start: time.Now().Add(-jobspec.Orphans().MaxAge).Truncate(time.Second),
		Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}}})
	must(t, err)
	must(t, errors.Join(w.BeginFragment(0, true), w.WriteFrame(1, 0, true, [][]byte{{1}}), w.Seal()))
	must(t, store.Close())
	a := h.agent()
	running, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- a.Run(running) }()
	s := &serviceOf{rig: h, agent: a}
	s.await("the control plane was asked", func() bool {
		for _, c := range a.health.Component("", health.JobConfig).Snapshot().Conditions {
			if c.Code == "control-plane" {
				return true
			}
		}
		return false
	})
	a.retention.Wake()
	if n := len(a.store.Segments("old", time.Time{}, time.Time{})); n != 1 || a.config.sources.Unknown("old") == "" {
		t.Errorf("%d segments are left before the cloud has answered", n)
	}
	old := orphans{a.streams, a.config.sources}
	if _, err := old.delete(t.Context(), "old"); err == nil || !strings.Contains(err.Error(), "not known yet") {
		t.Errorf("it says %v", err)
	}
	h.Cloud.Faults().RefuseOperation("ListEdgeAgentConfigurations", 0, "")
	s.await("the cloud has answered", func() bool { return a.config.sources.Unknown("old") == "" })
	done, err := old.delete(t.Context(), "old")
	if err != nil || done.Segments != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	stop()
	must(t, <-stopped)
}
