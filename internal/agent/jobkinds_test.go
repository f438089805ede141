package agent

import (
	"slices"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// TestTheTableOfJobsIsComplete compares it with what is declared of jobs: a job without a name for the cloud would not be seen there.
func TestTheTableOfJobsIsComplete(t *testing.T) {
	t.Parallel()
	for noCloud, want := range map[bool][]health.StreamJob{false: health.StreamJobs, true: {health.RecorderJob}} {
		a := new(Agent)
		a.current.Store(&settings.Settings{NoCloud: noCloud})
		kinds := a.jobKinds()
		if got := streamJobs(kinds); !slices.Equal(got, want) {
			t.Errorf("cloud off %t: the jobs are %+v, want %+v", noCloud, got, want)
		}
		for _, kind := range kinds {
			if kind.spec == nil || kind.build == nil || kind.collected == nil || kind.Name == "" || kind.Cloud == "" || kind.Metric == "" {
				t.Errorf("something of %+v is missing", kind.StreamJob)
			}
		}
	}
}
