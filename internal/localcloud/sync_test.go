package localcloud

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvs"
)

func TestAConfigurationIsSentAndItsAnswersAreShown(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	kvs := userKVS(t, c)
	arn, err := c.CreateStream("cam", 24)
	must(t, err)
	h := connectHub(t, c, hub)

	updated, err := startUpdate(t, kvs, "cam")
	must(t, err)
	if updated.SyncStatus != types.SyncStatusSyncing || aws.ToString(updated.StreamARN) != arn || updated.LastUpdatedTime.IsZero() {
		t.Errorf("answered %+v", updated)
	}
	told := h.await("config/update", "cam")
	if told.StreamARN != arn || !strings.Contains(string(told.EdgeConfig), hubARN) {
		t.Errorf("the hub receives %+v", told)
	}
	_, err = startUpdate(t, kvs, "cam")
	wantError(t, err, "ResourceInUseException", 400)

	h.answer(told, "ACKNOWLEDGED", "")
	must(t, c.AwaitSyncStatus(waiting(t), "cam", "ACKNOWLEDGED"))
	_, err = startUpdate(t, kvs, "cam")
	wantError(t, err, "ResourceInUseException", 400)
	h.answer(told, "IN_SYNC", "")
	must(t, c.AwaitSyncStatus(waiting(t), "cam", "IN_SYNC"))

	h.publish("jobs/status", `{"Time":1700000000,"Streams":[{"StreamName":"cam",`+
		`"Recorder":{"Status":"USER_ERROR","Details":"The camera is off.","LastCollectedTime":1700000000.5,"LastUpdatedTime":1700000000.25},`+
		`"Uploader":{"Status":"SUCCESS","LastCollectedTime":1700000000.5,"LastUpdatedTime":1700000000.25}}]}`)
	h.answer(told, "SYNC_FAILED", "The disk is full.")
	must(t, c.AwaitSyncStatus(waiting(t), "cam", "SYNC_FAILED"))
	got, err := kvs.DescribeEdgeConfiguration(t.Context(), &kinesisvideo.DescribeEdgeConfigurationInput{StreamARN: &arn})
	must(t, err)
	if aws.ToString(got.FailedStatusDetails) != "The disk is full." || aws.ToString(got.EdgeConfig.HubDeviceArn) != hubARN ||
		!got.LastUpdatedTime.Equal(*updated.LastUpdatedTime) {
		t.Errorf("described as %+v", got)
	}
	recorder, uploader := got.EdgeAgentStatus.LastRecorderStatus, got.EdgeAgentStatus.LastUploaderStatus
	if recorder.RecorderStatus != types.RecorderStatusUserError || aws.ToString(recorder.JobStatusDetails) != "The camera is off." ||
		!recorder.LastUpdatedTime.Equal(time.UnixMilli(1700000000250)) || !recorder.LastCollectedTime.Equal(time.UnixMilli(1700000000500)) ||
		uploader.UploaderStatus != types.UploaderStatusSuccess || uploader.JobStatusDetails != nil {
		t.Errorf("jobs %+v, %+v", recorder, uploader)
	}

	_, err = kvs.DeleteEdgeConfiguration(t.Context(), &kinesisvideo.DeleteEdgeConfigurationInput{StreamName: aws.String("cam")})
	must(t, err)
	_, err = startUpdate(t, kvs, "cam")
	wantError(t, err, "ResourceInUseException", 400)
	removal := h.await("config/delete", "cam")
	h.answer(told, "DELETED", "") // about the old version: changes nothing
	h.answer(removal, "DELETING_ACKNOWLEDGED", "")
	must(t, c.AwaitSyncStatus(waiting(t), "cam", "DELETING_ACKNOWLEDGED"))
	h.answer(removal, "DELETE_FAILED", "The disk is gone.")
	must(t, c.AwaitSyncStatus(waiting(t), "cam", "DELETE_FAILED"))
	h.answer(removal, "DELETED", "")
	must(t, c.AwaitSyncStatus(waiting(t), "cam", "DELETED"))
	_, err = kvs.DescribeEdgeConfiguration(t.Context(), &kinesisvideo.DescribeEdgeConfigurationInput{StreamName: aws.String("cam")})
	wantError(t, err, "StreamEdgeConfigurationNotFoundException", 404)
}

func TestAHubThatComesLaterIsTold(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	_, err := c.CreateStream("cam", 24)
	must(t, err)
	_, err = startUpdate(t, userKVS(t, c), "cam")
	must(t, err)
	h := connectHub(t, c, hub)
	h.answer(h.await("config/update", "cam"), "IN_SYNC", "")
	must(t, c.AwaitSyncStatus(waiting(t), "cam", "IN_SYNC"))
}

