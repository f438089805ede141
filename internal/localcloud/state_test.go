package localcloud

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
)

// stateFixture is a directory whose state was written before streams had statuses.
func stateFixture(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	data, err := os.ReadFile("testdata/state-without-statuses.json")
	must(t, err)
	must(t, os.Mkdir(filepath.Join(dir, "state"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "state", "cloud.json"), data, 0o600))
	return dir
}

func TestTheStateOfAnEarlierVersionOpens(t *testing.T) {
	t.Parallel()
	c := start(t, Options{Dir: stateFixture(t), StreamDelay: -1})
	info := succeed(t, c, "DescribeStream", `{"StreamName":"front-door"}`)["StreamInfo"].(map[string]any)
	delete(info, "CreationTime")
	want := `{"StreamName":"front-door","StreamARN":"arn:aws:kinesisvideo:us-west-2:123456789012:stream/front-door/1767323045000",` +
		`"Version":"89a486072a9747a2911e","KmsKeyId":"arn:aws:kms:us-west-2:123456789012:alias/aws/kinesisvideo",` +
		`"Status":"ACTIVE","DeviceName":"cam","MediaType":"video/h264","DataRetentionInHours":48}`
	if !sameJSON(t, jsonOf(t, info), want) {
		t.Errorf("the stream is %v, want %s", info, want)
	}
	if tags := succeed(t, c, "ListTagsForStream", `{"StreamName":"front-door"}`)["Tags"]; !sameJSON(t, jsonOf(t, tags), `{"site":"home"}`) {
		t.Errorf("the tags are %v", tags)
	}
	out := succeed(t, c, "DescribeStreamStorageConfiguration", `{"StreamName":"front-door"}`)
	if tier := out["StreamStorageConfiguration"]; !sameJSON(t, jsonOf(t, tier), `{"DefaultStorageTier":"HOT"}`) {
		t.Errorf("the tier is %v", tier)
	}
	status, edge := syncStatus(t, c)
	recorder := edge["EdgeAgentStatus"].(map[string]any)["LastRecorderStatus"].(map[string]any)
	if status != kvs.SyncFailed || edge["FailedStatusDetails"] != "The disk is full." || recorder["RecorderStatus"] != "USER_ERROR" {
		t.Errorf("the edge configuration is %v", edge)
	}
	if !c.isRevoked("hub-2") {
		t.Error("the revocation is forgotten")
	}
	succeed(t, c, "UpdateStream", `{"StreamName":"front-door","CurrentVersion":"89a486072a9747a2911e","DeviceName":"d"}`)
}

func TestEverythingOfAStreamSurvivesARestart(t *testing.T) {
	t.Parallel()
	clock, dir := newClock(), t.TempDir()
	c, err := Start(Options{Dir: dir, Now: clock.Now, Seed: &Seed{Streams: []SeedStream{{
		Name: "cam", RetentionHours: 24, DeviceName: "d", MediaType: "video/h264", KMSKeyID: "key", StorageTier: kvs.TierWarm,
		Tags: map[string]string{"a": "b"}, ImageGeneration: json.RawMessage(goodImages), Notification: json.RawMessage(goodNotification),
	}}}})
	must(t, err)
	all := func() string {
		var b strings.Builder
		for _, o := range []string{
			"DescribeStream", "ListTagsForStream", "DescribeStreamStorageConfiguration", "DescribeImageGenerationConfiguration",
			"DescribeNotificationConfiguration",
		} {
			b.WriteString(jsonOf(t, succeed(t, c, o, `{"StreamName":"cam"}`)) + "\n")
		}
		return b.String()
	}
	before := all()
	for _, part := range []string{`"ACTIVE"`, `"WARM"`, `"a":"b"`, `"JPEGQuality":"100"`, `"DISABLED"`, `"KmsKeyId":"key"`} {
		if !strings.Contains(before, part) {
			t.Errorf("%s is missing:\n%s", part, before)
		}
	}
	clock.advance(time.Hour)
	must(t, c.Close())
	c = start(t, Options{Dir: dir, Now: clock.Now})
	if after := all(); after != before {
		t.Errorf("before the restart:\n%safter it:\n%s", before, after)
	}
}

// The statuses that pass are on disk with the time when they end.
func TestStatusesOnDisk(t *testing.T) {
	t.Parallel()
	clock, dir := newClock(), t.TempDir()
	c := start(t, Options{Dir: dir, Now: clock.Now, StreamDelay: time.Minute})
	succeed(t, c, "CreateStream", `{"StreamName":"cam"}`)
	data, err := os.ReadFile(filepath.Join(dir, "state", "cloud.json"))
	must(t, err)
	var d document
	must(t, json.Unmarshal(data, &d))
	if s := d.Streams["cam"]; s.Status != "CREATING" || !s.Settles.Equal(clock.Now().Add(time.Minute)) {
		t.Errorf("on disk it is %s until %v", s.Status, s.Settles)
	}
	if code, _ := ask(t, c, "DeleteStream", `{"StreamARN":"`+d.Streams["cam"].ARN+`"}`); code != kvsmodel.ResourceInUse {
		t.Errorf("deleting a stream that is CREATING: %q", code)
	}
}
