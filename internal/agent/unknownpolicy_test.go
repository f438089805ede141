package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/jobspec"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
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
		none   bool                     // not even yard is configured
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
			await: "correct or remove its stream file in ",
		},
		"its edge configuration is refused": {
			change: func(h *rig, _ string) {
				_, err := h.Cloud.CreateStream("gate", 24)
				must(h.t, err)
				_, err = h.User.StartEdgeConfigurationUpdate(h.t.Context(), &kinesisvideo.StartEdgeConfigurationUpdateInput{
					StreamName: aws.String("gate"), EdgeConfig: &types.EdgeConfig{
						HubDeviceArn: aws.String(edgeconfig.HubARN(localcloud.Region, localcloud.Account, thing)),
						RecorderConfig: &types.RecorderConfig{
							MediaSourceConfig: &types.MediaSourceConfig{
								MediaUriSecretArn: aws.String("arn:aws:secretsmanager:us-west-2:123456789012:secret:gate-a1B2c3"),
								MediaUriType:      types.MediaUriTypeRtspUri,
							},
							ScheduleConfig: &types.ScheduleConfig{ScheduleExpression: aws.String("0 0 25 * * ? *"), DurationInSeconds: aws.Int32(60)},
						},
					},
				})
				must(h.t, err)
			},
			unset: func(h *rig, _ string) {
				_, err := h.User.DeleteEdgeConfiguration(h.t.Context(), &kinesisvideo.DeleteEdgeConfigurationInput{StreamName: aws.String("gate")})
				must(h.t, err)
			},
			await: "correct or delete its edge configuration if that is refused",
		},
		"the directory is empty, and the cloud is off": {
			change: func(h *rig, dir string) {
				h.Env[settings.EnvCloud] = "off"
				h.Env[settings.EnvStreamsDirectory] = filepath.Join(filepath.Dir(dir), "empty.d")
				must(h.t, os.Mkdir(h.Env[settings.EnvStreamsDirectory], 0o750))
			},
			unset: func(h *rig, _ string) {
				must(h.t, os.WriteFile(filepath.Join(h.Env[settings.EnvStreamsDirectory], "README"), nil, 0o640))
			},
			await: "if it is empty on purpose, put a file such as README there",
			none:  true,
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
			if !row.none {
				s.await("the media of yard is deleted", func() bool { return !holds("yard") })
			}
			deletion := func() string {
				_, err := orphans{s.agent.streams, s.agent.config.sources}.delete(t.Context(), "gate")
				return fmt.Sprint(err)
			}
			s.await("a deletion on request is answered with the advice", func() bool { return strings.Contains(deletion(), row.await) })
			if !holds("gate") {
				t.Error("the media of gate is gone")
			}
			row.unset(h, dir)
			s.await("the media of gate is deleted, as nobody wants it", func() bool { return !holds("gate") })
		})
	}
}
