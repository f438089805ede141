package localcloud

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
)

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var left, right any
	must(t, json.Unmarshal([]byte(a), &left))
	must(t, json.Unmarshal([]byte(b), &right))
	return reflect.DeepEqual(left, right)
}

const (
	goodImages = `{"Status":"ENABLED","ImageSelectorType":"SERVER_TIMESTAMP",` +
		`"DestinationConfig":{"Uri":"s3://bucket/images","DestinationRegion":"us-west-2"},"SamplingInterval":200,` +
		`"Format":"JPEG","FormatConfig":{"JPEGQuality":"100"},"WidthPixels":320}`
	goodNotification = `{"Status":"DISABLED","DestinationConfig":{"Uri":"arn:aws:sns:us-west-2:123456789012:topic"}}`
)

func TestImagesAndNotifications(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	for _, row := range []struct{ operation, stream, value, code, left string }{
		{"ImageGeneration", "none", goodImages, kvsmodel.ResourceNotFound, ``},
		{"ImageGeneration", "kept", goodImages, "", goodImages},
		{"ImageGeneration", "kept", strings.Replace(goodImages, "200", "199", 1), kvsmodel.InvalidArgument, goodImages},
		{"ImageGeneration", "kept", strings.Replace(goodImages, `"100"`, `"101"`, 1), kvsmodel.InvalidArgument, goodImages},
		{"ImageGeneration", "kept", strings.Replace(goodImages, `"100"`, `"0"`, 1), kvsmodel.InvalidArgument, goodImages},
		{"ImageGeneration", "kept", strings.Replace(goodImages, `"100"`, `"best"`, 1), kvsmodel.InvalidArgument, goodImages},
		{"ImageGeneration", "kept", `null`, "", ``},
		{"ImageGeneration", "live", goodImages, kvsmodel.NoDataRetention, ``},
		{"ImageGeneration", "live", `null`, "", ``},
		{"Notification", "kept", goodNotification, "", goodNotification},
		{"Notification", "kept", `{"Status":"ENABLED"}`, kvsmodel.InvalidArgument, goodNotification},
		{"Notification", "kept", `null`, "", ``},
		{"Notification", "live", goodNotification, kvsmodel.NoDataRetention, ``},
		{"Notification", "none", goodNotification, kvsmodel.ResourceNotFound, ``},
	} {
		for name, hours := range map[string]int{"kept": 24, "live": 0} {
			_, err := c.CreateStream(name, hours)
			must(t, err)
		}
		member := row.operation + "Configuration"
		body := fmt.Sprintf(`{"StreamName":%q,%q:%s}`, row.stream, member, row.value)
		if code, out := ask(t, c, "Update"+member, body); code != row.code {
			t.Errorf("Update%s %s is answered with %q (%v), want %q", member, body, code, out["Message"], row.code)
		}
		if row.stream == "none" {
			continue
		}
		left, has := succeed(t, c, "Describe"+member, `{"StreamName":"`+row.stream+`"}`)[member]
		if has != (row.left != "") || has && !sameJSON(t, jsonOf(t, left), row.left) {
			t.Errorf("after %s it is %v, want %s", body, left, row.left)
		}
	}
}

func TestStorageTiers(t *testing.T) {
	t.Parallel()
	c := start(t, Options{StreamDelay: -1})
	succeed(t, c, "CreateStream", `{"StreamName":"default"}`)
	succeed(t, c, "CreateStream", `{"StreamName":"cold","StreamStorageConfiguration":{"DefaultStorageTier":"WARM"}}`)
	tier := func(stream string) string {
		out := succeed(t, c, "DescribeStreamStorageConfiguration", `{"StreamName":"`+stream+`"}`)
		if out["StreamName"] != stream || !strings.Contains(out["StreamARN"].(string), "stream/"+stream+"/") {
			t.Errorf("%s is described as %v", stream, out)
		}
		return out["StreamStorageConfiguration"].(map[string]any)["DefaultStorageTier"].(string)
	}
	if got := tier("default") + " " + tier("cold"); got != "HOT WARM" {
		t.Errorf("the tiers are %s", got)
	}
	version := succeed(t, c, "DescribeStream", `{"StreamName":"cold"}`)["StreamInfo"].(map[string]any)["Version"].(string)
	update := `{"StreamName":"cold","CurrentVersion":"` + version + `","StreamStorageConfiguration":{"DefaultStorageTier":"HOT"}}`
	for _, want := range []string{"", kvsmodel.VersionMismatch} {
		if code, _ := ask(t, c, "UpdateStreamStorageConfiguration", update); code != want {
			t.Errorf("the update is answered with %q, want %q", code, want)
		}
	}
	if got := tier("cold"); got != "HOT" {
		t.Errorf("after the update the tier is %s", got)
	}
}

