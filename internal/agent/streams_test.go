package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired/edgestream"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/jobspec"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// diary notes what streams does to the rest of the agent.
type diary struct {
	running  chan struct{} // receives from each job that runs
	mu       sync.Mutex
	lines    []string
	policies map[string]retention.Policy
	recorded []string
	unlisted string // recordings that cannot be read
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

// take returns what was noted since the last time, once the jobs that were started run.
func (d *diary) take() []string {
	d.mu.Lock()
	lines := d.lines
	d.lines = nil
	d.mu.Unlock()
	for _, line := range lines {
		if strings.HasPrefix(line, "start") {
			<-d.running
		}
	}
	return lines
}

func (d *diary) SetPolicy(stream string, p retention.Policy) { d.policies[stream] = p }
func (d *diary) Remove(stream string)                        { delete(d.policies, stream) }

func (d *diary) Forget(stream string) { d.note("forget %s", stream) }
func (d *diary) Streams() []string    { return d.recorded }
func (d *diary) Holds(name string) bool {
	return slices.Contains(d.recorded, name) || d.unlisted != "" && name == d.unlisted
}
func (d *diary) Usage(string) segment.Usage { return segment.Usage{Segments: 3, Bytes: 300} }

func (d *diary) DeleteStream(ctx context.Context, stream string) error {
	d.note("delete media of %s", stream)
	if stream == "large" {
		d.running <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	if strings.HasPrefix(stream, "stuck") {
		return errors.New("in use")
	}
	return nil
}

// job returns a worker that notes its start and end, in order.
func (d *diary) job(name string) func(context.Context) error {
	d.note("start %s", name)
	return func(ctx context.Context) error {
		d.running <- struct{}{}
		<-ctx.Done()
		d.note("stop %s", name)
		return nil
	}
}

// build returns what builds jobs of a kind.
func (d *diary) build(kind string) func(stream string, spec any, continues bool) func(context.Context) error {
	return func(stream string, _ any, _ bool) func(context.Context) error { return d.job(kind + " " + stream) }
}

// recordSpec is what the recorder of a stream does.
func recordSpec(a *Agent, stream string) jobspec.Record {
	return a.streams.get(stream).jobs[0].spec.(jobspec.Record)
}

func newDiary() (*diary, *streams) {
	d := &diary{running: make(chan struct{}, 100), policies: make(map[string]retention.Policy)}
	return d, newStreams(workers{
		log: zap.NewNop(), health: health.NewRegistry(time.Now), retention: d, media: d,
		settings: func() settings.Settings { return settings.Settings{} },
		keep:     func(s desired.Stream) retention.Policy { return retention.Policy(s.Keep) },
		related:  func() {}, forgotten: func(string) {}, requests: func(string) []status.Request { return nil },
		jobs: []jobKind{
			{
				StreamJob: health.RecorderJob, build: d.build("recorder"),
				spec: func(w desired.Stream, hub settings.Settings) any { return jobspec.RecordOf(w, hub) },
			},
			{
				StreamJob: health.UploaderJob, build: d.build("uploader"),
				spec: func(w desired.Stream, hub settings.Settings) any { return jobspec.UploadOf(w, hub) },
			},
		},
		describe:   func(desired.Stream) status.Wanted { return status.Wanted{} },
		secretRead: func(string) time.Time { return monday },
		readSecret: func(arn string) { d.note("read %s", arn[strings.LastIndex(arn, ":")+1:]) },
		changed:    func(string) {},
		completed:  func(name, job string) { d.note("completed %s %s", job, name) },
	})
}

var monday = time.Date(2026, 11, 16, 8, 0, 0, 0, time.UTC)

func configOf(stream string, updated time.Time, change ...func(*edgeconfig.EdgeConfig)) edgeconfig.StreamConfig {
	c := edgeconfig.EdgeConfig{
		HubDeviceArn: edgeconfig.HubARN("us-west-2", "123456789012", "hub"),
		RecorderConfig: edgeconfig.RecorderConfig{MediaSourceConfig: edgeconfig.MediaSourceConfig{
			MediaUriSecretArn: "arn:aws:secretsmanager:us-west-2:123456789012:secret:" + stream + "-AbCdEf", MediaUriType: edgeconfig.RTSP,
		}},
	}
	for _, f := range change {
		f(&c)
	}
	return edgeconfig.StreamConfig{StreamName: stream, Config: c, LastUpdated: updated}
}

// wantedOf is what sources make of configurations.
func wantedOf(t *testing.T, configs ...edgeconfig.StreamConfig) desired.Set {
	t.Helper()
	set := make(desired.Set)
	for _, c := range configs {
		stream, err := edgestream.Of(c, desired.KVS)
		must(t, err)
		set[c.StreamName] = stream
	}
	return set
}

func TestApplyDoesOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	d, s := newDiary()
	apply := func(configs ...edgeconfig.StreamConfig) []string {
		t.Helper()
		for _, o := range s.Apply(t.Context(), wantedOf(t, configs...)) {
			if o.Err != nil {
				t.Errorf("%s: %v", o.Stream, o.Err)
			}
		}
		return d.take()
	}
	expect := func(what string, got []string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
			t.Errorf("%s: %s", what, diff)
		}
	}
	recordOnMonday := func(c *edgeconfig.EdgeConfig) {
		c.RecorderConfig.ScheduleConfig = &edgeconfig.ScheduleConfig{ScheduleExpression: "0 0 9 ? * MON *", DurationInSeconds: 3600}
	}
	keepShort := func(c *edgeconfig.EdgeConfig) {
		hours := 5
		c.DeletionConfig = &edgeconfig.DeletionConfig{EdgeRetentionInHours: &hours}
	}
	expect("the first set", apply(configOf("a", monday), configOf("b", monday)),
		"start recorder a", "start uploader a", "start recorder b", "start uploader b")
	expect("the same again", apply(configOf("a", monday), configOf("b", monday)))
	expect("another retention", apply(configOf("a", monday.Add(time.Hour), keepShort), configOf("b", monday)), "read a-AbCdEf")
	if got := d.policies["a"].MaxAge; got != 5*time.Hour {
		t.Errorf("the policy of a keeps %s", got)
	}
	expect("another recording schedule", apply(configOf("a", monday.Add(2*time.Hour), keepShort, recordOnMonday), configOf("b", monday)),
		"read a-AbCdEf", "stop recorder a", "start recorder a")
	ofFile := func(url string) []string {
		t.Helper()
		set := wantedOf(t, configOf("a", monday.Add(2*time.Hour), keepShort, recordOnMonday))
		a := set["a"]
		a.Origin, a.Media, a.Upload.FromTags = desired.File, desired.Media{URL: secret.New(url)}, true
		set["a"] = a
		s.Apply(t.Context(), set)
		return d.take()
	}
	expect("a file with the camera's URL", ofFile("rtsp://10.0.0.7/1"),
		"stop recorder a", "start recorder a", "stop recorder b", "stop uploader b")
	expect("the same again", ofFile("rtsp://10.0.0.7/1"))
	expect("another URL", ofFile("rtsp://10.0.0.7/2"), "stop recorder a", "start recorder a")
	expect("the cloud's again", apply(configOf("a", monday.Add(2*time.Hour), keepShort, recordOnMonday), configOf("b", monday)),
		"stop recorder a", "start recorder a", "start recorder b", "start uploader b")
	expect("a stream that is gone", apply(configOf("a", monday.Add(2*time.Hour), keepShort, recordOnMonday)),
		"stop recorder b", "stop uploader b")
	if _, ok := d.policies["b"]; ok {
		t.Error("b still has a policy of its own")
	}
	s.workers.health.Component("a", health.JobUploader).Report(health.ScopeUpload, health.Failed, health.UserFault("x", nil, "It failed."))
	expect("the same with a newer time restarts what failed", apply(configOf("a", monday.Add(3*time.Hour), keepShort, recordOnMonday)),
		"read a-AbCdEf", "stop uploader a", "start uploader a")
	if err := s.Remove(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	expect("removal", d.take(), "stop recorder a", "stop uploader a", "delete media of a", "forget a")
	if err := s.Remove(t.Context(), "stuck"); err == nil {
		t.Error("media that cannot be deleted was reported as deleted")
	}
}

func TestAJobThatIsReplacedOrInterruptedIsNotCompleted(t *testing.T) {
	t.Parallel()
	d, s := newDiary()
	s.Apply(t.Context(), wantedOf(t, configOf("door", monday), configOf("yard", monday)))
	d.take() // all run
	for _, stream := range []string{"door", "yard"} {
		s.workers.health.Component(stream, health.JobRecorder).SetState("recording")
		s.workers.health.Component(stream, health.JobUploader).SetState(health.OffBySchedule)
	}
	s.Apply(t.Context(), wantedOf(t, configOf("door", monday, func(c *edgeconfig.EdgeConfig) {
		c.RecorderConfig.ScheduleConfig = &edgeconfig.ScheduleConfig{ScheduleExpression: "0 0 8 * * ? *", DurationInSeconds: 3600}
	})))
	lines := d.take()
	s.stopAll()
	completed := slices.DeleteFunc(append(lines, d.take()...), func(line string) bool { return !strings.HasPrefix(line, "completed") })
	if want := []string{"completed recorder yard"}; !slices.Equal(completed, want) {
		t.Errorf("%q, want only the one that ran until its configuration went: %q", completed, want)
	}
}

func TestARefusedConfigurationDisturbsNothing(t *testing.T) {
	t.Parallel()
	d, s := newDiary()
	s.Apply(t.Context(), wantedOf(t, configOf("a", monday), configOf("b", monday)))
	d.take()
	for name, change := range map[string]func(*edgeconfig.EdgeConfig){
		"unknown source": func(c *edgeconfig.EdgeConfig) { c.RecorderConfig.MediaSourceConfig.MediaUriType = "HLS_URI" },
		"bad schedule": func(c *edgeconfig.EdgeConfig) {
			c.RecorderConfig.ScheduleConfig = &edgeconfig.ScheduleConfig{ScheduleExpression: "0 0 25 * * ? *", DurationInSeconds: 60}
		},
	} {
		if _, err := edgestream.Of(configOf("a", monday.Add(time.Hour), change), desired.KVS); err == nil {
			t.Errorf("%s: it is not refused", name)
		}
		// A source keeps the previous version of a stream whose new one it refuses.
		outcomes := s.Apply(t.Context(), wantedOf(t, configOf("a", monday), configOf("b", monday)))
		if outcomes[0].Err != nil || outcomes[1].Err != nil {
			t.Errorf("%s: %+v", name, outcomes)
		}
		if lines := d.take(); len(lines) > 0 {
			t.Errorf("%s: %v", name, lines)
		}
	}
	s.stopAll()
	lines := d.take()
	slices.Sort(lines[:2]) // the recorders stop together, and before the uploaders
	slices.Sort(lines[2:])
	if diff := cmp.Diff([]string{"stop recorder a", "stop recorder b", "stop uploader a", "stop uploader b"}, lines); diff != "" {
		t.Error(diff)
	}
	if got := s.Apply(t.Context(), wantedOf(t, configOf("a", monday))); len(got) > 0 || len(d.take()) > 0 {
		t.Error("jobs start while the agent stops")
	}
}

func TestHubsOfAFleetUploadAtDifferentTimes(t *testing.T) {
	t.Parallel()
	minutes := make(map[int]int)
	for i := range 600 {
		offset := hourlyOffset(fmt.Sprintf("hub-%d", i))
		if offset < 0 || offset >= time.Hour {
			t.Fatalf("offset %s", offset)
		}
		minutes[int(offset.Minutes())]++
	}
	for minute, n := range minutes {
		if n > 30 { // 10 on average
			t.Errorf("%d of 600 hubs upload in minute %d", n, minute)
		}
	}
}

// Only what is not configured is deleted on request, by its name.
func TestOnlyAnOrphanIsDeletedOnRequest(t *testing.T) {
	t.Parallel()
	d, s := newDiary()
	s.Apply(t.Context(), wantedOf(t, configOf("a", monday)))
	d.take()
	d.recorded = []string{"a", "old"}
	refused := func(s desired.Stream) string { return "Stream " + s.Name + " is configured for this hub." }
	for name, want := range map[string]string{
		"a":       "Stream a is configured for this hub",
		"nowhere": "no recordings of a stream nowhere that is not configured; there are those of: old",
		"":        "no recordings of a stream",
	} {
		if _, err := s.removeOrphan(t.Context(), name, refused); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if got := d.take(); len(got) > 0 {
		t.Errorf("refused, but: %v", got)
	}
	done, err := s.removeOrphan(t.Context(), "old", refused)
	if want := (localapi.DeletedStream{Stream: "old", Segments: 3, Bytes: 300}); err != nil || done != want {
		t.Errorf("%+v, %v", done, err)
	}
	if diff := cmp.Diff([]string{"delete media of old", "forget old"}, d.take()); diff != "" {
		t.Error(diff)
	}
	d.unlisted = "stuck unread"
	if _, err := s.removeOrphan(t.Context(), "stuck unread", refused); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("the store is not asked why: %v", err)
	}
	d.recorded = append(d.recorded, "stuck")
	if _, err := s.removeOrphan(t.Context(), "stuck", refused); err == nil {
		t.Error("a failed deletion is reported as done")
	}
	if got := d.take(); slices.Contains(got, "forget stuck") {
		t.Error("what was not deleted is forgotten")
	}
}

// The agent stops at once, also while a large stream is being deleted on request or for the cloud.
func TestADeletionDoesNotHoldUpTheStop(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(s *streams, ctx context.Context) error{
		"on request":    func(s *streams, ctx context.Context) error { _, err := s.removeOrphan(ctx, "large", nil); return err },
		"for the cloud": func(s *streams, ctx context.Context) error { return s.Remove(ctx, "large") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, s := newDiary()
			d.recorded = []string{"large"}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			removed := make(chan error, 1)
			go func() { removed <- remove(s, ctx) }()
			<-d.running
			s.stopAll()
			if ctx.Err() != nil {
				t.Error("the deletion was waited for")
			}
			if name == "for the cloud" {
				select {
				case err := <-removed:
					t.Errorf("the cloud receives: %v", err)
				case <-time.After(50 * time.Millisecond):
				}
			}
			cancel() // as the other parts stop
			if err := <-removed; !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			if err := remove(s, ctx); err == nil || !strings.Contains(err.Error(), "The agent is stopping") {
				t.Errorf("another deletion: %v", err)
			}
			if got := d.take(); slices.Contains(got, "forget large") {
				t.Error("what was not deleted is forgotten")
			}
		})
	}
}

func TestAReserveMustFitTheDisk(t *testing.T) {
	t.Parallel()
	const total = 400 << 20
	for text, fits := range map[string]bool{"2GB": false, "400MiB": false, "399MiB": true, "90%": true, "": true} {
		var r retention.Reserve
		if text != "" {
			var err error
			if r, err = retention.ParseReserve(text); err != nil {
				t.Fatal(err)
			}
		}
		want := r.Of(total)
		if !fits {
			want = retention.DefaultMinFree(total)
		}
		if got := settings.FittedReserve(r, total); got != want || (settings.UnfitReserve(r, "/recordings", total) == nil) != fits {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
