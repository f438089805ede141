package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
)

// eventSite is a hub that records the stream door, and uploads only what is asked for.
type eventSite struct {
	*site
	api *localapi.Client
}

func newEventSite(t *testing.T, w world, camera *fakecam.Camera, edits ...func(*types.EdgeConfig)) *eventSite {
	t.Helper()
	s := &eventSite{site: newSite(t, w)}
	s.api = localapi.NewClient(filepath.Join(s.dir, "agent.sock"))
	s.configure("door", camera.URL(), append(edits, func(c *types.EdgeConfig) {
		c.UploaderConfig.ScheduleConfig.ScheduleExpression = aws.String(fmt.Sprintf("0 0 %d * * ? *", inTwelveHours()))
	})...)
	return s
}

// start starts the agent with fragments that are long, as they are where nobody waits for them.
func (s *eventSite) start(more ...string) {
	s.t.Helper()
	s.startAgent(append([]string{"AWS_KVS_EDGE_FRAGMENT_DURATION=auto", "AWS_KVS_EDGE_SEGMENT_DURATION=30s"}, more...)...)
}

// trigger triggers an event.
func (s *eventSite) trigger(id string, pre, post float64) localapi.Event {
	s.t.Helper()
	var done localapi.TriggeredEvent
	s.eventually("the event "+id, func() (err error) {
		done, err = s.api.TriggerEvent(s.t.Context(), localapi.EventRequest{ID: id, Stream: "door", Pre: &pre, Post: &post, Reason: "test"})
		return err
	})
	return done.Event
}

// event asks for an event.
func (s *eventSite) event(id string) (localapi.Event, error) {
	list, err := s.api.Events(s.t.Context(), "door", time.Time{}, time.Time{}, 1000)
	for _, e := range list {
		if e.ID == id {
			return e, err
		}
	}
	return localapi.Event{}, fmt.Errorf("event %s is not listed: %w", id, err)
}

// awaitFinal waits until an event is final.
func (s *eventSite) awaitFinal(id string) (e localapi.Event) {
	s.t.Helper()
	s.eventually("the end of event "+id, func() (err error) {
		if e, err = s.event(id); err == nil && !e.Streams[0].Final {
			err = fmt.Errorf("%+v", e)
		}
		return err
	})
	return e
}

