package changes

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// hub is an agent whose snapshot a test changes.
type hub struct {
	now  time.Time
	s    status.Snapshot
	feed *Feed
}

func newHub() *hub {
	h := &hub{now: noon}
	h.feed = New(Options{Snapshot: h.snapshot, Watch: func() (<-chan struct{}, func()) { return nil, func() {} },
		Now: func() time.Time { return h.now }})
	return h
}

func (h *hub) snapshot() status.Snapshot {
	s := h.s
	s.Time = h.now
	s.Streams = append([]status.Stream(nil), h.s.Streams...)
	return s
}

// after changes the hub and has the feed compare.
func (h *hub) after(d time.Duration, change func()) {
	h.now = h.now.Add(d)
	change()
	h.feed.Compare()
}

// jobs are a stream's jobs in the states, in the order of health.StreamJobs and one more.
func jobs(states ...string) (list []status.NamedJob) {
	for i, kind := range append(slices.Clone(health.StreamJobs), health.StreamJob{Name: "archiver"}) {
		if i < len(states) {
			list = append(list, status.NamedJob{Name: kind.Name, Job: status.Job{State: states[i]}})
		}
	}
	return list
}

func condition(code, text string, severity health.Severity) status.Condition {
	return status.Condition{Job: health.JobRecorder, Condition: health.Condition{Code: code, Text: text, Severity: severity, Since: noon}}
}

// inWords writes changes in short.
func inWords(list []Change) []string {
	words := []string{}
	for _, c := range list {
		text := string(c.Kind) + " " + c.Stream
		switch c.Kind {
		case Verdict:
			text += string(c.Verdict)
		case Job:
			text += " " + c.Job + " " + c.State
		case Condition:
			text += fmt.Sprintf(" %s %q %t", c.Condition.Code, c.Condition.Text, c.Ended)
		case Stream:
			text += fmt.Sprintf(" %t", c.Configured)
		case Recordings:
			text += fmt.Sprintf(" %d", c.Space.Segments)
		}
		words = append(words, text)
	}
	return words
}

