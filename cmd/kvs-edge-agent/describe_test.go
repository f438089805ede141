package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// awaitDescribed waits until DescribeEdgeConfiguration shows the recorder like this, and checks
// that `status` shows the same.
func (s *site) awaitDescribed(stream string, want types.RecorderStatus, details string) {
	s.t.Helper()
	s.eventually("Describe with "+string(want), func() error {
		out, err := s.kvs.DescribeEdgeConfiguration(s.t.Context(), &kinesisvideo.DescribeEdgeConfigurationInput{StreamName: &stream})
		if err != nil {
			return err
		}
		if out.SyncStatus != types.SyncStatusInSync || out.EdgeAgentStatus == nil || out.EdgeAgentStatus.LastRecorderStatus == nil {
			return fmt.Errorf("sync status %s, jobs %+v", out.SyncStatus, out.EdgeAgentStatus)
		}
		r := out.EdgeAgentStatus.LastRecorderStatus
		got := aws.ToString(r.JobStatusDetails)
		if r.RecorderStatus != want || !strings.Contains(got, details) || (details == "") != (got == "") {
			return fmt.Errorf("%s %q", r.RecorderStatus, got)
		}
		if r.LastUpdatedTime == nil || details == "" && r.LastCollectedTime == nil { // what is well has recorded
			return fmt.Errorf("times are missing: %+v", r)
		}
		var told status.Stream
		if told, err = s.stream(stream); err == nil && (string(told.Recorder.Status) != string(want) || told.Recorder.Details != got) {
			err = fmt.Errorf("status shows %s %q, Describe %q", told.Recorder.Status, told.Recorder.Details, got)
		}
		return err
	})
}

func TestDescribeFollowsTheCameraBeingUnpluggedAndPluggedIn(t *testing.T) {
	inWorlds(t, describeFollowsTheCameraBeingUnpluggedAndPluggedIn)
}

func describeFollowsTheCameraBeingUnpluggedAndPluggedIn(t *testing.T, w world) {
	s := newSite(t, w)
	camera := startCamera(t, fakecam.Options{})
	s.configure("door", camera.URL())
	s.startAgent()
	s.awaitDescribed("door", types.RecorderStatusSuccess, "")
	camera.Unplug()
	s.awaitDescribed("door", types.RecorderStatusSystemError, "refuses connections")
	if err := camera.Plug(); err != nil {
		t.Fatal(err)
	}
	s.awaitDescribed("door", types.RecorderStatusSuccess, "")
	s.stopAgent()
}
