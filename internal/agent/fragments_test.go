package agent

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/eventjob"
	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
	"github.com/kvs-edge/kvs-edge-agent/internal/jobspec"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/streamtags"
)

// TestWhatDecidesOnTheLengthOfFragments has the setting, the stream's tags, the upload mode, and what the service accepts.
func TestWhatDecidesOnTheLengthOfFragments(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		hub     string
		mode    settings.UploadMode
		file    desired.Tags // of a stream file
		cloud   desired.Tags
		fromTag bool // the stream's tags are those in the cloud
		tooLong bool
		noCloud bool
		want    string
		upload  fragment.Upload
	}{
		"nothing is set":             {want: "auto"},
		"live":                       {mode: settings.UploadLive, want: "auto", upload: fragment.Live},
		"live, without the cloud":    {mode: settings.UploadLive, noCloud: true, want: "auto"},
		"the hub":                    {hub: "5s", mode: settings.UploadLive, want: "5s"},
		"a tag":                      {hub: "5s", fromTag: true, cloud: desired.Tags{Fragment: "7s"}, want: "7s"},
		"auto by a tag":              {hub: "5s", fromTag: true, cloud: desired.Tags{Fragment: "Auto"}, want: "auto"},
		"a wrong tag":                {hub: "5s", fromTag: true, cloud: desired.Tags{Fragment: "7"}, want: "5s"},
		"live by a tag":              {fromTag: true, cloud: desired.Tags{Upload: "live"}, want: "auto", upload: fragment.Live},
		"on request":                 {mode: settings.UploadOnRequest, want: "auto"},
		"on request by a tag":        {mode: settings.UploadLive, fromTag: true, cloud: desired.Tags{Upload: "on-request"}, want: "auto"},
		"scheduled by a tag":         {mode: settings.UploadLive, fromTag: true, cloud: desired.Tags{Upload: "scheduled"}, want: "auto"},
		"a file":                     {hub: "5s", file: desired.Tags{Fragment: "3s"}, want: "3s"},
		"a file, and tags elsewhere": {file: desired.Tags{Fragment: "3s"}, cloud: desired.Tags{Fragment: "7s", Upload: "live"}, want: "3s"},
		"the service":                {hub: "5s", fromTag: true, cloud: desired.Tags{Fragment: "7s"}, tooLong: true},
	} {
		length, err := fragment.Parse(row.hub)
		if err != nil {
			t.Fatal(err)
		}
		mode := row.mode
		if mode == "" {
			mode = settings.UploadScheduled
		}
		a := &Agent{uploadMode: newHubMode(mode), events: eventjob.Open(eventjob.Options{Dir: t.TempDir()})} // without an event
		a.current.Store(&settings.Settings{NoCloud: row.noCloud, Record: settings.Record{FragmentDuration: length}})
		a.streams = &streams{running: map[string]*stream{
			"door": {wanted: desired.Stream{Name: "door", Upload: desired.Upload{FromTags: row.fromTag, Tags: row.file}}},
		}}
		a.tags = streamtags.Open(statefile.At(t.TempDir(), atomicfile.OS{}), nil)
		a.tags.Read("door", row.cloud)
		if row.tooLong {
			a.fragments.tooLong("door", 10*time.Second)
		}
		want := fragment.Shortest
		if row.want != "" {
			wanted, err := fragment.Parse(row.want)
			if err != nil {
				t.Fatal(err)
			}
			want = wanted.Target(row.upload)
		}
		if got := a.fragmentTarget("door"); got != want {
			t.Errorf("%s: fragments become up to %s, want %s", name, got, want)
		}
	}
}

// TestALengthRestartsNoJob wherever it is changed.
func TestALengthRestartsNoJob(t *testing.T) {
	t.Parallel()
	seven, err := fragment.Parse("7s")
	if err != nil {
		t.Fatal(err)
	}
	of := func(tag string, length fragment.Length) (jobspec.Record, jobspec.Upload) {
		s := desired.Stream{Name: "door", Upload: desired.Upload{Tags: desired.Tags{Camera: "yard", Fragment: tag}}}
		hub := settings.Settings{Record: settings.Record{FragmentDuration: length}}
		return jobspec.RecordOf(s, hub), jobspec.UploadOf(s, hub)
	}
	record, upload := of("", fragment.Length{})
	for name, row := range map[string]struct {
		tag string
		hub fragment.Length
	}{"the setting": {"", seven}, "the tag": {"5s", fragment.Length{}}} {
		if r, u := of(row.tag, row.hub); r != record || u != upload {
			t.Errorf("%s restarts a job", name)
		}
	}
}
