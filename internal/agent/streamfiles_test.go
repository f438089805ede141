package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site"
)

const cameraPassword = "hunter2"

// withStreamFiles makes the hub's directory of stream files, and returns a function that writes one.
func (h *rig) withStreamFiles() (write func(stream, url, more string)) {
	h.t.Helper()
	dir := filepath.Join(h.Dir, "streams.d")
	must(h.t, os.Mkdir(dir, 0o750))
	must(h.t, os.WriteFile(filepath.Join(dir, "README"), nil, 0o640))
	h.Env[settings.EnvStreamsDirectory] = dir
	return func(stream, url, more string) {
		h.t.Helper()
		text := fmt.Sprintf(`{"StreamName":%q,"EdgeConfig":{"RecorderConfig":{"MediaSourceConfig":{"MediaURI":%q}},
			"DeletionConfig":{"EdgeRetentionInHours":1,"DeleteAfterUpload":false}%s}}`, stream, url, more)
		must(h.t, os.WriteFile(filepath.Join(dir, stream+".json"), []byte(text), 0o640))
		must(h.t, os.Chmod(filepath.Join(dir, stream+".json"), 0o640))
	}
}

// runAgent runs the hub's agent until the test ends or stop is called.
func (h *rig) runAgent() (s *serviceOf, stop func()) {
	h.t.Helper()
	a := h.agent()
	ctx, cancel := context.WithCancel(h.t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- a.Run(ctx) }()
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); must(h.t, <-stopped) }) }
	h.t.Cleanup(stop)
	return &serviceOf{rig: h, agent: a}, stop
}

func streamIn(s status.Snapshot, name string) (status.Stream, bool) {
	i := slices.IndexFunc(s.Streams, func(st status.Stream) bool { return st.Name == name })
	if i < 0 {
		return status.Stream{}, false
	}
	return s.Streams[i], true
}

const always = `,"UploaderConfig":{"ScheduleConfig":{"ScheduleExpression":"0 * * * * ? *","DurationInSeconds":60}}`

// TestAHubWithoutTheEdgeAPIFollowsItsFiles has a role without the rights that AWS grants on request only, and no MQTT.
func TestAHubWithoutTheEdgeAPIFollowsItsFiles(t *testing.T) {
	h := newRig(t)
	for _, operation := range []string{"ListEdgeAgentConfigurations", "DescribeEdgeConfiguration", "ListTagsForStream"} {
		h.Cloud.Faults().RefuseOperation(operation, 403, "AccessDeniedException")
	}
	h.Env[settings.EnvDataEndpoint] = testtools.HeldAddress(t, ownHost)
	write := h.withStreamFiles()
	_, err := h.Cloud.CreateStream("door", 24)
	must(t, err)
	write("door", h.Camera(fakecam.Options{User: "admin", Pass: cameraPassword}).URL(), always)
	s, _ := h.runAgent()
	s.await("it is uploaded", func() bool { return len(h.Cloud.Media().Fragments("door")) > 2 })
	conditions := s.agent.health.Component("", health.JobConfig)
	s.await("MQTT and listing were tried", func() bool {
		codes := make(map[string]bool)
		for _, c := range conditions.Snapshot().Conditions {
			codes[c.Code] = true
		}
		return codes["mqtt"] && codes["control-plane"]
	})
	snapshot := s.agent.collector.Snapshot()
	door, _ := streamIn(snapshot, "door")
	if snapshot.Verdict != status.Healthy || len(door.Conditions) > 0 {
		t.Errorf("the hub is %s: %+v, %+v", snapshot.Verdict, snapshot.Agent, door.Conditions)
	}
	if w := door.Wanted; w.Origin != "file" || w.Sync != "IN_SYNC" || w.Record != "always" || !strings.HasPrefix(w.MediaURI,
		"rtsp://[redacted]@") {
		t.Errorf("in force is %+v", w)
	}
	if text := fmt.Sprintf("%+v", snapshot); strings.Contains(text, cameraPassword) {
		t.Error("the camera's password is shown")
	}
	if door.Recorder.FramesLost != 0 {
		t.Errorf("%d frames lost", door.Recorder.FramesLost)
	}
	s.await("a hub that may not list knows all", func() bool { return s.agent.config.sources.Unknown("other") == "" })
}

