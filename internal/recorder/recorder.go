// Package recorder owns the way from a source's access units to the segment store: producer times, fragments,
// segments. It must not know where they come from, what becomes of a segment, nor when to record: it
// records from Run's start to its end.
package recorder

import (
	"context"
	"errors"
	"math"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// forever is how long a file that was played once waits: until its window closes.
const forever = time.Duration(math.MaxInt64)

// Recorder records one camera.
type Recorder struct {
	o         Options
	continues bool // what comes first continues a recording that was interrupted
	waiting   bool // no frame was recorded since the last session failed
	stale     int  // sessions in a row into which frames of an earlier one came
}

// New makes a Recorder.
func New(o Options) *Recorder {
	o.setDefaults()
	return &Recorder{o: o, continues: o.Continues}
}

// Run records until ctx ends, whatever the camera does, and seals the last segment. It returns
// nil, or what kept it from finishing that segment.
func (r *Recorder) Run(ctx context.Context) (err error) {
	v := newSupervisor(&r.o)
	v.gap = r.continues
	r.continues = true                // unless it ends in good order
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

// waitFor waits, and reports whether another URL ended the wait.
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

// seal finishes the open segment while the recorder goes on.
func (r *Recorder) seal(v *supervisor) {
	v.checkClock()
	if err := v.seal(); err != nil {
		cannotRecord(&r.o, err)
	}
}

// session runs one session and returns how long to wait before the next.
func (r *Recorder) session(ctx context.Context, v *supervisor, pause *backoff.Backoff) (wait time.Duration) {
	if !r.waiting { // with each try it is still the same wait
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
		r.o.Log.Info("the media file was played to its end")
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
		r.o.Log.Warn("no video from the camera", zap.String("code", fault.Code), zap.Error(fault), zap.NamedError("cause", fault.Err))
	}
	return r.pauseAfter(end, frames, pause)
}

// pauseAfter returns how long to wait after a session that ended so, and of which so many frames were recorded.
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

// endOf is how a session ended whose error is no accessunit.SessionEnd: by an error of ours.
func endOf(err error) *accessunit.SessionEnd {
	var end *accessunit.SessionEnd
	if errors.As(err, &end) {
		return end
	}
	return &accessunit.SessionEnd{Fault: health.FaultOf(err, codeCamera)}
}

// excused is what is said about the end of a session that had brought frames: when the hub did not run, that
// ended it.
func (r *Recorder) excused(end *accessunit.SessionEnd, frames int64) *health.Fault {
	length, frozen := r.o.Frozen(frozenGrace)
	if !frozen || frames == 0 || end.Fault.Code != codeCamera || !r.o.Source.Live() ||
		end.Retry == accessunit.RetryRefused || end.Retry == accessunit.RetryStale {
		return end.Fault
	}
	return health.SystemFault(codeCamera, end.Fault.Err, "The hub did not run for %s, which ended the connection to the camera: "+
		"it is connected again.",
		humanize.Length(length))
}
