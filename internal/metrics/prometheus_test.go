package metrics

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/pressure"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

func promOptions() PrometheusOptions {
	registry, o := hub()
	registry.Component("runs", health.JobRecorder).Counter(health.FramesRecorded).Add(250)
	registry.Component("runs", health.JobRecorder).Gauge(health.FPSMilli).Set(25_000)
	return PrometheusOptions{Version: "v1", Health: registry, Store: o.Store, Streams: o.Streams, Jobs: o.Jobs}
}

// scrape serves on a TCP address and reads it, as Prometheus does.
func scrape(t *testing.T, o PrometheusOptions) string {
	t.Helper()
	server, err := Listen(":0", NewHandler(o))
	if err != nil {
		t.Fatal(err)
	}
	if host, _, _ := net.SplitHostPort(server.Addr().String()); host != "127.0.0.1" {
		t.Errorf("without a host it listens on %s", host)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	resp, err := http.Get("http://" + server.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %v", resp.Status, err)
	}
	return string(text)
}

// someReading has something of all that the kernel may say.
var someReading = pressure.Reading{
	Processor: &pressure.Stalls{Some: pressure.Stall{Total: 1500 * time.Millisecond}, Full: pressure.Stall{Total: time.Second}},
	Throttled: true, Zones: []pressure.Zone{{Name: "cpu", Celsius: 51.5}, {Name: "cpu", Celsius: 52}},
	Storage: []pressure.Storage{{Device: "mmcblk0", UsedPercent: 110, PreEOL: "urgent"}},
}

func TestPrometheusReadsEverything(t *testing.T) {
	t.Parallel()
	o := promOptions()
	o.SiteWise = func() (SiteWise, bool) {
		return SiteWise{Waiting: 3, Refused: 2, TooOld: 1, Since: time.Unix(1_800_000_000, 0), Written: time.Unix(1_800_000_060, 0)}, true
	}
	o.Pressure = func() pressure.Reading { return someReading }
	text := scrape(t, o)
	for _, want := range []string{
		`kvs_edge_pressure_waiting_seconds_total{resource="cpu",tasks="some"} 1.5`,
		`kvs_edge_pressure_waiting_seconds_total{resource="cpu",tasks="all"} 1`,
		`kvs_edge_temperature_celsius{zone="cpu"} 51.5`,
		`kvs_edge_thermal_throttled 1`,
		`kvs_edge_storage_life_used_ratio{device="mmcblk0"} 1.1`,
		`kvs_edge_storage_spare_blocks{device="mmcblk0",state="urgent"} 1`,
		`kvs_edge_build_info{version="v1"} 1`,
		`kvs_edge_recorded_frames_total{stream="runs"} 250`,
		`kvs_edge_recording_frames_per_second{stream="runs"} 25`,
		`kvs_edge_stored_bytes{stream="fails"} 250`,
		`kvs_edge_stored_limit_bytes{stream="waits"} 500`,
		`kvs_edge_job_activity{activity="running",job="recorder",stream="runs"} 1`,
		`kvs_edge_job_activity{activity="scheduled",job="uploader",stream="waits"} 1`,
		`kvs_edge_job_activity{activity="failed",job="recorder",stream="retries"} 1`,
		`kvs_edge_condition{code="wrong-password",job="recorder",severity="failed",stream="fails"} 1`,
		`kvs_edge_disk_free_bytes 750`,
		`kvs_edge_sitewise_waiting_values 3`,
		`kvs_edge_sitewise_waiting_since_timestamp_seconds 1.8e+09`,
		`kvs_edge_sitewise_refused_values 2`,
		`kvs_edge_sitewise_too_old_rows 1`,
		`kvs_edge_sitewise_last_written_timestamp_seconds 1.80000006e+09`,
		"\ngo_goroutines ", "\nprocess_resident_memory_bytes ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestAHubWithoutSiteWiseHasNoMetricsOfIt, whether nobody asks or it is not used.
func TestAHubWithoutSiteWiseHasNoMetricsOfIt(t *testing.T) {
	t.Parallel()
	unused := promOptions()
	unused.SiteWise = func() (SiteWise, bool) { return SiteWise{}, false }
	for _, o := range []PrometheusOptions{promOptions(), unused} {
		if text := scrape(t, o); strings.Contains(text, "kvs_edge_sitewise") {
			t.Errorf("it has\n%s", text)
		}
	}
}

// TestTheDashboardAsksForMetricsThatExist reads the Grafana dashboard's queries.
func TestTheDashboardAsksForMetricsThatExist(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../deploy/grafana/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	o := promOptions()
	o.Pressure = func() pressure.Reading { return someReading }
	text, used := scrape(t, o), 0
	name := regexp.MustCompile(`(kvs_edge|go|process)_[a-z_]+`)
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			for _, metric := range name.FindAllString(target.Expr, -1) {
				used++
				if !strings.Contains(text, "# TYPE "+metric+" ") {
					t.Errorf("panel %q asks for %s, which does not exist", panel.Title, metric)
				}
			}
		}
	}
	if used == 0 {
		t.Error("the dashboard asks for nothing")
	}
}

func TestAWrongAddressIsRefused(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"9464", "nowhere:port", "127.0.0.1:99999"} {
		if s, err := Listen(address, http.NotFoundHandler()); err == nil {
			_ = s.Close()
			t.Errorf("%s is accepted as an address", address)
		}
	}
}

func TestTheStorageTierIsALabel(t *testing.T) {
	t.Parallel()
	o := promOptions()
	o.Streams = func() []Stream { return []Stream{{Name: "cold", StorageTier: "WARM"}, {Name: "new"}} }
	text := scrape(t, o)
	if want := `kvs_edge_storage_tier{stream="cold",tier="WARM"} 1`; !strings.Contains(text, want) {
		t.Errorf("%s is missing in\n%s", want, text)
	}
	if strings.Contains(text, `kvs_edge_storage_tier{stream="new"`) {
		t.Errorf("a tier that is not known is shown in\n%s", text)
	}
}

// pendingStore says that every stream has something that is not uploaded.
type pendingStore struct{ fakeStore }

func (pendingStore) Usage(string) segment.Usage {
	return segment.Usage{Bytes: 9, PendingBytes: 7, PendingDuration: 5 * time.Second}
}

// TestTheUploadModeIsALabel, and a stream that is uploaded on request has no backlog.
func TestTheUploadModeIsALabel(t *testing.T) {
	t.Parallel()
	o := promOptions()
	o.Store = pendingStore{}
	o.Streams = func() []Stream {
		return []Stream{{Name: "door", UploadMode: "live"}, {Name: "yard", UploadMode: "on-request", OnRequest: true}, {Name: "local"}}
	}
	text := scrape(t, o)
	for _, want := range []string{
		`kvs_edge_upload_mode{mode="live",stream="door"} 1`, `kvs_edge_upload_mode{mode="on-request",stream="yard"} 1`,
		`kvs_edge_backlog_bytes{stream="door"} 7`, `kvs_edge_backlog_seconds{stream="door"} 5`,
		`kvs_edge_backlog_bytes{stream="yard"} 0`, `kvs_edge_backlog_seconds{stream="yard"} 0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, `kvs_edge_upload_mode{mode=""`) {
		t.Errorf("a mode without a name is in\n%s", text)
	}
}
