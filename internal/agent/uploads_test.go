package agent

import (
	"fmt"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/streamtags"
	"github.com/kvs-edge/kvs-edge-agent/internal/tally"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site"
	"github.com/kvs-edge/kvs-edge-agent/internal/tier"
	"github.com/kvs-edge/kvs-edge-agent/internal/usage"
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

// TestHowAStreamIsUploaded decides on what it costs.
func TestHowAStreamIsUploaded(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		mode    settings.UploadMode
		audio   settings.AudioMode
		upload  desired.Upload
		cloud   desired.Tags
		noCloud bool
		tooLong bool
		want    usage.Plan
	}{
		"hourly": {mode: settings.UploadScheduled, upload: desired.Upload{Schedule: desired.Hourly()}},
		"on request": {mode: settings.UploadScheduled, upload: desired.Upload{Schedule: desired.Never()},
			want: usage.Plan{OnRequest: true}},
		"live, all the same": {mode: settings.UploadLive, upload: desired.Upload{Schedule: desired.Never()}, want: usage.Plan{Live: true}},
		"on request by the mode": {mode: settings.UploadOnRequest, upload: desired.Upload{Schedule: desired.Hourly()},
			want: usage.Plan{OnRequest: true}},
		"on request by a tag": {mode: settings.UploadLive, upload: desired.Upload{FromTags: true},
			cloud: desired.Tags{Upload: "On-Request "}, want: usage.Plan{OnRequest: true}},
		"live by a tag": {mode: settings.UploadOnRequest, upload: desired.Upload{FromTags: true}, cloud: desired.Tags{Upload: "live"},
			want: usage.Plan{Live: true}},
		"without the cloud": {mode: settings.UploadLive, noCloud: true, want: usage.Plan{OnRequest: true}},
		"all audio":         {mode: settings.UploadScheduled, audio: settings.AudioOn, want: usage.Plan{AllAudio: true}},
		"short ones only":   {mode: settings.UploadScheduled, tooLong: true, want: usage.Plan{ShortOnly: true}},
		"a tag in the cloud": {mode: settings.UploadScheduled, upload: desired.Upload{FromTags: true}, cloud: desired.Tags{Fragment: "5s"},
			want: usage.Plan{FragmentTag: "5s"}},
		"a tag without a use": {mode: settings.UploadScheduled, upload: desired.Upload{FromTags: true}, cloud: desired.Tags{Fragment: "99s"}},
		"tags of a file": {mode: settings.UploadScheduled, upload: desired.Upload{Tags: desired.Tags{Fragment: "3s", Upload: "live"}},
			cloud: desired.Tags{Fragment: "5s"}, want: usage.Plan{Live: true, FragmentTag: "3s"}},
	} {
		a := &Agent{uploadMode: newHubMode(row.mode)}
		hub := settings.Settings{NoCloud: row.noCloud}
		hub.Audio = row.audio
		a.current.Store(&hub)
		a.streams = &streams{running: map[string]*stream{"door": {wanted: desired.Stream{Name: "door", Upload: row.upload}}}}
		a.tags = streamtags.Open(statefile.At(t.TempDir(), atomicfile.OS{}), nil)
		a.tags.Read("door", row.cloud)
		if row.tooLong {
			a.fragments.tooLong("door", 10*time.Second)
		}
		if got := a.uploadPlan("door"); got != row.want {
			t.Errorf("%s: it is %+v, want %+v", name, got, row.want)
		}
		if got, want := a.uploadPlan("gone"), (usage.Plan{OnRequest: true}); got != want {
			t.Errorf("a stream that is not configured: %+v", got)
		}
	}
}
