package metrics

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// A reload may begin to send metrics when the agent has run for months.
func TestWindowsThatEndedBeforeMetricsWereSwitchedOnAreNotReported(t *testing.T) {
	t.Parallel()
	registry := health.NewRegistry(time.Now)
	windows := registry.Component("door", health.JobUploader).Counter(health.WindowsCompleted)
	windows.Restore(2000)
	r := New(Options{Health: registry, Jobs: health.StreamJobs})
	if points := r.sampler.events(time.Now()); len(points) > 0 {
		t.Errorf("%d windows of before are reported", len(points))
	}
	windows.Add(1)
	points := r.sampler.events(time.Now())
	if len(points) != 1 || points[0].Name != "Completed" {
		t.Errorf("one window ended, and this is reported: %+v", points)
	}
}
