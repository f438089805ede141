// Package recorder records the access units of a source to the segment store: it assigns producer timestamps and cuts
// fragments and segments. It knows neither how the source is played, nor what happens to a finished segment, nor the
// schedule: it records from Run's start to its end.
package recorder

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// forever is how long the recorder waits after a file that is played once: until its window closes.
const forever = time.Duration(math.MaxInt64)

// Recorder records one camera.
type Recorder struct {
	o         Options
	continues bool // the first frames continue a recording that was interrupted
	waiting   bool // no frame was recorded since the last session failed
	stale     int  // consecutive sessions that received frames of an earlier one
}

// New makes a Recorder.
func New(o Options) *Recorder {
	o.setDefaults()
	return &Recorder{o: o, continues: o.Continues}
}

// Run records until ctx ends, whatever the camera does, and seals the last segment. It returns
// nil, or the error that kept it from finishing that segment.
func (r *Recorder) Run(ctx context.Context) (err error) {
	v := newSupervisor(&r.o)
	v.gap = r.continues
	r.continues = true                // unless it ends normally
	defer func() { err = v.seal() }() // also when something panics
	pause := backoff.New(r.o.Backoff)
	for first := true; ctx.Err() == nil; first = false {
		if !first {
			r.o.numbers.reconnects.Add(1)
		}
		began, changed := time.Now(), r.o.Changed()
		wait := r.session(ctx, v, pause)
		if ctx.Err() != nil {
			break
		}
		if seal := r.o.Pauses.Seal; wait >= seal || v.idle() > seal && time.Since(began) < seal {
			r.seal(v)
		}
		if waitFor(ctx, wait, changed) {
			pause.Reset()
		}
	}
	v.checkClock()
	r.continues = false
	r.o.Health.SetState(stateStopped)
	r.o.Health.End()
	return nil
}

// waitFor waits, and reports whether a new URL ended the wait.
func waitFor(ctx context.Context, wait time.Duration, changed <-chan struct{}) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-changed:
		return true
	}
	return false
}

// seal finishes the open segment while the recorder keeps running.
func (r *Recorder) seal(v *supervisor) {
	v.checkClock()
	if err := v.seal(); err != nil {
		cannotRecord(&r.o, err)
	}
}

// session runs one session and returns how long to wait before the next.
func (r *Recorder) session(ctx context.Context, v *supervisor, pause *backoff.Backoff) (wait time.Duration) {
	if !r.waiting { // repeated attempts are still the same wait
		r.o.Health.SetState(stateConnecting)
	}
	v.frames = 0
	err := r.play(ctx, v)
	frames := v.frames
	r.waiting = r.waiting && frames == 0
	v.endSession()
	if ctx.Err() != nil {
		return 0
	}
	if errors.Is(err, accessunit.ErrPlayed) {
		r.waiting = false
		r.o.Health.SetState(statePlayed)
		logevent.FilePlayed.Log(r.o.Log)
		return forever
	}
	end := endOf(err)
	r.waiting = true
	r.o.Health.SetState(stateWaiting)
	fault := r.o.Sentence(r.excused(end, frames))
	if !end.NoURL && fault.Code != codeInternal && frames < healthyFrames {
		r.o.Failed(fault)
	}
	if r.o.Health.Report(health.ScopeRecord, health.Failed, fault) {
		logevent.Condition(r.o.Log, fault)
	}
	return r.pauseAfter(end, frames, pause)
}

// pauseAfter returns how long to wait after a session, given how it ended and how many of its frames were recorded.
func (r *Recorder) pauseAfter(end *accessunit.SessionEnd, frames int64, pause *backoff.Backoff) time.Duration {
	if end.Retry != accessunit.RetryStale {
		r.stale = 0
	}
	switch {
	case end.Retry == accessunit.RetryFromStart && frames > 0: // it is damaged
		r.o.Health.SetState(statePaused)
		return forever
	case end.Retry == accessunit.RetryRefused:
		return r.o.Pauses.Refused
	case end.Retry == accessunit.RetryStale:
		if r.stale++; r.stale == 2 {
			return r.o.Pauses.Stale
		}
	case end.Retry == accessunit.RetrySlowly:
	case frames >= healthyFrames:
		pause.Reset()
		return r.o.Pauses.Healthy
	default:
		r.o.Source.Adapt(end, frames)
	}
	return pause.Next()
}

// play plays one session to its end.
func (r *Recorder) play(ctx context.Context, to datedSink) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = health.SystemFault(supervise.Code, supervise.PanicError(p), "An internal error ended the session with the camera of "+
				"stream %s; the session is restarted. Please report it with the log.", r.o.Stream)
		}
	}()
	hold := newOpeningHold(to, r.o.Source.Live() && !r.o.noHold)
	defer hold.release()
	return r.o.Source.Play(ctx, hold)
}

// endOf returns how a session ended, also if its error is not an accessunit.SessionEnd: that is an internal error.
func endOf(err error) *accessunit.SessionEnd {
	var end *accessunit.SessionEnd
	if errors.As(err, &end) {
		return end
	}
	return &accessunit.SessionEnd{Fault: health.FaultOf(err, codeCamera)}
}

// excused returns the fault that ended a session which had brought frames: if the hub did not run, that is
// the cause.
func (r *Recorder) excused(end *accessunit.SessionEnd, frames int64) *health.Fault {
	length, frozen := r.o.Frozen(frozenGrace)
	if !frozen || frames == 0 || end.Fault.Code != codeCamera || !r.o.Source.Live() ||
		end.Retry == accessunit.RetryRefused || end.Retry == accessunit.RetryStale {
		return end.Fault
	}
	return health.SystemFault(codeCamera, end.Fault.Err, "The hub did not run for %s, which ended the connection to the camera: "+
		"the agent reconnects.",
		humanize.Length(length))
}
