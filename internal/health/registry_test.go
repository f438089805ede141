package health_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

func fixedClock() func() time.Time {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	return func() time.Time { now = now.Add(time.Second); return now }
}

func TestWorstConditionComesFirst(t *testing.T) {
	t.Parallel()
	p := health.NewRegistry(fixedClock()).Component("door", health.JobRecorder)
	p.Report("1", health.Info, health.UserFault("a", nil, "a"))
	p.Report("2", health.Failed, health.UserFault("z", nil, "z"))
	p.Report("3", health.Degraded, health.UserFault("b", nil, "b"))
	worst, ok := p.Snapshot().Worst()
	if !ok || worst.Code != "z" {
		t.Errorf("got %v %v, want z", worst, ok)
	}
}

func TestWatchersHearOfChangesOnly(t *testing.T) {
	t.Parallel()
	r := health.NewRegistry(fixedClock())
	p := r.Component("door", health.JobRecorder)
	changes, stop := r.Watch()
	defer stop()
	heard := func() bool {
		select {
		case <-changes:
			return true
		default:
			return false
		}
	}
	steps := []struct {
		name string
		do   func()
		want bool
	}{
		{"a state", func() { p.SetState("recording") }, true},
		{"the same state", func() { p.SetState("recording") }, false},
		{"a condition", func() { p.Report(health.ScopeRecord, health.Failed, health.UserFault("x", nil, "x")) }, true},
		{"the same condition", func() { p.Report(health.ScopeRecord, health.Failed, health.UserFault("x", nil, "x")) }, false},
		{"a number", func() { p.Counter(health.FramesRecorded).Add(1) }, false},
		{"its end", func() { p.End() }, true},
		{"nothing to end", func() { p.End() }, false},
		{"a stream removed", func() { r.RemoveStream("door") }, true},
	}
	for _, step := range steps {
		step.do()
		if got := heard(); got != step.want {
			t.Errorf("%s: heard %v, want %v", step.name, got, step.want)
		}
	}
	if got := len(r.Snapshot()); got != 0 {
		t.Errorf("%d parts left after RemoveStream", got)
	}
}

func TestSeverityReadsWhatItWrites(t *testing.T) {
	t.Parallel()
	for _, s := range []health.Severity{health.Info, health.Degraded, health.Failed} {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back health.Severity
		if err := json.Unmarshal(text, &back); err != nil || back != s {
			t.Errorf("%s: read back as %v, %v", text, back, err)
		}
	}
}

func TestFaultOfFindsTheSentenceInAChain(t *testing.T) {
	t.Parallel()
	inner := health.UserFault("auth", io.ErrUnexpectedEOF, "The camera refused the password.")
	if got := health.FaultOf(fmt.Errorf("session: %w", inner), "x"); got != inner {
		t.Errorf("got %+v", got)
	}
	if !errors.Is(inner, io.ErrUnexpectedEOF) {
		t.Error("the cause must stay reachable")
	}
	if got := health.FaultOf(io.EOF, "x"); got.Class != health.SystemError || got.Code != "x" {
		t.Errorf("got %+v", got)
	}
	if health.FaultOf(nil, "x") != nil {
		t.Error("nil must stay nil")
	}
}
