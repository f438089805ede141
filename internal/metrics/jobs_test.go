package metrics

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// TestAnyJobHasMetrics has a hub with one job more.
func TestAnyJobHasMetrics(t *testing.T) {
	t.Parallel()
	registry, o := hub()
	o.Jobs = append(slices.Clone(o.Jobs), health.StreamJob{Name: "archiver", Cloud: "Archiver", Metric: "ArchiveJob"})
	registry.Component("runs", "archiver").SetState("copying")
	s := &sampler{o: o}
	var names []string
	for _, p := range s.minute(time.Now()) {
		if p.Name == "Running" && p.Dimensions[1].Value == "ArchiveJob" || strings.HasPrefix(p.Name, "ArchiveJobs.") {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	want := []string{"ArchiveJobs.EdgeConfigCount", "ArchiveJobs.HealthyJobCount", "ArchiveJobs.RunningJobCount",
		"ArchiveJobs.UnhealthyJobCount",
		"Running"}
	if !slices.Equal(names, want) {
		t.Errorf("CloudWatch gets %q, want %q", names, want)
	}
	text := scrape(t, PrometheusOptions{Version: "v1", Health: registry, Store: o.Store, Streams: o.Streams, Jobs: o.Jobs})
	if want := `kvs_edge_job_activity{activity="running",job="archiver",stream="runs"} 1`; !strings.Contains(text, want) {
		t.Errorf("%s is not in the Prometheus text", want)
	}
}
