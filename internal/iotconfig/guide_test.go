package iotconfig

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// guideUpdate is the example of the KVS Developer Guide, "Deploy the edge agent", with its
// schedule as printed there: two asterisks for the year.
const guideUpdate = `{
  "StreamName": "STREAM",
  "EdgeConfig": {
    "HubDeviceArn": "HUB",
    "RecorderConfig": {
      "MediaSourceConfig": {"MediaUriSecretArn": "SECRET", "MediaUriType": "RTSP_URI"},
      "ScheduleConfig": {"ScheduleExpression": "0 0 9,10,11,12,13,14,15,16 ? * * **", "DurationInSeconds": 3599}
    },
    "UploaderConfig": {
      "ScheduleConfig": {"ScheduleExpression": "0 0 9,10,11,12,13,14,15,16 ? * * **", "DurationInSeconds": 3599}
    },
    "DeletionConfig": {
      "EdgeRetentionInHours": 15,
      "LocalSizeConfig": {"MaxLocalMediaSizeInMB": 2800, "StrategyOnFullSize": "DELETE_OLDEST_MEDIA"},
      "DeleteAfterUpload": true
    }
  }
}`

// cli runs the AWS command line as the owner of the account.
func (a *account) cli(args ...string) string {
	a.t.Helper()
	command := exec.CommandContext(a.t.Context(), "/usr/bin/aws", append(args, "--endpoint-url", a.Endpoint())...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + a.t.TempDir(), "AWS_EC2_METADATA_DISABLED=true", "NO_PROXY=127.0.0.1"}
	for _, v := range a.UserEnv() {
		command.Env = append(command.Env, v.String())
	}
	out, err := command.CombinedOutput()
	if err != nil {
		a.t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestTheGuidesExampleSentByTheAWSCommandLine(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "/usr/bin/aws")
	a := newAccount(t)
	secretARN := a.camera("front-door")
	hub := a.hub(t.TempDir())
	hub.run()

	// Start and Describe, which version 2.9 of the command line knows.
	input := strings.NewReplacer("STREAM", "front-door", "HUB", edgeconfig.HubARN(localcloud.Region, localcloud.Account, testThing),
		"SECRET", secretARN).Replace(guideUpdate)
	if got := a.cli("kinesisvideo", "start-edge-configuration-update", "--cli-input-json", input, "--query", "SyncStatus", "--output",
		"text"); got != "SYNCING" {
		t.Errorf("the update is answered with %s", got)
	}
	applied := hub.awaitApply("front-door")["front-door"]
	expression, length, ok := applied.Record.Windows()
	if !ok || expression != "0 0 9,10,11,12,13,14,15,16 ? * * **" || length != 3599*time.Second {
		t.Errorf("the schedule arrives as %s", applied.Record)
	}
	want := desired.Keep{MaxAge: 15 * time.Hour, MaxBytes: 2_800_000_000, OnFull: desired.DeleteOldest, DeleteAfterUpload: true}
	if applied.Keep != want {
		t.Errorf("the deletion rules arrive as %+v", applied.Keep)
	}
	if url, err := hub.cameras.URL(t.Context(), secretARN); err != nil || url.Reveal() != cameraURL {
		t.Errorf("the camera's URL: %q, %v", url.Reveal(), err)
	}
	a.awaitSync("front-door", "IN_SYNC")

	// The camera is unplugged and plugged in.
	updated := time.Now().UTC().Truncate(time.Second)
	for _, job := range []JobState{
		{Status: health.Success, Updated: updated},
		{Status: health.SystemError, Details: "The camera at 192.0.2.1:554 does not answer: check that it is on and reachable.",
			Updated: updated.Add(time.Second)},
		{Status: health.Success, Updated: updated.Add(2 * time.Second)},
	} {
		job.Key, job.Collected = "Recorder", updated.Add(-time.Second)
		hub.setJobs(JobStatus{StreamName: "front-door", Jobs: []JobState{job, {Key: "Uploader", Status: health.Success, Updated: updated}}})
		a.describe("front-door", string(job.Status), func(out *kinesisvideo.DescribeEdgeConfigurationOutput) bool {
			if out.EdgeAgentStatus == nil || out.EdgeAgentStatus.LastRecorderStatus == nil {
				return false
			}
			r := out.EdgeAgentStatus.LastRecorderStatus
			return r.RecorderStatus == types.RecorderStatus(job.Status) && aws.ToString(r.JobStatusDetails) == job.Details &&
				r.LastUpdatedTime.Equal(job.Updated) && r.LastCollectedTime != nil && r.LastCollectedTime.Equal(job.Collected)
		})
	}

	// That version does not know EdgeAgentStatus, but shows all the rest.
	shown := a.cli("kinesisvideo", "describe-edge-configuration", "--stream-name", "front-door", "--output", "text",
		"--query", "[SyncStatus,EdgeConfig.RecorderConfig.ScheduleConfig.ScheduleExpression,EdgeConfig.DeletionConfig.EdgeRetentionInHours]")
	if want := "IN_SYNC\t0 0 9,10,11,12,13,14,15,16 ? * * **\t15"; shown != want {
		t.Errorf("the command line shows %q, want %q", shown, want)
	}

	// The other two calls, which it does not know.
	listed, err := a.user.ListEdgeAgentConfigurations(t.Context(),
		&kinesisvideo.ListEdgeAgentConfigurationsInput{HubDeviceArn: aws.String(edgeconfig.HubARN(localcloud.Region, localcloud.Account,
			testThing))})
	if err != nil || len(listed.EdgeConfigs) != 1 || listed.EdgeConfigs[0].SyncStatus != types.SyncStatusInSync {
		t.Errorf("listed: %+v, %v", listed, err)
	}
	if _, err := a.user.DeleteEdgeConfiguration(t.Context(),
		&kinesisvideo.DeleteEdgeConfigurationInput{StreamName: aws.String("front-door")}); err != nil {
		t.Fatal(err)
	}
	hub.applier.AwaitRemove(t, "front-door")
	a.awaitSync("front-door", "DELETED")
}
