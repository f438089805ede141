package health

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// reported is a step of a scope's story.
type reported struct {
	fault *Fault // nil: a success
	isNew bool   // what Report returns, or whether OK had something to end
	since int    // the minute of the occurrence that is shown afterwards; -1: none is shown
	count int64
}

func TestSinceIsOfThisOccurrence(t *testing.T) {
	t.Parallel()
	off := func() *Fault { return SystemFault("camera", nil, "The camera at %s refuses connections.", "10.0.0.7") }
	moved := func() *Fault { return SystemFault("camera", nil, "The camera at %s refuses connections.", "10.0.0.8") }
	secret := func() *Fault { return UserFault("secret-content", nil, "The secret is not JSON.") }
	full := func(mb int) *Fault { return SystemFault("disk-low", nil, "The disk has %d MB left.", mb) }
	wrapped := func(mb int) *Fault { return full(mb).Recode("recording", "Recording paused. "+full(mb).Text) }
	for name, story := range map[string][]reported{
		"the same again":                      {{off(), true, 0, 1}, {off(), false, 0, 2}, {off(), false, 0, 3}},
		"after a success it is another":       {{off(), true, 0, 1}, {nil, true, -1, 0}, {off(), true, 2, 1}},
		"another text is another":             {{off(), true, 0, 1}, {moved(), true, 1, 1}},
		"another code replaces it":            {{off(), true, 0, 1}, {secret(), true, 1, 1}, {nil, true, -1, 0}},
		"two that alternate keep their times": {{off(), true, 0, 1}, {secret(), true, 1, 1}, {off(), false, 0, 2}, {secret(), false, 1, 2}},
		"numbers in the text do not count":    {{full(100), true, 0, 1}, {full(90), false, 0, 2}},
		"nor are words that vary": {
			{UserFault("x", nil, "It is %s.", Varying("8:00")), true, 0, 1}, {UserFault("x", nil, "It is %s.", Varying("9:00")), false, 0, 2},
		},
		"nor in one that is wrapped":   {{wrapped(100), true, 0, 1}, {wrapped(90), false, 0, 2}},
		"no success without a failure": {{nil, false, -1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
			now := start
			p := NewRegistry(func() time.Time { return now }).Component("door", JobRecorder)
			for i, step := range story {
				now = start.Add(time.Duration(i) * time.Minute)
				var isNew bool
				var want []Condition
				if step.fault == nil {
					isNew = p.OK(ScopeRecord)
				} else {
					isNew = p.Report(ScopeRecord, Failed, step.fault)
					want = []Condition{{Code: step.fault.Code, Class: step.fault.Class, Severity: Failed, Text: step.fault.Text,
						Since: start.Add(time.Duration(step.since) * time.Minute), Count: step.count}}
				}
				if isNew != step.isNew {
					t.Errorf("step %d returned %v", i, isNew)
				}
				if diff := cmp.Diff(want, p.Snapshot().Conditions); diff != "" {
					t.Errorf("step %d: %s", i, diff)
				}
			}
		})
	}
}

func TestAnEventEndsByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := NewRegistry(time.Now)
		p := r.Component("door", JobUploader)
		p.Note("refused", Degraded, SystemFault("upload-refused", nil, "One was refused."), time.Hour)
		time.Sleep(50 * time.Minute)
		p.Note("refused", Degraded, SystemFault("upload-refused", nil, "Another was refused."), time.Hour)
		time.Sleep(59 * time.Minute)
		if len(p.Snapshot().Conditions) != 1 {
			t.Error("it has ended too early")
		}
		changes, stop := r.Watch()
		defer stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(p.Snapshot().Conditions) != 0 {
			t.Error("it has not ended")
		}
		select {
		case <-changes:
		default:
			t.Error("watchers are not notified of its end")
		}
		if !p.Note("refused", Degraded, SystemFault("upload-refused", nil, "One was refused."), time.Hour) {
			t.Error("the next one is not a new occurrence")
		}
	})
}

func TestACodeIsShownOnceAndEndsWithItsJob(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	p := NewRegistry(func() time.Time { return now }).Component("door", JobRecorder)
	p.Report("a", Degraded, SystemFault("internal-error", nil, "a"))
	p.Report("b", Failed, SystemFault("internal-error", nil, "b"))
	p.Report("c", Info, SystemFault("audio", nil, "c"))
	if got := p.Snapshot().Conditions; len(got) != 2 || got[0].Text != "b" {
		t.Errorf("got %+v, want the worse of two with one code, and the other code", got)
	}
	p.OK("b")
	if got := p.Snapshot().Conditions; len(got) != 2 || got[0].Text != "a" {
		t.Errorf("got %+v: the other one must be left", got)
	}
	if !p.End() || p.End() || len(p.Snapshot().Conditions) != 0 {
		t.Error("the end of a job leaves nothing")
	}
}
