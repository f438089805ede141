package logfile

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

func TestFailuresThatRepeatAreCollapsedAndCounted(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.InfoLevel)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	log := zap.New(dedup(core, func() time.Time { return now }))
	door := log.With(zap.String("stream", "door"))
	const lines = 24 * 60 * 6 // a day of a failure every ten seconds
	for i := range lines {
		door.Warn("cannot reach the camera", zap.Error(errors.New("no route")), zap.Int("attempt", i), zap.Duration("wait", time.Duration(i)))
		now = now.Add(10 * time.Second)
	}
	written := logs.FilterMessage("cannot reach the camera").All()
	if len(written) > 32 {
		t.Errorf("%d of %d equal lines were written", len(written), lines)
	}
	told := 0
	for _, e := range written {
		told++
		if n, ok := e.ContextMap()[repeatedKey].(int64); ok {
			told += int(n)
		}
	}
	if told < lines-7*60 || told > lines { // those since the last line are not told yet
		t.Errorf("the lines tell of %d failures, there were %d", told, lines)
	}
}

// TestASentenceWithOtherNumbersIsTheSameFailure: conditions are logged with their sentence, which counts and measures.
func TestASentenceWithOtherNumbersIsTheSameFailure(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.InfoLevel)
	log := zap.New(dedup(core, time.Now))
	for i := range 20 {
		logevent.Condition(log, health.SystemFault("disk", errors.New("cause"), "The disk lacks %d MB since %s.", i, time.Duration(i)))
	}
	logevent.Condition(log, health.SystemFault("disk", nil, "The disk is gone."))
	logevent.Condition(log, health.SystemFault("disk-low", nil, "The disk is gone."))
	if logs.Len() != 3 {
		t.Errorf("%d lines, want 3: %+v", logs.Len(), logs.All())
	}
}

func TestDifferentFailuresAndEventsAreAllWritten(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.InfoLevel)
	log := zap.New(dedup(core, time.Now))
	for i := range 3 {
		log.Warn("cannot reach the camera", zap.String("stream", fmt.Sprint(i)))
		log.Warn("cannot reach the camera", zap.String("stream", "door"), zap.Error(fmt.Errorf("cause %d", i)))
		log.Info("segment closed", zap.String("stream", "door"))
	}
	if n := logs.Len(); n != 9 {
		t.Errorf("%d lines, want 9", n)
	}
	for i := range 2 * maxFailures {
		log.Error("failure", zap.String("number", fmt.Sprint(i)))
	}
	if n := logs.FilterMessage("failure").Len(); n != 2*maxFailures {
		t.Errorf("%d of %d different failures were written", n, 2*maxFailures)
	}
}

func TestDebuggingShowsEveryLine(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	log := zap.New(dedup(core, time.Now))
	for range 5 {
		log.Warn("again")
	}
	if logs.Len() != 5 {
		t.Errorf("%d lines, want 5", logs.Len())
	}
}
