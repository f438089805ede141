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
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// Store is what a Recorder needs of the segment store.
type Store interface {
	Create(stream string, h mkv.Header) (*segment.Writer, error)
	LastEnd(stream string) time.Time
	NoteClock(stream string, from, until time.Time, add time.Duration) error
	BeginEpoch(stream string, from, until time.Time, add time.Duration, at time.Time) error
}

// DefaultSegmentDuration is how long segments are, to the next keyframe.
const DefaultSegmentDuration = 5 * time.Minute

// The states of the recorder.
const (
	stateConnecting = "connecting"
	stateRecording  = "recording"
	stateWaiting    = "waiting for the camera"
	statePaused     = "paused"
	statePlayed     = "played to the end"
	stateStopped    = "stopped"
)

// Source brings the video of a stream. One goroutine uses it.
type Source interface {
	// Live reports whether what it brings happens now.
	Live() bool
	// Play plays one session to its end, into a sink. Its error is ctx's, accessunit.ErrPlayed, or an
	// *accessunit.SessionEnd.
	Play(ctx context.Context, to accessunit.Sink) error
	// Adapt prepares the next session after one that ended so, and of which so many frames were recorded.
	Adapt(end *accessunit.SessionEnd, frames int64)
}

// forever is how long a file that was played once waits: until its window closes.
const forever = time.Duration(math.MaxInt64)

// Options of a Recorder.
type Options struct {
	// Stream is the stream's name. Required.
	Stream string
	// Source is what is recorded. Required.
	Source Source
	// Failed is notified of each session that brought no video, so that the URL may be read again. Default none.
	Failed func(*health.Fault)
	// Served is notified of the first recorded frame of each session. Default none.
	Served func()
	// Changed returns a channel that is closed when URL returns another URL than before, which ends the wait for
	// the next session. Default never.
	Changed func() <-chan struct{}
	// Store takes the media. Required.
	Store Store
	// SegmentDuration is when a segment ends, at the next keyframe. Default DefaultSegmentDuration.
	SegmentDuration time.Duration
	// MaxSegmentBytes says what a segment is ended before it grows larger than, at a keyframe. It is
	// asked at each, so that a change interrupts nothing. 0: no limit. Default: none.
	MaxSegmentBytes func() int64
	// GoesOn says that another Recorder of the camera was stopped for this one while it recorded, so
	// that what lies between the two is a gap.
	GoesOn bool
	// FlushInterval is how much of a recording a power cut may take. Default segment.DefaultFlushInterval.
	FlushInterval time.Duration
	// OnSegment is told of each finished segment. It must not wait. Default none.
	OnSegment func(Segment)
	// TimestampSource is whose clock times follow: TimestampHub or TimestampCamera. Default TimestampHub.
	TimestampSource string
	// Backoff paces the tries to reach the camera. Default: 0.5 s doubling to 30 s.
	Backoff backoff.Policy
	// Pauses are those between sessions that are not paced so. Default: DefaultPauses.
	Pauses Pauses
	// Rest paces new beginnings after internal errors. Default: 0.5 s doubling to 30 s.
	Rest backoff.Policy
	// Health is the recorder's part of the agent's health. Default: one of its own.
	Health *health.Part
	// Log. Default none.
	Log *zap.Logger
	// Frozen returns for how long the hub did not run, when that ended within the given time: what came of it is
	// not the camera's fault. Default never.
	Frozen func(within time.Duration) (length time.Duration, frozen bool)
	// Now is the hub's clock, with its monotonic reading. Default time.Now.
	Now func() time.Time

	// Clock says whether Now can be trusted. Default: it cannot.
	Clock *hubclock.Clock

	noHold     bool // see openingHold
	numbers    numbers
	wrapWriter func(segmentWriter) segmentWriter
}

// gathering is how long frames are gathered in memory. The last quarter of the flush interval is for
// frames on their way here (gatherInterval), and for the disk to sync those before them.
func (o *Options) gathering() time.Duration { return o.FlushInterval * 3 / 4 }

// Segment is what OnSegment is told.
type Segment struct {
	segment.Key
	End    time.Time // producer time of the last frame
	Bytes  int64
	Frames int
}

// numbers are the recorder's counters, looked up once.
type numbers struct {
	frames, bytes, lost, gaps, reconnects, lastFrame, bitrate, fps, lastSegment, audioLost *health.Number
}

// Recorder records one camera.
type Recorder struct {
	o       Options
	goesOn  bool // what comes first continues a recording that was interrupted
	waiting bool // no frame was recorded since the last session failed
	stale   int  // sessions in a row into which frames of an earlier one came
}

// New makes a Recorder.
func New(o Options) *Recorder {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Health == nil {
		o.Health = health.NewRegistry(o.Now).Part(o.Stream, health.JobRecorder)
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.SegmentDuration <= 0 {
		o.SegmentDuration = DefaultSegmentDuration
	}
	if o.MaxSegmentBytes == nil {
		o.MaxSegmentBytes = func() int64 { return 0 }
	}
	if o.FlushInterval <= 0 {
		o.FlushInterval = segment.DefaultFlushInterval
	}
	o.Pauses = o.Pauses.orDefault()
	if o.Frozen == nil {
		o.Frozen = func(time.Duration) (time.Duration, bool) { return 0, false }
	}
	if o.Failed == nil {
		o.Failed = func(*health.Fault) {}
	}
	if o.Served == nil {
		o.Served = func() {}
	}
	if o.Changed == nil {
		o.Changed = func() <-chan struct{} { return nil }
	}
	o.Log = o.Log.With(zap.String("stream", o.Stream), zap.String("job", health.JobRecorder))
	h := o.Health
	o.numbers = numbers{
		frames: h.Number(health.FramesRecorded), bytes: h.Number(health.BytesRecorded), lost: h.Number(health.FramesLost),
		audioLost: h.Number(health.AudioFramesLost),
		gaps:      h.Number(health.Gaps), reconnects: h.Number(health.Reconnects), lastFrame: h.Number(health.LastFrameTime),
		bitrate: h.Number(health.BitrateBPS), fps: h.Number(health.FPSMilli), lastSegment: h.Number(health.LastSegmentTime),
	}
	return &Recorder{o: o, goesOn: o.GoesOn}
}

// Run records until ctx ends, whatever the camera does, and seals the last segment. It returns
// nil, or what kept it from finishing that segment.
func (r *Recorder) Run(ctx context.Context) (err error) {
	v := newSupervisor(&r.o)
	v.gap = r.goesOn
	r.goesOn = true                   // unless it ends in good order
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
		if rest(ctx, wait, changed) {
			pause.Reset()
		}
	}
	v.lookAtClock()
	r.goesOn = false
	r.o.Health.SetState(stateStopped)
	r.o.Health.End()
	return nil
}

// rest waits, and reports whether another URL ended the wait.
func rest(ctx context.Context, wait time.Duration, changed <-chan struct{}) bool {
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
	v.lookAtClock()
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
		r.o.Log.Info("the file is played to its end")
		return forever
	}
	end := endOf(err)
	r.waiting = true
	r.o.Health.SetState(stateWaiting)
	fault := r.excused(end, frames)
	if !end.NoURL && fault.Code != codeInternal && frames < healthyFrames {
		r.o.Failed(fault)
	}
	if r.o.Health.Report(health.ScopeRecord, health.Failed, fault) {
		r.o.Log.Warn("no video from the camera", zap.Error(fault), zap.NamedError("cause", fault.Err))
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
			err = accessunit.InternalFault(r.o.Stream, supervise.PanicError(p))
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
