package desired_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

func stream(name string, origin desired.Origin, version int64) desired.Stream {
	return desired.Stream{Name: name, Origin: origin, Version: desired.Version(version)}
}

func TestTheOriginDecidesAboutAStream(t *testing.T) {
	t.Parallel()
	file, other := desired.SetOf(stream("door", desired.File, 1)), desired.SetOf(stream("door", desired.File, 2))
	siteWise := desired.SetOf(stream("door", desired.SiteWise, 1), stream("gate", desired.SiteWise, 1))
	cloud := desired.SetOf(stream("door", desired.KVS, 9), stream("gate", desired.MQTT, 9), stream("yard", desired.MQTT, 9))
	const ofFile, ofSiteWise = "door file 1, gate sitewise 1, yard mqtt 9", "door sitewise 1, gate sitewise 1, yard mqtt 9"
	for name, row := range map[string]struct {
		sources   []desired.Set
		current   string
		overruled string
	}{
		"none":                   {},
		"one":                    {[]desired.Set{cloud}, "door kvs 9, gate mqtt 9, yard mqtt 9", ""},
		"file before all":        {[]desired.Set{cloud, siteWise, file}, ofFile, "door kvs<file, door sitewise<file, gate mqtt<sitewise"},
		"in any order":           {[]desired.Set{file, cloud, siteWise}, ofFile, "door kvs<file, door sitewise<file, gate mqtt<sitewise"},
		"the version is nothing": {[]desired.Set{cloud, siteWise}, ofSiteWise, "door kvs<sitewise, gate mqtt<sitewise"},
		"the first of equals":    {[]desired.Set{file, other}, "door file 1", "door file<file"},
	} {
		set, overruled := desired.Resolve(row.sources...)
		var current, losers []string
		for _, n := range set.Names() {
			current = append(current, fmt.Sprintf("%s %s %d", n, set[n].Origin, set[n].Version))
		}
		for _, o := range overruled {
			losers = append(losers, fmt.Sprintf("%s %s<%s", o.Stream, o.Origin, o.By))
		}
		if got := strings.Join(current, ", "); got != row.current {
			t.Errorf("%s: in force are %s, want %s", name, got, row.current)
		}
		if got := strings.Join(losers, ", "); got != row.overruled {
			t.Errorf("%s: overruled are %s, want %s", name, got, row.overruled)
		}
	}
}

func TestStepsFromWhatRunsToWhatIsWanted(t *testing.T) {
	t.Parallel()
	kept := stream("door", desired.KVS, 1)
	changed := kept
	changed.Keep.MaxAge = time.Hour
	for name, row := range map[string]struct {
		running, wanted desired.Set
		want            []desired.Step
	}{
		"nothing":   {want: []desired.Step{}},
		"a new one": {wanted: desired.SetOf(kept), want: []desired.Step{{Action: desired.Start, Stream: kept}}},
		"the same":  {running: desired.SetOf(kept), wanted: desired.SetOf(kept), want: []desired.Step{{Action: desired.Continue, Stream: kept}}},
		"another value": {running: desired.SetOf(kept), wanted: desired.SetOf(changed),
			want: []desired.Step{{Action: desired.Change, Stream: changed}}},
		"a newer version": {running: desired.SetOf(kept), wanted: desired.SetOf(stream("door", desired.KVS, 2)),
			want: []desired.Step{{Action: desired.Change, Stream: stream("door", desired.KVS, 2), Again: true}}},
		"a newer one by the other way of the same source": {running: desired.SetOf(kept), wanted: desired.SetOf(stream("door", desired.MQTT, 2)),
			want: []desired.Step{{Action: desired.Change, Stream: stream("door", desired.MQTT, 2), Again: true}}},
		"another source": {running: desired.SetOf(kept), wanted: desired.SetOf(stream("door", desired.File, 2)),
			want: []desired.Step{{Action: desired.Change, Stream: stream("door", desired.File, 2)}}},
		"stops come last": {running: desired.SetOf(stream("a", desired.KVS, 1), kept), wanted: desired.SetOf(kept, stream("z", desired.KVS, 1)),
			want: []desired.Step{{Action: desired.Continue, Stream: kept}, {Action: desired.Start, Stream: stream("z", desired.KVS, 1)},
				{Action: desired.Stop, Stream: stream("a", desired.KVS, 1)}}},
	} {
		got := desired.Reconcile(row.running, row.wanted)
		if diff := cmp.Diff(row.want, got, cmp.Comparer(func(a, b desired.Stream) bool { return a == b })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSchedules(t *testing.T) {
	t.Parallel()
	windows, err := desired.InWindows("0 0 9 ? * MON *", 90*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	monday := time.Date(2026, 11, 16, 9, 30, 0, 0, time.UTC)
	for _, row := range []struct {
		schedule desired.Schedule
		open     bool // on Monday at 9:30
		words    string
	}{
		{desired.Schedule{}, true, "always"},
		{desired.Always(), true, "always"},
		{desired.Never(), false, "on request only"},
		{desired.Hourly(), true, "every hour"},
		{windows, true, "for 1 h 30 min"},
	} {
		if open, _ := row.schedule.Plan(0).At(monday, time.UTC); open != row.open || !strings.Contains(row.schedule.String(), row.words) {
			t.Errorf("%s: open on %s is %t; want %q, %t", row.schedule, monday, open, row.words, row.open)
		}
	}
	if open, _ := windows.Plan(0).At(monday.Add(time.Hour+time.Minute), time.UTC); open {
		t.Error("the window does not end")
	}
	for _, wrong := range []string{"", "0 0 25 * * ? *", "every day"} {
		if _, err := desired.InWindows(wrong, time.Hour); err == nil {
			t.Errorf("%q is accepted as a schedule", wrong)
		}
	}
}

// Equal streams are one job, and no text of a stream shows a secret.
func TestAStreamIsAValueWithoutSecrets(t *testing.T) {
	t.Parallel()
	of := func(url string) desired.Stream {
		return desired.Stream{Name: "door", Media: desired.Media{URL: secret.New(url)}, Version: desired.VersionOf(time.Unix(1, 5))}
	}
	one, same, other := of("rtsp://a:hunter2@b/"), of("rtsp://a:hunter2@b/"), of("rtsp://a:other@b/")
	if one != same || one == other {
		t.Error("values do not compare by what they want")
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, of("rtsp://a:hunter2@b/")); strings.Contains(text, "hunter2") {
			t.Errorf("%s shows %s", format, text)
		}
	}
	if v := desired.VersionOf(time.Time{}); v != 0 || !v.Time().IsZero() {
		t.Errorf("no time is version %d", v)
	}
	if got := of("").Version.Time(); !got.Equal(time.Unix(1, 5)) {
		t.Errorf("the version is of %s", got)
	}
}

func TestTagsThatAreOptions(t *testing.T) {
	t.Parallel()
	tags := make(map[string]string)
	for _, name := range desired.TagNames() {
		tags[name] = "value of " + name
	}
	tags["other"] = "x"
	want := desired.Tags{Upload: "value of kvs-edge:upload", Camera: "value of kvs-edge:camera",
		Images: "value of kvs-edge:image-generation", Notifications: "value of kvs-edge:notification",
		Fragment: "value of kvs-edge:fragment", MainOf: "value of kvs-edge:main-of"}
	if got := desired.TagsOf(tags); got != want {
		t.Errorf("%+v", got)
	}
}
