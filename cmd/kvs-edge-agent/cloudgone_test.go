package main

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// cutVariable says for how long each combination is cut, when the usual time is too short.
const cutVariable = "KVS_EDGE_CUT_FOR"

// usualCut is long enough for every part to notice.
const usualCut = 3 * time.Second

// onLinks puts a link in front of each service that the agent takes its orders from, and returns
// them with the environment that leads through them.
func (s *stage) onLinks() (links []*testtools.Link, env []string) {
	api := strings.TrimPrefix(s.cloud.Endpoint(), "https://")
	for _, service := range []struct{ target, variable, scheme string }{
		{s.cloud.MQTTEndpoint(), "AWS_IOT_CORE_DATA_ATS_ENDPOINT", ""},
		{api, "AWS_ENDPOINT_URL_KINESIS_VIDEO", "https://"},
		{api, "AWS_ENDPOINT_URL_SECRETS_MANAGER", "https://"},
		{s.cloud.CredentialEndpoint(), "AWS_IOT_CORE_CREDENTIAL_ENDPOINT", ""},
	} {
		link := testtools.NewLink(s.t, service.target)
		links = append(links, link)
		env = append(env, service.variable+"="+service.scheme+link.Address())
	}
	return links, env
}

func TestRecordingNeverPausesWhateverIsCut(t *testing.T) {
	inWorlds(t, recordingNeverPausesWhateverIsCut)
}

func recordingNeverPausesWhateverIsCut(t *testing.T, w world) {
	cutFor := usualCut
	if text := os.Getenv(cutVariable); text != "" {
		var err error
		if cutFor, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"broker", "control plane", "secrets", "credentials"}
	for mask := range 1 << len(names) {
		cut := "cut"
		for i, name := range names {
			if mask>>i&1 == 1 {
				cut += " " + name
			}
		}
		t.Run(cut, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, w)
			camera := startCamera(t, fakecam.Options{})
			links, env := s.onLinks()
			s.configure("door", camera.URL())
			s.startAgent(env...)
			s.awaitRecorded("door", 30)
			for i, link := range links {
				switch {
				case mask>>i&1 == 0:
				case mask%2 == 0: // half of the combinations are refused, half get no answer
					link.Cut()
				default:
					link.Swallow()
				}
			}
			if err := backoff.Sleep(t.Context(), cutFor); err != nil { // the outage itself
				t.Fatal(err)
			}
			st, err := s.stream("door")
			if err != nil || st.Recorder.State != "recording" {
				t.Errorf("during the outage the recorder is %q, %v", st.Recorder.State, err)
			}
			for _, link := range links {
				link.Restore()
			}
			s.awaitRecorded("door", st.Recorder.FramesRecorded+30)
			unplug(t, camera)
			sent := sentBy(camera.Sessions())
			if n := len(camera.Sessions()); n != 1 {
				t.Errorf("the camera had %d sessions", n)
			}
			s.eventually("all frames on disk", func() error {
				recorded, err := localFrames(s.recordings())
				if err == nil && sent.missingFrom(recorded) > 0 {
					err = errors.New("frames are missing")
				}
				return err
			})
			s.stopAgent()
		})
	}
}

// bootTime is from the camera's answer to the first frame on disk.
const bootTime = 2 * time.Second

func TestABootWithEveryEndpointBlackHoledRecords(t *testing.T) {
	inWorlds(t, aBootWithEveryEndpointBlackHoledRecords)
}

func aBootWithEveryEndpointBlackHoledRecords(t *testing.T, w world) {
	s, camera := newRecordingStage(t, w)
	s.stopAgent()

	hole := testtools.NewLink(t, s.cloud.MQTTEndpoint())
	hole.Swallow()
	busy := testtools.CPUWait(t)
	s.startAgent(
		"AWS_IOT_CORE_DATA_ATS_ENDPOINT="+hole.Address(), "AWS_IOT_CORE_CREDENTIAL_ENDPOINT="+hole.Address(),
		"AWS_ENDPOINT_URL=https://"+hole.Address(),
	)
	began := time.Now()
	var onDisk time.Time
	s.eventually("a frame of the second session on disk", func() error {
		sessions := camera.Sessions()
		if len(sessions) < 2 || sessions[1].Frames == 0 {
			return errors.New("the camera is not asked")
		}
		recorded, err := localFrames(s.recordings())
		if err == nil && recorded[stampedID(sessions[1].First)] == 0 {
			err = errors.New("none of it is on disk")
		}
		onDisk = time.Now()
		return err
	})
	answered := camera.Sessions()[1].Began
	t.Logf("%v after the start of the agent the camera answered, %v later its first frame was on disk",
		answered.Sub(began).Round(time.Millisecond), onDisk.Sub(answered).Round(time.Millisecond))
	if took, most := onDisk.Sub(answered), bootTime+busy(); took > most {
		t.Errorf("the first frame was on disk %v after the camera answered, want at most %v", took, most)
	}
	s.stopAgent()
}