// frames are those that are on the hub of a stream from (inclusive) to (exclusive), read by the local cloud's strict parser.
func (s *eventSite) frames(from, to time.Time) tally {
	s.t.Helper()
	list := tally{}
	files, err := filepath.Glob(filepath.Join(s.recordings(), "door", "*.mkv"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, path := range files {
		for block, err := range strictmkv.ReadFile(path) {
			if err != nil {
				break // it is being written
			}
			at := block.Header.Date.Add(block.Time)
			if block.Track.Type == strictmkv.TypeVideo && !at.Before(from) && at.Before(to) {
				list[identify(at, block.Data)]++
			}
		}
	}
	return list
}

// expectComplete checks that all frames of an event are in the cloud, and how often.
func (s *eventSite) expectComplete(e localapi.Event, repeated int) {
	s.t.Helper()
	want := s.frames(e.From, e.To)
	have, _, err := cloudFrames(s.cloud.Media(), "door")
	if err != nil {
		s.t.Fatal(err)
	}
	if missing := want.missingFrom(have); missing > 0 || want.distinct() == 0 {
		s.t.Errorf("event %s: %d of %d frames are not in the cloud", e.ID, missing, want.distinct())
	}
	if n := have.repeated(); n > repeated {
		s.t.Errorf("event %s: %d frames are in the cloud more than once", e.ID, n)
	}
}

func TestAnEventIsInTheCloudAtOnceAndNothingElse(t *testing.T) {
	inWorlds(t, anEventIsInTheCloudAtOnceAndNothingElse)
}

func anEventIsInTheCloudAtOnceAndNothingElse(t *testing.T, w world) {
	camera := startCamera(t, fakecam.Options{})
	s := newEventSite(t, w, camera)
	s.start()
	s.awaitRecorded("door", 300) // 12 s
	e := s.trigger("bell", 5, 4)
	// The pre-roll is there while the event is still open.
	s.eventually("the first fragment", func() error {
		if len(s.cloud.Media().Fragments("door")) == 0 {
			return errNothingYet
		}
		return nil
	})
	e = s.awaitFinal("bell")
	s.expectComplete(e, 0)
	fragments := s.cloud.Media().Fragments("door")
	if n := e.Streams[0].Uploaded; n != len(fragments) || n != e.Streams[0].Recorded {
		t.Errorf("%d fragments are in the cloud: %+v", len(fragments), e)
	}
	for i, f := range fragments {
		if f.Producer.After(e.To) || f.Producer.Add(f.Duration).Before(e.From) {
			t.Errorf("a fragment from %s is in the cloud, the event is from %s to %s", f.Producer, e.From, e.To)
		}
		if tag := valueOf(f.Tags, uploader.TagEvent); tag != "bell" {
			t.Errorf("a fragment has the tag %q", tag)
		}
		// From the trigger on fragments are cut as live: at the first keyframe after a second.
		if i > 1 && f.Producer.After(e.Time) && f.Duration > 2*time.Second {
			t.Errorf("a fragment within the event lasts %s", f.Duration)
		}
	}
	again := s.trigger("bell", 5, 60)
	if again.Open || !again.To.Equal(e.To) || again.Triggers != 1 {
		t.Errorf("the same id later: %+v", again)
	}
}

// valueOf is the value of a tag.
func valueOf(tags []strictmkv.Tag, name string) string {
	var all []string
	for _, tag := range tags {
		if tag.Name == name {
			all = append(all, tag.Value)
		}
	}
	return strings.Join(all, "+")
}

func TestTheCloudTriggersEventsAndTheAgentIsRestartedMeanwhile(t *testing.T) {
	inWorlds(t, theCloudTriggersEventsAndTheAgentIsRestartedMeanwhile)
}

// eventAnswer is a message of event/status, as docs/mqtt.md describes it.
type eventAnswer struct {
	EventId, Status, Details      string
	StreamNames                   []string
	Open                          bool
	FragmentsDone, FragmentsTotal int
}

func theCloudTriggersEventsAndTheAgentIsRestartedMeanwhile(t *testing.T, w world) {
	s := newEventSite(t, w, startCamera(t, fakecam.Options{}))
	asker, broker := newAsker(s.site)
	heard := make(chan eventAnswer, 1000)
	hear(asker, "event/status", func(m eventAnswer) { heard <- m })
	await := func(id, status string) (got eventAnswer) {
		t.Helper()
		for timeout := time.After(patience); got.EventId != id || got.Status != status; {
			select {
			case got = <-heard:
			case <-timeout:
				t.Fatalf("%s of event %s is not said", status, id)
			}
		}
		return got
	}
	s.start("AWS_IOT_CORE_DATA_ATS_ENDPOINT=" + broker)
	asker.await(asker.online, "online")
	s.awaitRecorded("door", 150)
	asker.tell("event", `{"EventId":"x","StreamName":"yard"}`)
	if got := await("x", "FAILED"); !strings.Contains(got.Details, "This hub has no stream yard that an event could be of") {
		t.Errorf("an event of a stream of another hub is answered with %+v", got)
	}
	asker.tell("event", `{"EventId":"bell","StreamName":"door","PreRollInSeconds":4,"PostRollInSeconds":6,"Reason":"bell"}`)
	await("bell", "RUNNING")
	s.stopAgent()
	s.start("AWS_IOT_CORE_DATA_ATS_ENDPOINT=" + broker)
	got := await("bell", "DONE")
	e := s.awaitFinal("bell")
	if e.Source != "mqtt" || e.Reason != "bell" || got.FragmentsDone != e.Streams[0].Uploaded || got.Open {
		t.Errorf("the last answer is %+v, the event %+v", got, e)
	}
	s.expectComplete(e, 0)
}