func TestWithoutAcknowledgementAnUpdateIsRepeatedAndGivenUpAfter15Minutes(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c := start(t, Options{Now: clock.Now})
	_, err := c.CreateStream("cam", 24)
	must(t, err)
	h := connectHub(t, c, hub)
	_, err = startUpdate(t, userKVS(t, c), "cam")
	must(t, err)
	first := h.await("config/update", "cam")
	clock.advance(10 * time.Second)
	if again := h.await("config/update", "cam"); again.LastUpdatedTime != first.LastUpdatedTime {
		t.Errorf("version %s is repeated as %s", first.LastUpdatedTime, again.LastUpdatedTime)
	}
	clock.advance(15*time.Minute - 10*time.Second - time.Second)
	h.await("config/update", "cam")
	if got := c.kvs.DescribeSync("cam"); got != kvs.Syncing {
		t.Errorf("a second before the time is over it is %s", got)
	}
	clock.advance(time.Second)
	must(t, c.AwaitSyncStatus(waiting(t), "cam", "SYNC_FAILED"))
	if got := c.kvs.DescribeSync("cam"); !strings.Contains(got, "15 minutes") {
		t.Errorf("the details do not say why: %s", got)
	}
	h.answer(first, "ACKNOWLEDGED", "")
	must(t, c.AwaitSyncStatus(waiting(t), "cam", "ACKNOWLEDGED"))
}

func TestAnswersThatChangeNothing(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(h *testHub, other *testHub, told hubHeard){
		"another version": func(h, _ *testHub, told hubHeard) { told.LastUpdatedTime = "1.5"; h.answer(told, "SYNC_FAILED", "") },
		"no version": func(h, _ *testHub, told hubHeard) {
			h.publish("config/status", `{"StreamName":"cam","SyncStatus":"SYNC_FAILED"}`)
		},
		"another thing":  func(_, other *testHub, told hubHeard) { other.answer(told, "SYNC_FAILED", "") },
		"unknown status": func(h, _ *testHub, told hubHeard) { h.answer(told, "DONE", "") },
		"another stream": func(h, _ *testHub, told hubHeard) { told.StreamName = "none"; h.answer(told, "SYNC_FAILED", "") },
		"a deletion":     func(h, _ *testHub, told hubHeard) { h.answer(told, "DELETED", "") },
		"garbage":        func(h, _ *testHub, _ hubHeard) { h.publish("config/status", "garbage"); h.publish("jobs/status", "[]") },
		"unknown jobs": func(h, _ *testHub, _ hubHeard) {
			h.publish("jobs/status", `{"Streams":[{"StreamName":"none","Recorder":{"Status":"SUCCESS"}},`+
				`{"StreamName":"cam","Recorder":{"Status":"FINE"}}]}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, Options{})
			for _, stream := range []string{"cam", "marker"} {
				_, err := c.CreateStream(stream, 24)
				must(t, err)
				_, err = startUpdate(t, userKVS(t, c), stream)
				must(t, err)
			}
			h, other := connectHub(t, c, hub), connectHub(t, c, "hub-2")
			// Both are published in any order, and more than once when the subscription comes between.
			told := map[string]hubHeard{}
			for len(told) < 2 {
				m := h.await("config/update", "")
				told[m.StreamName] = m
			}
			answer(h, other, told["cam"])
			// The other hub has no stream to mark its end with, so its answer is waited for by a round trip.
			other.must(other.client.Subscribe("kvs-edge/hub-2/end", 1, nil))
			h.answer(told["marker"], "IN_SYNC", "")
			must(t, c.AwaitSyncStatus(waiting(t), "marker", "IN_SYNC"))
			if got := c.kvs.DescribeSync("cam"); got != kvs.Syncing {
				t.Errorf("it is %s", got)
			}
		})
	}
}

func TestAMovedOrDeletedStreamRefreshesTheFormerHub(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	kvs := userKVS(t, c)
	arn, err := c.CreateStream("cam", 24)
	must(t, err)
	h, other := connectHub(t, c, hub), connectHub(t, c, "hub-2")
	_, err = startUpdate(t, kvs, "cam")
	must(t, err)
	h.answer(h.await("config/update", "cam"), "IN_SYNC", "")
	must(t, c.AwaitSyncStatus(waiting(t), "cam", "IN_SYNC"))
	moved := edgeConfig()
	moved.HubDeviceArn = aws.String(strings.Replace(hubARN, hub, "hub-2", 1))
	_, err = kvs.StartEdgeConfigurationUpdate(t.Context(), &kinesisvideo.StartEdgeConfigurationUpdateInput{StreamName: aws.String("cam"),
		EdgeConfig: moved})
	must(t, err)
	h.await("config/refresh", "")
	other.await("config/update", "cam")
	_, err = kvs.DeleteStream(t.Context(), &kinesisvideo.DeleteStreamInput{StreamARN: &arn})
	must(t, err)
	other.await("config/refresh", "")
}

func TestAwaitSaysHowItStands(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.AwaitSyncStatus(ctx, "cam", "IN_SYNC"); err == nil || !strings.Contains(err.Error(), "without an edge configuration") {
		t.Errorf("got %v", err)
	}
}
