package localcloud

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/awsplayer"
)

// askPlayer runs AWS's player as the user of the cloud.
func askPlayer(t *testing.T, c *Cloud, workspace, entity string, from, to time.Time) awsplayer.Found {
	t.Helper()
	return awsplayer.Ask(t, "../..", userEnv(t, c), workspace, entity, from, to)
}

// stretches are the ranges of time that fragments cover.
func stretches(list []media.Fragment) (all []awsplayer.Span) {
	for _, f := range list {
		end := f.Producer.Add(f.Duration + f.Duration/time.Duration(max(1, f.Frames-1)))
		all = append(all, awsplayer.Span{Start: f.Producer.UnixMilli(), End: end.UnixMilli()})
	}
	return awsplayer.Join(all)
}

// compareSpans reports ranges that differ by more than a second at one of their ends.
func compareSpans(t *testing.T, what string, got, want []awsplayer.Span) {
	t.Helper()
	if !awsplayer.Same(got, want) {
		t.Fatalf("%s: AWS's player has %d ranges, want %d: %v, want %v", what, len(got), len(want), got, want)
	}
}

// TestAWSsPlayerFindsWhatIsUploaded: rows in SiteWise, as a writer has to write them, make AWS's player find exactly what is stored,
// with few sessions, and each of these plays.
func TestAWSsPlayerFindsWhatIsUploaded(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg", "ffprobe", "node")
	var lines testtools.Text
	c := start(t, Options{StreamDelay: -1, Calls: &lines, Seed: &Seed{
		Streams: []SeedStream{{Name: "cam", RetentionHours: 48}},
		Hubs:    []SeedHub{{Name: "hub-1", Workspace: "yard", Cameras: []sitewise.SeedCamera{{Name: "front", Stream: "cam"}}}},
	}})
	now := time.Now().Truncate(time.Second)
	view := now.Add(-24 * time.Hour)
	film := filmOf(t, t.TempDir(), "H.264")
	for hour := range 6 {
		put(t, c, film, view.Add(time.Duration(hour)*4*time.Hour+time.Duration(hour)*time.Minute+time.Minute))
	}
	truth := stretches(c.Media().Fragments("cam"))
	api := siteWiseClient(userConfig(t, c))
	asset, properties := cameraOf(t, api)
	row := func(property string, s awsplayer.Span) {
		t.Helper()
		at := types.TimeInNanos{TimeInSeconds: aws.Int64(s.Start / 1000)}
		out, err := api.BatchPutAssetPropertyValue(t.Context(), &iotsitewise.BatchPutAssetPropertyValueInput{
			Entries: []types.PutAssetPropertyValueEntry{{EntryId: aws.String("1"), AssetId: &asset, PropertyId: aws.String(properties[property]),
				PropertyValues: []types.AssetPropertyValue{{Quality: types.QualityGood, Timestamp: &at,
					Value: &types.Variant{DoubleValue: aws.Float64(float64(s.End) / 1000)}}}}}})
		must(t, err)
		if len(out.ErrorEntries) > 0 {
			t.Fatalf("the row is refused: %v", out.ErrorEntries)
		}
	}
	for _, s := range truth {
		row("VideoUploadedTimeRange", s)
	}
	edge := []awsplayer.Span{{Start: now.Add(-2 * time.Hour).UnixMilli(), End: now.Add(-time.Hour).UnixMilli()}}
	row("CachedVideoAgeOutOnEdge", edge[0])

	got := askPlayer(t, c, "yard", asset, view, now)
	compareSpans(t, "uploaded", got.Uploaded, truth)
	compareSpans(t, "on the edge", got.Edge, edge)
	if n := strings.Count(lines.String(), " GetHLSStreamingSessionURL of "); n > 24 || n < len(truth) {
		t.Errorf("a day of %d stretches took %d sessions", len(truth), n)
	}
	for _, s := range got.Uploaded {
		count := foreign(t, nil, t.TempDir(), "ffprobe", "-v", "error", "-count_packets", "-select_streams", "v:0",
			"-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", s.Src)
		if n := strings.Trim(string(count), " \n,"); !strings.HasPrefix(n, "150") {
			t.Errorf("ffprobe finds %q packets in the range at %s, want 150", n, time.UnixMilli(s.Start).Format(time.RFC3339))
		}
	}

	// A view that begins within a row: the player finds it by its last value before, and cuts it.
	middle := time.UnixMilli(truth[2].Start).Add(2500 * time.Millisecond)
	got = askPlayer(t, c, "yard", asset, middle, middle.Add(time.Minute))
	compareSpans(t, "uploaded, from the middle", got.Uploaded, []awsplayer.Span{{Start: middle.UnixMilli(), End: truth[2].End}})
}

// cameraOf finds the only camera, and the ids of its properties.
func cameraOf(t *testing.T, api *iotsitewise.Client) (asset string, properties map[string]string) {
	t.Helper()
	models, err := api.ListAssetModels(t.Context(), &iotsitewise.ListAssetModelsInput{})
	must(t, err)
	properties = map[string]string{}
	for _, m := range models.AssetModelSummaries {
		if !strings.HasPrefix(*m.Name, "EdgeConnectorForKVSCameraModel") {
			continue
		}
		assets, err := api.ListAssets(t.Context(), &iotsitewise.ListAssetsInput{AssetModelId: m.Id})
		must(t, err)
		asset = *assets.AssetSummaries[0].Id
	}
	described, err := api.DescribeAsset(t.Context(), &iotsitewise.DescribeAssetInput{AssetId: &asset})
	must(t, err)
	for _, p := range described.AssetProperties {
		properties[*p.Name] = *p.Id
	}
	return asset, properties
}
