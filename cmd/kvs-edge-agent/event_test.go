package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/event"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
)

// eventSite is a hub that records the stream door, and uploads only what is asked for.
type eventSite struct {
	*site
	api    *localapi.Client
	camera *fakecam.Camera
}

// inTwelve has the stream uploaded in twelve hours.
func inTwelve(c *types.EdgeConfig) {
	c.UploaderConfig.ScheduleConfig.ScheduleExpression = aws.String(fmt.Sprintf("0 0 %d * * ? *", inTwelveHours()))
}

func newEventSite(t *testing.T, w world, camera *fakecam.Camera, edits ...func(*types.EdgeConfig)) *eventSite {
	t.Helper()
	s := &eventSite{site: newSite(t, w), camera: camera}
	s.api = localapi.NewClient(filepath.Join(s.dir, "agent.sock"))
	s.configure("door", camera.URL(), append([]func(*types.EdgeConfig){inTwelve}, edits...)...)
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
	s.trigger("bell", 5, 4)
	// The pre-roll is there while the event is still open.
	s.eventually("the first fragment", func() error {
		if len(s.cloud.Media().Fragments("door")) == 0 {
			return errNothingYet
		}
		return nil
	})
	e := s.awaitFinal("bell")
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
	NotHeld                       string
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
	asker.tell("event", `{"EventId":"bell","StreamName":"door","PreRollInSeconds":4,"PostRollInSeconds":6,"Reason":"bell",`+
		`"HoldInSeconds":7776000}`)
	await("bell", "RUNNING")
	s.stopAgent()
	s.start("AWS_IOT_CORE_DATA_ATS_ENDPOINT=" + broker)
	got := await("bell", "DONE")
	e := s.awaitFinal("bell")
	if e.Source != "mqtt" || e.Reason != "bell" || got.FragmentsDone != e.Streams[0].Uploaded || got.Open {
		t.Errorf("the last answer is %+v, the event %+v", got, e)
	}
	if x := e.Streams[0]; x.Hold == "" || !x.HeldUntil.Equal(e.To.Add(90*24*time.Hour)) || x.NotHeld != "" || got.NotHeld != "" {
		t.Errorf("its media is not held: %+v, %+v", x, got)
	}
	s.expectComplete(e, 0)
}

func TestEventsSurviveWhateverHappensToTheHub(t *testing.T) {
	inWorlds(t, eventsSurviveWhateverHappensToTheHub)
}

func eventsSurviveWhateverHappensToTheHub(t *testing.T, w world) {
	s := newEventSite(t, w, startCamera(t, fakecam.Options{}))
	s.start()
	s.awaitRecorded("door", 150)

	s.cloud.Faults().CutOff()
	before := s.trigger("before", 3, 1)
	s.trigger("meanwhile", 2, 3)
	s.agent.kill()
	s.start()
	s.trigger("after-kill", 2, 2)
	s.cloud.Faults().Restore()
	s.configure("door", s.camera.URL(), inTwelve, func(c *types.EdgeConfig) {
		c.UploaderConfig.ScheduleConfig.DurationInSeconds = aws.Int32(120)
	})
	for _, id := range []string{"before", "meanwhile", "after-kill"} {
		s.expectComplete(s.awaitFinal(id), 0)
	}
	if again := s.trigger("before", 3, 60); !again.To.Equal(before.To) {
		t.Errorf("an event that has ended is extended by its id: %+v", again)
	}

	// At most 16 are open; one that is open is extended all the same.
	for n := range event.MaxOpen {
		s.trigger(fmt.Sprint("open-", n), 1, 20)
	}
	pre, post := 1.0, 20.0
	if _, err := s.api.TriggerEvent(t.Context(), localapi.EventRequest{Stream: "door", Pre: &pre, Post: &post}); err == nil ||
		!strings.Contains(err.Error(), "door has 16 open events already") {
		t.Errorf("one more is answered with %v", err)
	}
	s.trigger("open-3", 1, 1)
	for n := range event.MaxOpen {
		e := s.awaitFinal(fmt.Sprint("open-", n))
		if p := e.Streams[0]; p.Uploaded != p.Recorded || p.Recorded == 0 {
			t.Errorf("event %s: %+v", e.ID, p)
		}
	}
}

func TestAnEventOfMediaThatIsDeletedAfterItsUpload(t *testing.T) {
	inWorlds(t, anEventOfMediaThatIsDeletedAfterItsUpload)
}

func anEventOfMediaThatIsDeletedAfterItsUpload(t *testing.T, w world) {
	s := newEventSite(t, w, startCamera(t, fakecam.Options{}), func(c *types.EdgeConfig) {
		c.UploaderConfig.ScheduleConfig.ScheduleExpression = aws.String("0 * * * * ? *")
		c.DeletionConfig.DeleteAfterUpload = aws.Bool(true)
	})
	s.start("AWS_KVS_EDGE_SEGMENT_DURATION=5s")
	s.awaitRecorded("door", 150)
	s.trigger("bell", 5, 8)
	e := s.awaitFinal("bell")
	// All that was recorded of it was uploaded, by whom ever, and is counted although it is deleted.
	p := e.Streams[0]
	have := 0
	for _, f := range s.cloud.Media().Fragments("door") {
		if f.Producer.Before(e.To) && !f.Producer.Add(f.Duration).Before(e.From) {
			have++
		}
	}
	if p.Uploaded != p.Recorded || p.Uploaded == 0 || have < p.Uploaded {
		t.Errorf("%d fragments are in the cloud, the event says %+v", have, p)
	}
}