func TestEachDifferenceIsAChange(t *testing.T) {
	t.Parallel()
	h := newHub()
	h.s.Verdict = status.Healthy
	h.feed.Compare()
	end := h.feed.End()
	var got []string
	step := func(change func()) {
		h.after(time.Second, change)
		list, ok := h.feed.After(end)
		if !ok {
			t.Fatal("changes were missed")
		}
		for _, c := range list {
			if !c.Time.Equal(h.now) {
				t.Errorf("%+v is not of %s", c, h.now)
			}
			if _, err := json.Marshal(c); err != nil {
				t.Error(err)
			}
			end = end.Behind(c)
		}
		got = append(got, inWords(list)...)
		got = append(got, "-")
	}
	step(func() {})
	step(func() {
		h.s.Streams = []status.Stream{{Name: "door", Jobs: jobs("connecting", "")}}
	})
	step(func() { h.s.Streams[0].Jobs = jobs("recording", ""); h.s.Streams[0].Space.Segments = 1 })
	step(func() { h.s.Streams[0].Space.Segments = 2; h.s.Streams[0].Space.Forecast.Days = 3 })
	step(func() { h.s.Streams[0].Space.Forecast.Days = 4; h.s.Streams[0].Recorder.FramesRecorded = 5 })
	step(func() {
		h.s.Streams[0].Conditions = []status.Condition{condition("camera", "It is away.", health.Failed)}
		h.s.Verdict = status.Down
	})
	step(func() { h.s.Streams[0].Conditions[0].Count++ })
	step(func() {
		h.s.Streams[0].Conditions = []status.Condition{condition("camera", "It refuses.", health.Failed)}
	})
	step(func() { h.s.Streams[0].Conditions = nil; h.s.Verdict = status.Healthy })
	step(func() { h.s.Agent = []status.Condition{condition("mqtt", "No connection.", health.Degraded)} })
	step(func() { h.s.Streams[0].Jobs = jobs("recording", "", "copying") })
	step(func() { h.s.Streams = nil })
	want := []string{
		"-",
		"stream door true", "job door recorder connecting", "job door uploader ", "recordings door 0", "-",
		"job door recorder recording", "recordings door 1", "-",
		"recordings door 2", "-",
		"-",
		`condition door camera "It is away." false`, "verdict down", "-",
		"-",
		`condition door camera "It refuses." false`, "-",
		`condition door camera "It refuses." true`, "verdict healthy", "-",
		`condition  mqtt "No connection." false`, "-",
		"job door archiver copying", "-",
		"stream door false", "-",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestWhoComesBackMissesNothingOrIsTold follows from each position that there ever was.
func TestWhoComesBackMissesNothingOrIsTold(t *testing.T) {
	t.Parallel()
	h := newHub()
	h.s.Streams = []status.Stream{{Name: "door"}, {Name: "yard"}}
	h.feed.Compare()
	positions := []Position{h.feed.End()}
	for n := range kept + 100 {
		h.after(time.Second, func() {
			h.s.Streams[0].Jobs = jobs(fmt.Sprint("state ", n))
			h.s.Streams[1].Space.Segments = n + 1
		})
		positions = append(positions, h.feed.End())
	}
	for n, p := range positions {
		list, ok := h.feed.After(p)
		if lost := n < len(positions)-kept; ok == lost {
			t.Fatalf("from position %d of %d: ok %t", n, len(positions), ok)
		}
		if !ok {
			continue
		}
		states, last := 0, ""
		for _, c := range list {
			if c.Kind == Job {
				states++
				last = c.State
			}
		}
		if wanted := len(positions) - 1 - n; states != wanted || wanted > 0 && last != fmt.Sprint("state ", len(positions)-2) {
			t.Fatalf("from position %d: %d changes up to %q, want %d", n, states, last, wanted)
		}
	}
	if n := len(h.feed.list); n > kept {
		t.Errorf("%d changes are kept", n)
	}
	for _, text := range []string{newHub().feed.End().String(), "x-1", positions[0].instance + "-99999999"} {
		p, ok := ParsePosition(text)
		if !ok {
			t.Errorf("%s is not a position", text)
		}
		if _, ok := h.feed.After(p); ok && !strings.HasPrefix(text, positions[0].instance+"-0") {
			t.Errorf("nothing was missed since %s", text)
		}
	}
	for _, text := range []string{"", "-", "x", "x-", "x-y", "x--1", "x-1-2"} {
		if _, ok := ParsePosition(text); ok {
			t.Errorf("%q is a position", text)
		}
	}
}

func TestWhyNothingWasRecorded(t *testing.T) {
	t.Parallel()
	h := newHub()
	h.s.Streams = []status.Stream{{Name: "door", Recorder: status.Recorder{Job: status.Job{State: "recording"}}}}
	h.feed.Compare()
	// From 1 min the camera is away, from 3 min it is off by schedule, from 10 min it is recorded.
	h.after(time.Minute, func() {
		h.s.Streams[0].Conditions = []status.Condition{condition("camera", "It is away.", health.Failed)}
	})
	h.after(2*time.Minute, func() { h.s.Streams[0].Conditions, h.s.Streams[0].Recorder.State = nil, "off by schedule until 12:10" })
	h.after(7*time.Minute, func() { h.s.Streams[0].Recorder.State = "recording" })
	for _, tc := range []struct {
		from, to time.Duration
		code     string
	}{
		{10 * time.Second, 50 * time.Second, ""},
		{50 * time.Second, 2 * time.Minute, "camera"},
		{time.Minute, 10 * time.Minute, CauseSchedule},
		{2 * time.Minute, 3*time.Minute + 30*time.Second, "camera"},
		{11 * time.Minute, 12 * time.Minute, ""},
		{-2 * time.Hour, -time.Hour, ""},
		{-time.Hour, 10 * time.Second, CauseStopped},
		{-10 * time.Second, 3 * time.Minute, "camera"},
	} {
		code, text := h.feed.Cause("door", noon.Add(tc.from), noon.Add(tc.to))
		if code != tc.code || (text != "") != (code == "camera") {
			t.Errorf("from %v to %v: %q %q, want %q", tc.from, tc.to, code, text, tc.code)
		}
	}
	if code, _ := h.feed.Cause("yard", noon, noon.Add(time.Hour)); code != "" {
		t.Errorf("of a stream that nobody knows: %q", code)
	}
}

// TestAFeedFollowsTheAgent compares when it is woken, and every second while somebody follows. Nobody costs nothing.
func TestAFeedFollowsTheAgent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		registry := health.NewRegistry(time.Now)
		var segments, snapshots atomic.Int64
		f := New(Options{Now: time.Now, Watch: registry.Watch, Snapshot: func() status.Snapshot {
			snapshots.Add(1)
			st := status.Stream{Name: "door", Space: status.Space{Segments: int(segments.Load())}}
			for _, c := range registry.Component("door", health.JobRecorder).Snapshot().Conditions {
				st.Conditions = append(st.Conditions, status.Condition{Job: health.JobRecorder, Condition: c})
			}
			return status.Snapshot{Time: time.Now(), Streams: []status.Stream{st}}
		}})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		synctest.Wait()
		begin := f.End()
		registry.Component("door", health.JobRecorder).Report(health.ScopeRecord, health.Failed, health.UserFault("camera", nil, "It is away."))
		synctest.Wait()
		if list, _ := f.After(begin); len(list) != 1 || list[0].Kind != Condition {
			t.Errorf("at once: %v", inWords(list))
		}
		time.Sleep(2 * every)
		synctest.Wait()
		taken := snapshots.Load()
		segments.Store(1)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := snapshots.Load() - taken; n != 0 {
			t.Errorf("%d snapshots without a follower", n)
		}
		changed, end := f.Watch()
		_, endToo := f.Watch()
		if list, _ := f.After(begin); len(list) != 2 || list[1].Kind != Recordings || snapshots.Load()-taken != 1 {
			t.Errorf("for a new follower: %v, in %d snapshots", inWords(list), snapshots.Load()-taken)
		}
		segments.Store(2)
		time.Sleep(every + time.Millisecond)
		synctest.Wait()
		// The newest takes the place of the previous one.
		if list, _ := f.After(begin); len(list) != 2 || list[1].Space == nil || list[1].Space.Segments != 2 || len(changed) != 1 {
			t.Errorf("after a second: %v", inWords(list))
		}
		end()
		end() // harmless
		time.Sleep(2 * every)
		synctest.Wait()
		taken = snapshots.Load()
		time.Sleep(10 * every)
		synctest.Wait()
		if n := snapshots.Load() - taken; n != 10 {
			t.Errorf("%d snapshots in 10 s for the follower who stays", n)
		}
		endToo()
		time.Sleep(2 * every)
		synctest.Wait()
		taken = snapshots.Load()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := snapshots.Load() - taken; n != 0 {
			t.Errorf("%d snapshots are taken after all have left", n)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func FuzzPosition(f *testing.F) {
	for _, text := range []string{"dn6chsx8y6mt-157", "x-1", "-", "--1", "x-18446744073709551615", "x-18446744073709551616", ""} {
		f.Add(text)
	}
	h := newHub()
	h.feed.Compare()
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := ParsePosition(text)
		if again, still := ParsePosition(p.String()); ok && (!still || again != p) {
			t.Errorf("%q is %v, and that is %v", text, p, again)
		}
		if list, ok := h.feed.After(p); ok && len(list) > 0 {
			t.Errorf("after %q there are %d changes", text, len(list))
		}
	})
}
