package localcloud

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvs"
)

// seedExample is the seed that docs/localcloud.md shows.
const seedExample = "../../docs/localcloud-seed.example.json"

func TestTheExampleOfASeedWorks(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(seedExample)
	must(t, err)
	s, err := ParseSeed(data)
	must(t, err)
	dir := t.TempDir()
	c, err := Start(Options{Dir: dir, Seed: s})
	must(t, err)
	succeed(t, c, "TagStream", `{"StreamName":"front-door","Tags":{"owner":"me"}}`)
	must(t, c.Close())
	c = start(t, Options{Dir: dir, Seed: s}) // the second time, what the user added is still there
	for operation, want := range map[string]string{
		"DescribeStream":                       `"DataRetentionInHours":168`,
		"ListTagsForStream":                    `"owner":"me"`,
		"DescribeStreamStorageConfiguration":   `"WARM"`,
		"DescribeImageGenerationConfiguration": `"SamplingInterval":3000`,
		"DescribeNotificationConfiguration":    `"arn:aws:sns:us-west-2:123456789012:motion"`,
		"DescribeEdgeConfiguration":            `"SyncStatus":"SYNCING"`,
	} {
		if got := jsonOf(t, succeed(t, c, operation, `{"StreamName":"front-door"}`)); !strings.Contains(got, want) {
			t.Errorf("%s answers %s, want %s in it", operation, got, want)
		}
	}
}

func TestASeedNamesItsMistakesByPath(t *testing.T) {
	t.Parallel()
	fastImages, typo := strings.Replace(goodImages, "200", "1", 1), strings.Replace(goodNotification, `"Uri"`, `"Url":1,"Uri"`, 1)
	stream := func(members string) string {
		return `{"streams":[{"name":"a","retention_hours":1},{"name":"b",` + members + `}]}`
	}
	for text, says := range map[string]string{
		`[]`:                              "the whole must be an object",
		`{"things":{}}`:                   "things must be a list",
		`{"things":[1]}`:                  "things[0] must be a string",
		`{"streams":[{}]}`:                "streams[0].name: ",
		stream(`"retention":1`):           `streams[1].retention: unknown field "retention"`,
		stream(`"retention_hours":"1"`):   "streams[1].retention_hours must be a whole number",
		stream(`"retention_hours":1.5`):   "streams[1].retention_hours must be a whole number",
		stream(`"retention_hours":-1`):    "streams[1].retention_hours: cannot create stream b: 1 validation error",
		stream(`"retention_hours":87601`): "streams[1].retention_hours: ",
		stream(`"device_name":"a b"`):     "streams[1].device_name: ",
		stream(`"media_type":"h264"`):     "streams[1].media_type: ",
		stream(`"kms_key_id":"\n"`):       "streams[1].kms_key_id: ",
		stream(`"storage_tier":"COLD"`):   "streams[1].storage_tier: ",
		stream(`"tags":{"a":1}`):          "streams[1].tags.a must be a string",
		stream(`"tags":{"a#":"1"}`):       "streams[1].tags.key: ",
		stream(`"tags":{"aws:a":"1"}`):    "streams[1].tags.key: ",
		stream(`"image_generation":{}`):   "streams[1].image_generation.Status: ",
		stream(`"retention_hours":1,"image_generation":` + fastImages):      "streams[1].image_generation.SamplingInterval: ",
		stream(`"image_generation":` + goodImages):                          "retains no data",
		stream(`"notification":` + typo):                                    "streams[1].notification.DestinationConfig.Url: ",
		`{"secrets":[{"name":"a","value":"x"},{"name":"a#b","value":"x"}]}`: "secrets[1].name: ",
		`{"secrets":[{"name":"a","value":null}]}`:                           "secrets[0].value: ",
		`{"secrets":[{"name":"a"}]}`:                                        "secrets[0].value: ",
		``:                                                                  "it is empty",
		`{"edge_configs":[{"stream":"x"}]}`:                                 "edge_configs[0].config: ",
		`{"edge_configs":[{"stream":"x","config":` + goodEdgeConfig + `}]}`: "edge_configs[0].stream: ",
		`{"edge_configs":[{"stream":"x","config":{"HubDeviceArn":1}}]}`:     "edge_configs[0].config.HubDeviceArn: ",
	} {
		s, err := ParseSeed([]byte(text))
		if err == nil {
			var c *Cloud
			if c, err = Start(Options{Dir: t.TempDir(), Seed: s}); err == nil {
				must(t, c.Close())
			}
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %q in it", text, err, says)
		}
	}
}

func TestASeedChangesOnlyWhatItStates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, stage := range []struct {
		stream SeedStream
		want   string // device name, media type and tier
	}{
		{SeedStream{Name: "cam", RetentionHours: 24, DeviceName: "a"}, "a  HOT"},
		{SeedStream{Name: "cam", RetentionHours: 24, MediaType: "video/h264", StorageTier: kvs.TierWarm}, "a video/h264 WARM"},
		{SeedStream{Name: "cam", RetentionHours: 24, DeviceName: "b"}, "b video/h264 WARM"},
	} {
		c, err := Start(Options{Dir: dir, Seed: &Seed{Streams: []SeedStream{stage.stream}}})
		must(t, err)
		tier := succeed(t, c, "DescribeStreamStorageConfiguration", `{"StreamName":"cam"}`)["StreamStorageConfiguration"].(map[string]any)
		must(t, c.store.View(func() error {
			s := c.doc.Streams["cam"]
			if got := fmt.Sprint(s.DeviceName, " ", s.MediaType, " ", tier["DefaultStorageTier"]); got != stage.want {
				t.Errorf("after the seed %+v the stream has %q, want %q", stage.stream, got, stage.want)
			}
			return nil
		}))
		must(t, c.Close())
	}
}