// TestAPlainRecorderMakesNoCall has the cloud switched off, with an identity that would work. What is older than an hour goes
// without an upload, and nobody calls that a loss.
func TestAPlainRecorderMakesNoCall(t *testing.T) {
	calls := new(testtools.Text)
	h := newRig(t, func(o *localcloud.Options) { o.Calls = calls })
	h.Env[settings.EnvCloud], h.Env[settings.EnvCloudWatchEnabled] = "off", "TRUE"
	write := h.withStreamFiles()
	store, err := segment.Open(segment.Options{Dir: h.Env[settings.EnvRecordingDirectory]})
	must(t, err)
	w, err := store.Create("door", mkv.Header{Start: time.Now().Add(-2 * time.Hour).Truncate(time.Second),
		Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}}})
	must(t, err)
	must(t, errors.Join(w.BeginFragment(0, true), w.WriteFrame(1, 0, true, [][]byte{{1}}), w.Seal(), store.Close()))
	write("door", h.Camera(fakecam.Options{User: "admin", Pass: cameraPassword}).URL(), always)
	s, stop := h.runAgent()
	s.await("it is recorded, and what is old is deleted", func() bool {
		segments := s.agent.store.Segments("door", time.Time{}, time.Time{})
		return s.agent.health.Component("door", health.JobRecorder).Value(health.FramesRecorded) > 25 &&
			len(segments) == 1 && time.Since(segments[0].StartTime()) < time.Hour
	})
	snapshot := s.agent.collector.Snapshot()
	door, _ := streamIn(snapshot, "door")
	if snapshot.Verdict != status.Healthy || len(door.Conditions) > 0 || door.Space.DeletedBeforeUpload != 0 {
		t.Errorf("the hub is %s: %+v, %+v, %d deleted before upload", snapshot.Verdict, snapshot.Agent, door.Conditions,
			door.Space.DeletedBeforeUpload)
	}
	if door.Wanted.Origin != "file" || door.Uploader.State != status.StateOff || door.Uploader.BacklogBytes != 0 {
		t.Errorf("in force is %+v, the uploader is %+v", door.Wanted, door.Uploader)
	}
	if !slices.ContainsFunc(snapshot.Agent, func(c status.Condition) bool {
		return c.Severity == health.Info && strings.Contains(c.Text, "EdgeConfig.UploaderConfig, EdgeConfig.DeletionConfig.DeleteAfterUpload "+
			"has no effect")
	}) {
		t.Errorf("nobody says that uploads have no effect: %+v", snapshot.Agent)
	}
	stop()
	if text := calls.String(); text != "" {
		t.Errorf("the cloud is called:\n%s", text)
	}
}

// TestACamerasFaultNamesTheFileWithItsURL has a camera that refuses the password of a stream file.
func TestACamerasFaultNamesTheFileWithItsURL(t *testing.T) {
	h := newRig(t)
	h.Env[settings.EnvCloud] = "off"
	write := h.withStreamFiles()
	url := h.Camera(fakecam.Options{User: "admin", Pass: cameraPassword}).URL()
	write("door", strings.Replace(url, cameraPassword, "wrong", 1), "")
	s, _ := h.runAgent()
	want := "refuses the user name or password: correct the MediaURI in the stream file " +
		filepath.Join(h.Env[settings.EnvStreamsDirectory], "door.json") + "."
	s.await("it says where the password is written", func() bool {
		door, _ := streamIn(s.agent.collector.Snapshot(), "door")
		return slices.ContainsFunc(door.Conditions, func(c status.Condition) bool { return strings.HasSuffix(c.Text, want) })
	})
}

// TestTheOriginOfAStreamChanges from the cloud to a file and back, while it is recorded and uploaded: what is on the disk and
// how far the upload is stay, and another stream never notices.
func TestTheOriginOfAStreamChanges(t *testing.T) {
	h := newRig(t)
	write := h.withStreamFiles()
	url := h.Camera(fakecam.Options{}).URL()
	h.Configure("door", h.Secret("door", url), site.Always, func(c *types.EdgeConfig) {
		c.DeletionConfig = &types.DeletionConfig{DeleteAfterUpload: aws.Bool(false)}
	})
	h.Configure("yard", h.Secret("yard", h.Camera(fakecam.Options{}).URL()), site.Always)
	s, _ := h.runAgent()
	origin := func() string {
		door, _ := streamIn(s.agent.collector.Snapshot(), "door")
		return door.Wanted.Origin
	}
	overruled := func() bool {
		for _, c := range s.agent.health.Component("door", health.JobConfig).Snapshot().Conditions {
			if c.Code == "stream-overruled" && c.Severity == health.Info && strings.Contains(c.Text, "A stream file decides about stream door") {
				return true
			}
		}
		return false
	}
	uploaded := func(what string) {
		t.Helper()
		n := len(h.Cloud.Media().Fragments("door"))
		s.await(what, func() bool { return len(h.Cloud.Media().Fragments("door")) > n+1 })
	}
	uploaded("the cloud's is uploaded")
	s.await("the other one runs", func() bool { return s.agent.streams.get("yard") != nil })
	yard := s.agent.streams.get("yard").jobs
	first := s.agent.store.Segments("door", time.Time{}, time.Time{})[0].StartTime()
	write("door", url, always)
	s.await("the file decides", func() bool { return origin() == "file" && overruled() })
	uploaded("the file's is uploaded")
	awaitSync := func(want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := h.Cloud.AwaitSyncStatus(ctx, "door", want); err != nil {
			t.Error(err)
		}
	}
	awaitSync("SYNC_FAILED")
	must(t, os.Remove(filepath.Join(h.Env[settings.EnvStreamsDirectory], "door.json")))
	s.await("the cloud decides again", func() bool { return origin() != "file" && !overruled() })
	awaitSync("IN_SYNC")
	uploaded("the cloud's is uploaded again")
	if got := s.agent.store.Segments("door", time.Time{}, time.Time{}); len(got) == 0 || !got[0].StartTime().Equal(first) {
		t.Error("what was recorded before is gone")
	}
	if !slices.Equal(s.agent.streams.get("yard").jobs, yard) {
		t.Error("the other stream was restarted")
	}
	if refused := s.agent.health.Component("door", health.JobUploader).Value(health.FragmentsRefused); refused != 0 {
		t.Errorf("%d fragments were sent out of order", refused)
	}
}
