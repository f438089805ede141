package agent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/jobspec"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// recorded has media of streams on the disk that ended that long ago and is not uploaded.
func (h *rig) recorded(ago time.Duration, streams ...string) {
	h.t.Helper()
	store, err := segment.Open(segment.Options{Dir: h.Env[settings.EnvRecordingDirectory]})
	must(h.t, err)
	for _, stream := range streams {
		w, err := store.Create(stream, mkv.Header{Start: time.Now().Add(-ago).Truncate(time.Second),
			Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}}})
		must(h.t, err)
		must(h.t, errors.Join(w.BeginFragment(0, true), w.WriteFrame(1, 0, true, [][]byte{{1}}), w.Seal()))
	}
	must(h.t, store.Close())
}

// TestNoMediaGoesWhosePolicyIsLost starts hubs without their state, and with a stream file: yard keeps its media for an hour, and of
// gate, whose media is older than what the default keeps, nobody can tell. Of yard the old media goes, of gate none.
func TestNoMediaGoesWhosePolicyIsLost(t *testing.T) {
	const camera = "rtsp://127.0.0.1:1/live"
	for name, row := range map[string]struct {
		change func(h *rig, dir string)
		unset  func(h *rig, dir string) // what keeps it from being known; then gate is an orphan
		await  string                   // the advice to a person who deletes it
	}{
		"the cloud cannot be reached": {
			change: func(h *rig, _ string) {
				h.Cloud.Faults().RefuseOperation("ListEdgeAgentConfigurations", 500, "InternalFailure")
			},
			unset: func(h *rig, _ string) { h.Cloud.Faults().RefuseOperation("ListEdgeAgentConfigurations", 0, "") },
			await: "wait until the cloud has answered",
		},
		"its file is wrong, and the cloud is off": {
			change: func(h *rig, dir string) {
				h.Env[settings.EnvCloud] = "off"
				must(h.t, os.WriteFile(filepath.Join(dir, "gate.json"), []byte(`{"StreamName": "gate"}`), 0o640))
			},
			unset: func(h *rig, dir string) { must(h.t, os.Remove(filepath.Join(dir, "gate.json"))) },
			await: "make the stream files",
		},
		"a file of nobody knows which stream is wrong, and the cloud answers": {
			change: func(h *rig, dir string) {
				must(h.t, os.WriteFile(filepath.Join(dir, "gate.json"), []byte(`{"StreamName": "gate"`), 0o640))
			},
			unset: func(h *rig, dir string) { must(h.t, os.Remove(filepath.Join(dir, "gate.json"))) },
			await: "make the stream files",
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newRig(t)
			write := h.withStreamFiles()
			dir := h.Env[settings.EnvStreamsDirectory]
			write("yard", camera, "")
			h.recorded(2*time.Hour, "yard")
			h.recorded(jobspec.Orphans().MaxAge+time.Hour, "gate")
			row.change(h, dir)
			s, _ := h.runAgent()
			holds := func(stream string) bool { return s.agent.store.Holds(stream) }
			s.await("the media of yard is deleted", func() bool { return !holds("yard") })
			if !holds("gate") {
				t.Error("the media of gate is gone")
			}
			_, err := orphans{s.agent.streams, s.agent.config.sources}.delete(t.Context(), "gate")
			if err == nil || !strings.Contains(err.Error(), row.await) {
				t.Errorf("a deletion on request is answered with: %v", err)
			}
			row.unset(h, dir)
			s.await("the media of gate is deleted, as nobody wants it", func() bool { return !holds("gate") })
		})
	}
}