func TestTheMediaOfAnEventThatIsHeldStaysWhenItsStreamIsDeletedAfterItsUpload(t *testing.T) {
	inWorlds(t, theMediaOfAnEventThatIsHeldStays)
}

func theMediaOfAnEventThatIsHeldStays(t *testing.T, w world) {
	s := newEventSite(t, w, startCamera(t, fakecam.Options{}), func(c *types.EdgeConfig) {
		c.UploaderConfig.ScheduleConfig.ScheduleExpression = aws.String("0 * * * * ? *")
		c.DeletionConfig.DeleteAfterUpload = aws.Bool(true)
	})
	s.start("AWS_KVS_EDGE_SEGMENT_DURATION=5s")
	s.awaitRecorded("door", 400) // 16 s
	pre, post := 3.0, 2.0
	done, err := s.api.TriggerEvent(t.Context(), localapi.EventRequest{ID: "held", Stream: "door", Pre: &pre, Post: &post,
		Reason: "test", Hold: 3600})
	if err != nil || done.Event.Streams[0].Hold == "" || done.Event.Streams[0].NotHeld != "" {
		t.Fatalf("%+v %v", done, err)
	}
	e := s.awaitFinal("held")
	s.eventually("the deletion of other media", func() error {
		before, after := s.frames(e.From.Add(-time.Hour), e.From.Add(-6*time.Second)), s.frames(e.To.Add(6*time.Second), e.To.Add(8*time.Second))
		if n := before.distinct() + after.distinct(); n > 0 || time.Now().Before(e.To.Add(15*time.Second)) {
			return fmt.Errorf("%d frames are still there", n)
		}
		return nil
	})
	if n := s.frames(e.From, e.To).distinct(); n < 100 { // of 125
		t.Errorf("%d frames of the event are on the hub", n)
	}
	s.expectComplete(e, 0)
	if list, _, code := s.command("hold", "list", "--stream", "door"); code != 0 || !strings.Contains(list, "event held: test") {
		t.Errorf("%d %s", code, list)
	}
}

// killsDuringEvents is how often an agent is killed while events are open.
var killsDuringEvents = testtools.Sizes[int]{Short: 1, Middle: 6, Long: 100}

func TestEventsAreCompleteHoweverOftenTheAgentIsKilled(t *testing.T) {
	inWorlds(t, eventsAreCompleteHoweverOftenTheAgentIsKilled)
}

func eventsAreCompleteHoweverOftenTheAgentIsKilled(t *testing.T, w world) {
	kills := testtools.Proof(t, "events", killsDuringEvents)
	camera := startCamera(t, fakecam.Options{})
	s := newEventSite(t, w, camera)
	cloud := s.cloud.Media()
	random := rand.New(rand.NewPCG(22, 9))
	var killedAt []int // how many fragments the cloud had then
	for n := range kills {
		s.start()
		s.awaitRecorded("door", 15)
		s.trigger(fmt.Sprint("e", n), 2, 2)
		// The moment is what is random here; nothing is waited for.
		if err := backoff.Sleep(t.Context(), time.Duration(random.IntN(3000))*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		s.agent.kill()
		if err := cloud.AwaitSession(t.Context(), "door", false); err != nil {
			t.Fatal(err)
		}
		killedAt = append(killedAt, len(cloud.Fragments("door")))
	}
	s.start()
	frames, fragments := 0, 0
	var have tally
	for n := range kills {
		e := s.awaitFinal(fmt.Sprint("e", n))
		var err error
		if have, _, err = cloudFrames(cloud, "door"); err != nil {
			t.Fatal(err)
		}
		want := s.frames(e.From, e.To)
		if missing := want.missingFrom(have); missing > 0 || want.distinct() == 0 {
			t.Errorf("event %s: %d of %d frames are not in the cloud: %+v", e.ID, missing, want.distinct(), e)
		}
		frames += want.distinct()
		fragments += e.Streams[0].Uploaded
	}
	sent := sentBy(camera.Sessions())
	if foreign := have.missingFrom(sent); foreign > 0 {
		t.Errorf("the cloud has %d frames that the camera did not send", foreign)
	}
	repeated := expectFewRepeats(t, cloud.Fragments("door"), killedAt)
	t.Logf("%d kills: %d frames of %d fragments of %d events are in the cloud, %s repeated", kills, frames, fragments, kills, repeated)
}

// expectFewRepeats checks that each kill cost at most 5 s of media, or two fragments, and returns how much all cost.
func expectFewRepeats(t *testing.T, list []media.Fragment, killedAt []int) (total time.Duration) {
	t.Helper()
	seen := make(map[int64]bool)
	kill, again, n := 0, time.Duration(0), 0
	for i, f := range list {
		for kill < len(killedAt) && i >= killedAt[kill] {
			kill, again, n = kill+1, 0, 0
		}
		if at := f.Producer.UnixMilli(); !seen[at] {
			seen[at] = true
			continue
		}
		n++
		again += f.Duration
		total += f.Duration
		if again > 5*time.Second && n > 2 {
			t.Errorf("kill %d repeats %s in %d fragments, more than 5 s and two fragments", kill, again, n)
		}
	}
	return total
}
