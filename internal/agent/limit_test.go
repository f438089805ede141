package agent

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// withLimit keeps that much on the hub.
func withLimit(megabytes int32) func(*types.EdgeConfig) {
	return func(c *types.EdgeConfig) {
		c.DeletionConfig = &types.DeletionConfig{LocalSizeConfig: &types.LocalSizeConfig{MaxLocalMediaSizeInMB: aws.Int32(megabytes)}}
	}
}

// TestAnotherLimitInterruptsNothing changes MaxLocalMediaSizeInMB while a camera plays, and then
// something that does restart its recording.
func TestAnotherLimitInterruptsNothing(t *testing.T) {
	h := newRig(t)
	camera := h.Camera(fakecam.Options{})
	secret := h.Secret("door", camera.URL())
	h.Configure("door", secret, withLimit(128))
	s := h.service()
	a := s.agent
	part := a.health.Component("door", health.JobRecorder)
	frames := part.Counter(health.FramesRecorded)
	more := func() {
		t.Helper()
		n := frames.Load()
		s.await("frames", func() bool { return frames.Load() > n+30 })
	}
	more()
	before := a.streams.get("door")
	door := "door"
	for _, megabytes := range []int32{64, 256} {
		c := &types.EdgeConfig{
			HubDeviceArn: aws.String(edgeconfig.HubARN(localcloud.Region, localcloud.Account, thing)),
			RecorderConfig: &types.RecorderConfig{MediaSourceConfig: &types.MediaSourceConfig{
				MediaUriSecretArn: &secret, MediaUriType: types.MediaUriTypeRtspUri,
			}},
		}
		withLimit(megabytes)(c)
		_, err := h.User.StartEdgeConfigurationUpdate(t.Context(), &kinesisvideo.StartEdgeConfigurationUpdateInput{StreamName: &door,
			EdgeConfig: c})
		must(t, err)
		s.await("the limit is in effect", func() bool {
			return a.retention.SegmentBytes("door") == int64(megabytes)*1_000_000/retention.SegmentsPerLimit
		})
		more()
	}
	now := a.streams.get("door")
	if now.jobs[0] != before.jobs[0] || len(camera.Sessions()) != 1 {
		t.Errorf("the recording was restarted; %d sessions", len(camera.Sessions()))
	}
	if lost, gaps := part.Value(health.FramesLost), part.Value(health.Gaps); lost != 0 || gaps != 0 {
		t.Errorf("%d frames lost, %d gaps", lost, gaps)
	}
	s.write(map[string]string{settings.EnvSegmentDuration: "17s"})
	if done := s.reload(); !slices.Equal(done.Streams, []string{"door"}) {
		t.Errorf("%+v", done)
	}
	more()
	if gaps := part.Value(health.Gaps); gaps != 1 {
		t.Errorf("%d gaps after a restart of the recording, want 1", gaps)
	}
}

// TestALimitHoldsAtAHighBitrate records at 40 Mbit/s into the smallest limit, by both strategies.
func TestALimitHoldsAtAHighBitrate(t *testing.T) {
	const limit = 64_000_000
	h := newRig(t)
	strategies := map[string]types.StrategyOnFullSize{"oldest": types.StrategyOnFullSizeDeleteOldestMedia,
		"deny": types.StrategyOnFullSizeDenyNewMedia}
	for name, strategy := range strategies {
		camera := h.Camera(fakecam.Options{Bitrate: 40_000_000, Audio: fakecam.AudioMuLaw})
		h.Configure(name, h.Secret(name, camera.URL()), withLimit(64), func(c *types.EdgeConfig) {
			c.DeletionConfig.LocalSizeConfig.StrategyOnFullSize = strategy
			c.UploaderConfig = &types.UploaderConfig{ScheduleConfig: &types.ScheduleConfig{ // not in the next months
				ScheduleExpression: aws.String("0 0 0 29 2 ? *"), DurationInSeconds: aws.Int32(60),
			}}
		})
	}
	s := h.service()
	s.write(map[string]string{settings.EnvUploadMode: "scheduled"})
	s.reload()
	a := s.agent
	most := make(map[string]int64)
	measure := func() {
		for name := range strategies {
			u := a.store.Usage(name)
			most[name] = max(most[name], u.Bytes+u.Growing, bytesIn(t, filepath.Join(h.Env[settings.EnvRecordingDirectory], name)))
		}
	}
	deleted := a.health.Component("oldest", health.JobRetention).Counter(health.BytesDeleted)
	s.await("both limits are reached", func() bool {
		measure()
		list := a.health.Component("deny", health.JobRetention).Snapshot().Conditions
		return deleted.Load() > limit/4 && len(list) > 0
	})
	for name, bytes := range most {
		if bytes > limit || bytes < limit*3/4 {
			t.Errorf("%s: %d bytes were there at most, of %d", name, bytes, limit)
		}
	}
	part := a.health.Component("oldest", health.JobRecorder)
	lost, gaps := part.Value(health.FramesLost), part.Value(health.Gaps)
	if lost != 0 || gaps != 0 {
		t.Errorf("%d frames lost and %d gaps where the oldest is deleted", lost, gaps)
	}
	t.Logf("at most %.1f %% with DELETE_OLDEST_MEDIA, %.1f %% with DENY_NEW_MEDIA, which lost %d frames",
		100*float64(most["oldest"])/limit, 100*float64(most["deny"])/limit,
		a.health.Component("deny", health.JobRecorder).Value(health.FramesLost))
}

// bytesIn is what a directory takes, with notes and all.
func bytesIn(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was deleted meanwhile
		}
		if err == nil && !entry.IsDir() {
			if info, err := entry.Info(); err == nil && !strings.HasSuffix(entry.Name(), ".garbage") {
				bytes += info.Size()
			}
		}
		return err
	})
	must(t, err)
	return bytes
}