// store has the data plane of a directory believe that it stored a fragment.
func store(t *testing.T, dir, stream string, n int, server time.Time, bytes int64) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "fragments.jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	must(t, err)
	defer f.Close()
	const line = `{"stream":%q,"fragment_number":"%d","producer_timestamp_ms":0,"server_timestamp_ms":%d,"bytes":%d,"file":%q}`
	_, err = fmt.Fprintf(f, line+"\n", stream, n, server.UnixMilli(), bytes, stream+".mkv")
	must(t, err)
}

func TestTheBillCountsBytesInHotAndFragmentsInWarm(t *testing.T) {
	t.Parallel()
	clock, dir := newClock(), t.TempDir()
	begin := clock.Now()
	c, err := Start(Options{Dir: dir, Now: clock.Now, StreamDelay: -1})
	must(t, err)
	for name, hours := range map[string]int{"cam": 720, "live": 0} {
		_, err := c.CreateStream(name, hours)
		must(t, err)
	}
	clock.advance(time.Hour)
	version := succeed(t, c, "DescribeStream", `{"StreamName":"cam"}`)["StreamInfo"].(map[string]any)["Version"].(string)
	succeed(t, c, "UpdateStreamStorageConfiguration",
		`{"StreamName":"cam","CurrentVersion":"`+version+`","StreamStorageConfiguration":{"DefaultStorageTier":"WARM"}}`)
	must(t, c.Close())
	for i, f := range []struct {
		stream string
		at     time.Duration
		bytes  int64
	}{
		{"cam", -time.Hour, 5 << 30}, // of a former stream of that name
		{"cam", 0, 1 << 30}, {"cam", time.Hour - time.Millisecond, 1 << 30},
		{"cam", time.Hour, 1 << 30}, {"cam", 2 * time.Hour, 1 << 30}, {"cam", 2 * time.Hour, 0},
		{"live", time.Hour, 2 << 30}, {"other", time.Hour, 3 << 30},
	} {
		store(t, dir, f.stream, i+1, begin.Add(f.at), f.bytes)
	}
	clock.advance(719 * time.Hour)
	c = start(t, Options{Dir: dir, Now: clock.Now})
	got, err := c.Bill("cam")
	must(t, err)
	hour := 1.0 / 720
	want := kvs.Bill{Fragments: 5, Bytes: 4 << 30,
		Hot:  kvs.TierBill{Fragments: 2, Bytes: 2 << 30, Ingestion: 2 * 0.0085, GBHours: 1439, Storage: 0.0230 + 0.0230*(1-hour)},
		Warm: kvs.TierBill{Fragments: 3, Bytes: 2 << 30, Ingestion: 3 * 0.0100 / 1000, GBHours: 1440, Storage: 0.0125 * 2},
	}
	if !near(got, want) {
		t.Errorf("the bill is %+v, want %+v", got, want)
	}
	live, err := c.Bill("live")
	must(t, err)
	if want := (kvs.Bill{Fragments: 1, Bytes: 2 << 30, Hot: kvs.TierBill{Fragments: 1, Bytes: 2 << 30, Ingestion: 0.017}}); !near(live, want) {
		t.Errorf("the bill of a stream without retention is %+v, want %+v", live, want)
	}
	if total := got.Total(); math.Abs(total-(0.017+0.046+0.00003+0.025)) > 1e-3 {
		t.Errorf("the total is %f", total)
	}
	if _, err := c.Bill("other"); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("the bill of a stream that does not exist: %v", err)
	}
}

// Media in WARM is paid for 30 days at least.
func TestTheBillOfShortStorageInWarm(t *testing.T) {
	t.Parallel()
	clock, dir := newClock(), t.TempDir()
	store(t, dir, "cam", 1, clock.Now(), 1<<30)
	seed := &Seed{Streams: []SeedStream{{Name: "cam", RetentionHours: 1, StorageTier: kvs.TierWarm}}}
	c := start(t, Options{Dir: dir, Now: clock.Now, StreamDelay: -1, Seed: seed})
	got, err := c.Bill("cam")
	must(t, err)
	if want := 0.0125; math.Abs(got.Warm.Storage-want) > 1e-9 {
		t.Errorf("storage costs %f, want %f", got.Warm.Storage, want)
	}
}

// near compares bills up to the rounding of sums.
func near(a, b kvs.Bill) bool {
	same := func(a, b kvs.TierBill) bool {
		return a.Fragments == b.Fragments && a.Bytes == b.Bytes &&
			math.Abs(a.Ingestion-b.Ingestion) < 1e-9 && math.Abs(a.GBHours-b.GBHours) < 1e-3 && math.Abs(a.Storage-b.Storage) < 1e-9
	}
	return a.Fragments == b.Fragments && a.Bytes == b.Bytes && same(a.Hot, b.Hot) && same(a.Warm, b.Warm)
}
