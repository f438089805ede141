package agent

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
)

// withLimit keeps that much on the hub.
func withLimit(megabytes int32) func(*types.EdgeConfig) {
	return func(c *types.EdgeConfig) {
		c.DeletionConfig = &types.DeletionConfig{LocalSizeConfig: &types.LocalSizeConfig{MaxLocalMediaSizeInMB: aws.Int32(megabytes)}}
	}
}

// TestAnotherLimitInterruptsNothing changes MaxLocalMediaSizeInMB while a camera plays, and then
// something that does begin its recording anew.
func TestAnotherLimitInterruptsNothing(t *testing.T) {
	h := newHouse(t)
	camera := h.camera(fakecam.Options{})
	secret := h.secret("door", camera.URL())
	h.configure("door", secret, withLimit(128))
	s := h.service()
	a := s.agent
	part := a.health.Part("door", health.JobRecorder)
	frames := part.Number(health.FramesRecorded)
	more := func() {
		t.Helper()
		n := frames.Load()
		s.await("frames", func() bool { return frames.Load() > n+30 })
	}
	more()
	before := a.streams.get("door")
	for _, megabytes := range []int32{64, 256} {
		c := &types.EdgeConfig{
			HubDeviceArn: aws.String(edgeconfig.HubARN(localcloud.Region, localcloud.Account, hub)),
			RecorderConfig: &types.RecorderConfig{MediaSourceConfig: &types.MediaSourceConfig{
				MediaUriSecretArn: &secret, MediaUriType: types.MediaUriTypeRtspUri,
			}},
		}
		withLimit(megabytes)(c)
		_, err := h.user.StartEdgeConfigurationUpdate(t.Context(), &kinesisvideo.StartEdgeConfigurationUpdateInput{StreamName: aws.String("door"), EdgeConfig: c})
		must(t, err)
		s.await("the limit is in effect", func() bool {
			return a.retention.SegmentBytes("door") == int64(megabytes)*1_000_000/retention.SegmentsPerLimit
		})
		more()
	}
	now := a.streams.get("door")
	if now.recorder != before.recorder || len(camera.Sessions()) != 1 {
		t.Errorf("the recording began anew; %d sessions", len(camera.Sessions()))
	}
	if lost, gaps := part.Number(health.FramesLost).Load(), part.Number(health.Gaps).Load(); lost != 0 || gaps != 0 {
		t.Errorf("%d frames lost, %d gaps", lost, gaps)
	}
	s.write(map[string]string{EnvSegmentDuration: "17s"})
	if done := s.reload(); !slices.Equal(done.Streams, []string{"door"}) {
		t.Errorf("%+v", done)
	}
	more()
	if gaps := part.Number(health.Gaps).Load(); gaps != 1 {
		t.Errorf("%d gaps after a restart of the recording, want 1", gaps)
	}
}
