package status

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// disk is a store with what a test puts into it.
type disk map[string]segment.Usage

func (d disk) Usage(stream string) segment.Usage         { return d[stream] }
func (d disk) DiskFree() (free, total uint64, err error) { return 40e9, 100e9, nil }

func newCollector(streams ...string) (*Collector, *health.Registry) {
	registry := health.NewRegistry(func() time.Time { return now.Add(-90 * time.Second) })
	store := disk{"door": {
		Segments: 3, Bytes: 200e6, PendingBytes: 45e6, PendingDuration: 90 * time.Second, PendingSince: now.Add(-91 * time.Second),
		Oldest: now.Add(-time.Hour),
	}}
	return &Collector{
		Version: "v1", Thing: "hub", Dir: "/rec", Started: now.Add(-5 * time.Hour), Now: func() time.Time { return now },
		Health: registry, Store: store, Jobs: health.StreamJobs,
		Streams: func() []StreamInfo {
			var list []StreamInfo
			for _, name := range streams {
				list = append(list, StreamInfo{Name: name, LimitBytes: 800e6})
			}
			return list
		},
	}, registry
}

func table(t *testing.T, s Snapshot) string {
	t.Helper()
	var b strings.Builder
	if err := WriteTable(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTheTableTellsAllOfAStream(t *testing.T) {
	t.Parallel()
	c, registry := newCollector("door")
	rec, up := registry.Component("door", health.JobRecorder), registry.Component("door", health.JobUploader)
	rec.SetState("recording")
	rec.Gauge(health.LastFrameTime).Set(now.Add(-40 * time.Millisecond).UnixMilli())
	rec.Gauge(health.BitrateBPS).Set(4_000_000)
	rec.Gauge(health.FPSMilli).Set(24_980)
	rec.Counter(health.FramesLost).Restore(7)
	up.SetState("waiting for the cloud")
	up.Gauge(health.LastPersistedTime).Set(now.Add(-95 * time.Second).UnixMilli())
	up.Report(health.ScopeUpload, health.Degraded, health.SystemFault("upload", nil, "The cloud cannot be reached: check the hub's "+
		"internet connection."))
	c.Events = func(string) (open, notUploaded int) { return 2, 3 }
	c.Forecast = func(stream string) Forecast {
		if stream == "" {
			return Forecast{Days: 12.34}
		}
		return Forecast{Days: 0.5, NextBytes: 9e6, NextNotUploaded: 4e6}
	}
	got := table(t, c.Snapshot())
	for _, want := range []string{
		"hub  degraded  version v1  up 5 h  disk 40.0 GB free of 100.0 GB, holds 12.3 days\n",
		"door", "recording", "4.0 Mbit/s", "25.0", " 7 ", "waiting for the cloud, 2 open events", "90 s, 45.0 MB", "95 s",
		"200.0 MB of 800.0 MB (25 %), holds 12.0 h",
		"· door retention: the next pass deletes 9.0 MB, of which 4.0 MB are not uploaded.",
		"! door uploader: The cloud cannot be reached: check the hub's internet connection. (since 90 s)",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

// TestTheCapOfALine is a line below the agent's.
func TestTheCapOfALine(t *testing.T) {
	t.Parallel()
	reset := time.Date(2026, 12, 15, 0, 0, 0, 0, time.UTC)
	half := UploadCap{CapBytes: 30e9, UsedBytes: 15e9, ResetsAt: reset, ClockTrusted: true}
	for want, change := range map[string]func(*UploadCap){
		"line  15.0 GB of 30.0 GB used (50 %), until 2026-12-15 00:00Z\n":  func(*UploadCap) {},
		"(50 %), until 2026-12-15 00:00Z; the cap suffices at this rate\n": func(c *UploadCap) { c.Suffices = true },
		"00:00Z; at this rate the cap is reached on 2026-12-11 09:20Z\n": func(c *UploadCap) {
			c.ReachedAt = reset.Add(-86*time.Hour - 40*time.Minute)
		},
		"used (101 %), until 2026-12-15 00:00Z; the cap is reached\n":    func(c *UploadCap) { c.UsedBytes = 30.3e9 },
		"until the clock is trusted and has reached 2026-12-15 00:00Z\n": func(c *UploadCap) { c.ClockTrusted = false },
		"used (50 %), until the clock is set and the period has ended\n": func(c *UploadCap) {
			c.ResetsAt, c.ClockTrusted = time.Time{}, false
		},
	} {
		c, _ := newCollector("door")
		line := half
		change(&line)
		c.LineCap = func() *UploadCap { return &line }
		if got := table(t, c.Snapshot()); !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	c, _ := newCollector("door")
	c.LineCap = func() *UploadCap { return nil }
	if got := table(t, c.Snapshot()); strings.Contains(got, "line  ") || c.Snapshot().UploadCap != nil {
		t.Errorf("without a cap:\n%s", got)
	}
}

// TestSiteWise is a line below the agent's.
func TestSiteWise(t *testing.T) {
	t.Parallel()
	c, _ := newCollector("door")
	shown := &SiteWise{Asset: "asset-1"}
	c.SiteWise = func() *SiteWise { return shown }
	want := "sitewise  asset asset-1: not read since the start; what was read before is in force\n"
	if got := table(t, c.Snapshot()); !strings.Contains(got, want) {
		t.Errorf("before it was read:\n%s", got)
	}
	shown = &SiteWise{Asset: "asset-1", Name: "yard\x1b[31m", Cameras: 2, ReadAt: c.Now().Add(-12 * time.Second),
		Requests: []SiteWiseRequest{{Status: "DONE"}, {Status: "RUNNING"}}}
	got := table(t, c.Snapshot())
	if !strings.Contains(got, "2 camera assets, read 12 s ago; 1 request running\n") || strings.Contains(got, "\x1b[31m") {
		t.Errorf("afterwards:\n%s", got)
	}
}

// TestTheStorageTier is a line below the table: of one stream, or of all.
func TestTheStorageTier(t *testing.T) {
	t.Parallel()
	c, _ := newCollector("door", "yard")
	of := c.Streams
	c.Streams = func() []StreamInfo {
		list := of()
		list[0].StorageTier = "WARM"
		return list
	}
	all := c.Snapshot()
	if text := table(t, all); !strings.Contains(text, "· agent uploader: storage tier WARM (door)\n") || all.Streams[1].StorageTier != "" {
		t.Errorf("of all streams it shows\n%s", text)
	}
	for stream, shown := range map[string]bool{"door": true, "yard": false} {
		one, _ := all.Only(stream)
		if text := table(t, one); strings.Contains(text, "· door uploader: storage tier WARM\n") != shown ||
			shown != strings.Contains(text, "tier") {
			t.Errorf("of %s it shows\n%s", stream, text)
		}
	}
	streams := []Stream{{Name: "a", StorageTier: "WARM"}, {Name: "new"}}
	for i := range 5 {
		streams = append(streams, Stream{Name: fmt.Sprint("s", i), StorageTier: "HOT"})
	}
	if got, want := storageTiers(streams), "storage tier HOT (5 streams), WARM (a)"; got != want {
		t.Errorf("of many it is %q, want %q", got, want)
	}
}

// A hub that booted in 1970 has not been up for decades once its clock is set.
func TestAgesAreThoseOfTheHubWhateverItsClockShowed(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{56 * 365 * 24 * time.Hour, -24 * time.Hour} {
		clock := testtools.Stepped(time.Now().Add(-5*time.Hour), -step)
		registry := health.NewRegistry(func() time.Time { return clock })
		c, _ := newCollector("door")
		c.Started, c.Health, c.Now = clock, registry, func() time.Time { return testtools.Stepped(clock.Add(5*time.Hour), step) }
		component := registry.Component("door", health.JobRecorder)
		component.SetState("waiting for the camera")
		component.Report(health.ScopeRecord, health.Failed, health.SystemFault("camera", nil, "The camera cannot be reached."))
		registry.Component("", health.JobCloud).Report("credentials", health.Degraded, health.SystemFault("network", nil, "There is no network."))
		sent, err := json.Marshal(c.Snapshot())
		if err != nil {
			t.Fatal(err)
		}
		var read Snapshot // as the command line does, without monotonic readings
		if err := json.Unmarshal(sent, &read); err != nil {
			t.Fatal(err)
		}
		got := table(t, read)
		for _, want := range []string{"  up 5 h  ", "waiting for the camera  5 h  ", "reached. (since 5 h)", "network. (since 5 h)"} {
			if !strings.Contains(got, want) {
				t.Errorf("after a step by %s %q is missing in\n%s", step, want, got)
			}
		}
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	fail := func(severity health.Severity, keys ...health.Key) func(*health.Registry) {
		return func(r *health.Registry) {
			for _, k := range keys {
				r.Component(k.Stream, k.Job).Report(health.ScopeJob, severity, health.SystemFault("x", nil, "Something failed."))
			}
		}
	}
	door, yard := health.Key{Stream: "door", Job: health.JobRecorder}, health.Key{Stream: "yard", Job: health.JobRecorder}
	for name, c := range map[string]struct {
		arrange func(*health.Registry)
		want    Verdict
	}{
		"nothing wrong":      {func(*health.Registry) {}, Healthy},
		"something to know":  {fail(health.Info, door), Healthy},
		"one of two cameras": {fail(health.Failed, door), Degraded},
		"all cameras":        {fail(health.Failed, door, yard), Down},
		"all uploaders": {fail(health.Failed, health.Key{Stream: "door", Job: health.JobUploader},
			health.Key{Stream: "yard", Job: health.JobUploader}), Degraded},
		"the agent's own":                 {fail(health.Degraded, health.Key{Job: health.JobConfig}), Degraded},
		"a removed stream does not count": {fail(health.Failed, health.Key{Stream: "gone", Job: health.JobRecorder}), Healthy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			collector, registry := newCollector("door", "yard")
			c.arrange(registry)
			if got := collector.Snapshot().Verdict; got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestAHubWithoutStreamsSaysSo(t *testing.T) {
	t.Parallel()
	c, _ := newCollector()
	s := c.Snapshot()
	if got := table(t, s); !strings.Contains(got, "No stream is configured") {
		t.Error(got)
	}
	data, err := json.Marshal(s)
	if err != nil || !strings.Contains(string(data), `"streams":[]`) {
		t.Errorf("%s %v", data, err)
	}
}

func TestTheAgeOfASecretIsShownWhereItsCameraIsInTrouble(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 8, 0, 0, 0, time.UTC)
	failed := []Condition{{Job: health.JobRecorder, Condition: health.Condition{Code: "camera", Severity: health.Failed,
		Text: "It refuses connections.", Since: now}}}
	for name, c := range map[string]struct {
		stream Stream
		want   string
	}{
		"read": {Stream{Name: "door", Conditions: failed, Recorder: Recorder{SecretRead: now.Add(-3 * time.Minute)}},
			"last read 3 min ago"},
		"never read": {Stream{Name: "door", Conditions: failed}, "No URL of the camera was ever read from its secret"},
		"of a secret": {Stream{Name: "door", Conditions: failed, Wanted: Wanted{MediaURI: "arn:aws:secretsmanager:us-west-2:1:secret:door"}},
			"No URL of the camera was ever read from its secret"},
		"no secret":   {Stream{Name: "door", Conditions: failed, Wanted: Wanted{MediaURI: "rtsp://192.0.2.1/stream"}}, ""},
		"not trouble": {Stream{Name: "door", Recorder: Recorder{SecretRead: now.Add(-3 * time.Minute)}}, ""},
	} {
		var text strings.Builder
		if err := WriteTable(&text, Snapshot{Time: now, Streams: []Stream{c.stream}}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(text.String(), " secret"); got != (c.want != "") || !strings.Contains(text.String(), c.want) {
			t.Errorf("%s: status shows\n%s\nwant %q", name, text.String(), c.want)
		}
	}
}

// TestLossesOfAStreamThatIsNotConfiguredAreShown has an orphan with media and a loss, one with a loss only, and one
// with media only.
func TestLossesOfAStreamThatIsNotConfiguredAreShown(t *testing.T) {
	t.Parallel()
	c, registry := newCollector("door")
	c.Recorded = func() []string { return []string{"door", "media", "both"} }
	c.Policy = func(string) string { return "kept for 30 days" }
	for _, name := range []string{"both", "lost"} {
		component := registry.Component(name, health.JobRetention)
		component.Counter(health.DeletedBeforeUpload).Restore(7)
		component.Report("losses", health.Degraded, health.SystemFault("deleted-before-upload", nil, "Recordings of %s were deleted.", name))
	}
	registry.Component("lost", health.JobUploader).Report(health.ScopeUpload, health.Failed, health.SystemFault("upload", nil,
		"Not of a stream that is gone."))
	s := c.Snapshot()
	var names []string
	for _, o := range s.Orphans {
		names = append(names, o.Name)
		if lost := o.Name != "media"; (o.DeletedBeforeUpload == 7) != lost || (len(o.Conditions) == 1) != lost || o.Policy != "kept for 30 days" {
			t.Errorf("%+v", o)
		}
	}
	if want := []string{"both", "lost", "media"}; !slices.Equal(names, want) || s.Verdict != Degraded {
		t.Errorf("%v, %s", names, s.Verdict)
	}
	got := table(t, s)
	for _, want := range []string{"! lost retention: Recordings of lost were deleted.", "· media retention: The stream is not configured " +
		"for this hub",
		"there are no recordings of it left"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if only, found := s.Only("media"); !found || only.Verdict != Healthy || len(only.Streams) != 0 || len(only.Orphans) != 1 {
		t.Errorf("%v, %+v", found, only)
	}
	if only, found := s.Only("door"); !found || len(only.Orphans) != 0 {
		t.Errorf("%v, %+v", found, only)
	}
}

// TestAnyJobIsListed has a hub with one job more, and one with one less.
func TestAnyJobIsListed(t *testing.T) {
	t.Parallel()
	c, registry := newCollector("door")
	registry.Component("door", "archiver").SetState("copying")
	registry.Component("door", "archiver").Report(health.ScopeJob, health.Failed, health.UserFault("x", nil, "The archive is full."))
	c.Jobs = append(slices.Clone(health.StreamJobs), health.StreamJob{Name: "archiver"})
	s := c.Snapshot()
	st := s.Streams[0]
	if last := st.Jobs[len(st.Jobs)-1]; last.Name != "archiver" || last.State != "copying" || last.Status != health.UserError {
		t.Errorf("the jobs are %+v", st.Jobs)
	}
	if st.Jobs[0].Job != st.Recorder.Job || st.Jobs[1].Job != st.Uploader.Job || s.Verdict != Degraded || len(st.Conditions) != 1 {
		t.Errorf("the snapshot is %+v", s)
	}
	for _, want := range []string{"ARCHIVER", "copying", "door archiver: The archive is full."} {
		if text := table(t, s); !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	c.Jobs = c.Jobs[:1]
	if st := c.Snapshot().Streams[0]; len(st.Jobs) != 1 || st.Uploader.State != StateOff || len(st.Conditions) != 0 {
		t.Errorf("with a recorder alone it is %+v", st)
	}
}
