package scheduler

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// ErrWindowClosed is the cause (context.Cause) with which a job's context ends when its window closes.
var ErrWindowClosed = errors.New("the window closed")

// steadyAfter is how long a job must have run for its next failure to count as the first.
const steadyAfter = time.Minute

// RunnerOptions are the settings of Run.
type RunnerOptions struct {
	Plan  Plan
	Clock *Clock
	// Log receives every job that ended within its window. Default: none.
	Log *zap.Logger
	// Job runs while a window is open; its context ends with the window. When it returns before
	// that, it is run again after a pause, also without an error.
	Job func(ctx context.Context) error
	// OnState is called with whether a window is open and when that may change (zero: never): once at the start, and then
	// whenever one of the two changes. Calls never overlap. Optional.
	OnState func(open bool, next time.Time)
	// Retry bounds the pauses. Default as in package backoff.
	Retry backoff.Policy
}

// runner runs one job. All of the job runs in the goroutine of Run, so that a panic of it reaches Run's caller.
type runner struct {
	RunnerOptions
	alarm *alarm

	told bool // OnState was called with the two below
	open bool
	next time.Time
}

// Run runs o.Job in the windows of o.Plan until ctx ends, and returns ctx's error once Job returned. Job never runs twice at
// once: a window that opens while the job of the previous one is still ending waits for it.
func Run(ctx context.Context, o RunnerOptions) error {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	r := &runner{RunnerOptions: o, alarm: o.Clock.newAlarm()}
	defer r.alarm.stop()
	for r.awaitOpen(ctx) {
		r.window(ctx)
	}
	return ctx.Err()
}

// evaluate reports whether a window is open now, and sets the alarm to when that may change.
func (r *runner) evaluate() bool {
	now, zone := r.Clock.Now()
	open, next := r.Plan.At(now, zone)
	r.alarm.set(next)
	if r.OnState != nil && (!r.told || open != r.open || !next.Equal(r.next)) {
		r.OnState(open, next)
	}
	r.told, r.open, r.next = true, open, next
	return open
}

// awaitOpen waits for a window; false when ctx ended.
func (r *runner) awaitOpen(ctx context.Context) bool {
	for ctx.Err() == nil {
		if r.evaluate() {
			return true
		}
		select {
		case <-ctx.Done():
		case <-r.alarm.ring.C():
		}
	}
	return false
}

// awaitClose waits until no window is open, or ctx ends.
func (r *runner) awaitClose(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-r.alarm.ring.C():
			if !r.evaluate() {
				return
			}
		}
	}
}

// window runs the job until the window that is open closes, or ctx ends.
func (r *runner) window(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel(nil) // also when the job panics
	watch.Go(func() {
		// After a panic the window is evaluated again.
		if err := supervise.Do("Waiting for the end of a window", func() error { r.awaitClose(ctx); return nil }); err != nil {
			logevent.Condition(r.Log, health.FaultOf(err, supervise.Code))
		}
		cancel(ErrWindowClosed)
	})
	pause := backoff.New(r.Retry)
	for {
		began := time.Now()
		err := r.Job(ctx)
		if ctx.Err() != nil {
			if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, ErrWindowClosed) {
				logevent.JobStopFailed.Log(r.Log, zap.Error(err))
			}
			return
		}
		if time.Since(began) >= steadyAfter {
			pause.Reset()
		}
		wait := pause.Next()
		logevent.JobRetried.Log(r.Log, zap.Duration("wait", wait), zap.Error(err))
		if backoff.Sleep(ctx, wait) != nil {
			return
		}
	}
}
