package agent

import (
	"fmt"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/tally"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site"
	"github.com/kvs-edge/kvs-edge-agent/internal/tier"
)

// TestUploadsAreCountedAndTheTierIsShown: what an earlier start has learned of the tier is shown at once, uploads are counted
// and, when the agent stops, saved.
func TestUploadsAreCountedAndTheTierIsShown(t *testing.T) {
	h := newRig(t)
	h.Env[settings.EnvUploadMode] = "live"
	h.Configure("door", h.Secret("door", h.Camera(fakecam.Options{}).URL()), site.Always)
	hours := 24
	state := statefile.At(h.Settings().StateDirectory, atomicfile.OS{})
	must(t, state.Write("storage-tiers.json", map[string]tier.Storage{"door": {Tier: "WARM", RetentionHours: &hours}}))
	s, stop := h.runAgent()
	testtools.Eventually(t, time.Minute, func() error {
		if st, ok := streamIn(s.agent.collector.Snapshot(), "door"); !ok || st.StorageTier != "WARM" {
			return fmt.Errorf("the tier is %q", st.StorageTier)
		}
		return nil
	})
	if list := s.agent.metricStreams(); len(list) != 1 || list[0].StorageTier != "WARM" {
		t.Errorf("metrics have %+v", list)
	}
	must(t, h.Cloud.Media().AwaitFragments(t.Context(), "door", 3))
	api := localapi.NewClient(h.Settings().Socket)
	testtools.Eventually(t, time.Minute, func() error {
		list, err := api.Usage(t.Context(), localapi.Span{Stream: "door"})
		if err != nil || len(list) != 1 || list[0].Fragments < 2 || list[0].Bytes == 0 || list[0].Calls == 0 {
			return fmt.Errorf("counted is %+v, %w", list, err)
		}
		if u := list[0]; u.StorageTier != "WARM" || *u.RetentionHours != hours {
			return fmt.Errorf("the storage is %q, %v", u.StorageTier, u.RetentionHours)
		}
		return nil
	})
	stop()
	counted, err := tally.Read(state)
	must(t, err)
	if day := counted.LastDay("door"); day.Fragments < 2 || day.Calls < 1 || day.MediaMS < 1000 {
		t.Errorf("%+v is saved", day)
	}
}
