package recorder

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Store is the part of the segment store that a Recorder uses.
type Store interface {
	Create(stream string, h mkv.Header) (*segment.Writer, error)
	LastEnd(stream string) time.Time
	NoteClock(stream string, from, until time.Time, add time.Duration) error
	BeginEpoch(stream string, from, until time.Time, add time.Duration, at time.Time) error
}

// DefaultSegmentDuration is the duration of segments; they end at the next keyframe.
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

// Source provides the video of a stream. One goroutine uses it.
type Source interface {
	// Live reports whether its video happens now.
	Live() bool
	// Play plays one session to its end, into a sink. It returns the error of ctx, accessunit.ErrPlayed, or an
	// *accessunit.SessionEnd.
	Play(ctx context.Context, to accessunit.Sink) error
	// Adapt prepares the next session, given how the last one ended and how many frames of it were recorded.
	Adapt(end *accessunit.SessionEnd, frames int64)
}

// Options of a Recorder.
type Options struct {
	// Stream is the stream's name. Required.
	Stream string
	// Source is the source that is recorded. Required.
	Source Source
	// Failed is called after each session that had no video, so that the URL may be read again. Default none.
	Failed func(*health.Fault)
	// Served is called at the first recorded frame of each session. Default none.
	Served func()
	// Changed returns a channel that is closed when the source has another URL, which ends the wait for
	// the next session. Default never.
	Changed func() <-chan struct{}
	// Store stores the media. Required.
	Store Store
	// SegmentDuration is the age at which a segment ends, at the next keyframe. Default DefaultSegmentDuration.
	SegmentDuration time.Duration
	// MaxSegmentBytes returns the size that a segment must not exceed: it ends at a keyframe before that. It is
	// called at each keyframe, so that a change interrupts nothing. 0: no limit. Default: none.
	MaxSegmentBytes func() int64
	// FragmentTarget returns how long fragments may become, as far as GOPs allow it; see fragment.Length. It is called at
	// each keyframe, so that a change interrupts nothing. Default: fragment.Shortest.
	FragmentTarget func() time.Duration
	// Continues: another Recorder of the camera was stopped for this one while it recorded, so
	// that the time between the two counts as a gap.
	Continues bool
	// FlushInterval is how much of a recording a power cut may lose. Default segment.DefaultFlushInterval.
	FlushInterval time.Duration
	// OnSegment is called with each finished segment. It must not wait. Default none.
	OnSegment func(Segment)
	// TimestampSource is the clock that timestamps follow: TimestampHub or TimestampCamera. Default TimestampHub.
	TimestampSource string
	// Backoff paces the attempts to reach the camera. Default: 0.5 s doubling to 30 s.
	Backoff backoff.Policy
	// Pauses are the pauses between sessions that Backoff does not pace. Default: DefaultPauses.
	Pauses Pauses
	// Cooldown paces restarts after internal errors. Default: 0.5 s doubling to 30 s.
	Cooldown backoff.Policy
	// Health is the recorder's component in the agent's health. Default: one of its own.
	Health *health.Component
	// Log. Default none.
	Log *zap.Logger
	// Frozen returns how long the hub did not run, if that ended within the given time: its consequences are
	// not the camera's fault. Default never.
	Frozen func(within time.Duration) (length time.Duration, frozen bool)
	// Sentence returns a fault of the source as it is shown: its sentence may name where the URL is written. Default: as it is.
	Sentence func(*health.Fault) *health.Fault
	// Now is the hub's clock, with its monotonic reading. Default time.Now.
	Now func() time.Time

	// Clock reports whether Now can be trusted. Default: it cannot.
	Clock *hubclock.Clock

	noHold     bool // see openingHold
	numbers    numbers
	wrapWriter func(segmentWriter) segmentWriter
}

// gathering is how long frames are buffered in memory. The last quarter of the flush interval is for
// frames still on their way (a camera is read in batches), and for the disk to sync the earlier ones.
func (o *Options) gathering() time.Duration { return o.FlushInterval * 3 / 4 }

// Segment is the argument of OnSegment.
type Segment struct {
	segment.Key
	End    time.Time // producer time of the last frame
	Bytes  int64
	Frames int
}

// numbers are the recorder's counters.
type numbers struct {
	frames, bytes, lost, gaps, reconnects, foreign *health.Counter
	audioLost, audioPacketsLost                    *health.Counter
	lastFrame, bitrate, fps, lastSegment           *health.Gauge
}

// setDefaults sets the options that are not set, and looks up the counters.
func (o *Options) setDefaults() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Health == nil {
		o.Health = health.NewRegistry(o.Now).Component(o.Stream, health.JobRecorder)
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
	if o.FragmentTarget == nil {
		o.FragmentTarget = func() time.Duration { return fragment.Shortest }
	}
	if o.FlushInterval <= 0 {
		o.FlushInterval = segment.DefaultFlushInterval
	}
	o.Pauses = o.Pauses.orDefault()
	if o.Frozen == nil {
		o.Frozen = func(time.Duration) (time.Duration, bool) { return 0, false }
	}
	if o.Sentence == nil {
		o.Sentence = func(f *health.Fault) *health.Fault { return f }
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
		frames: h.Counter(health.FramesRecorded), bytes: h.Counter(health.BytesRecorded), lost: h.Counter(health.FramesLost),
		audioLost: h.Counter(health.AudioFramesLost), audioPacketsLost: h.Counter(health.AudioPacketsLost),
		foreign: h.Counter(health.ForeignPackets),
		gaps:    h.Counter(health.Gaps), reconnects: h.Counter(health.Reconnects), lastFrame: h.Gauge(health.LastFrameTime),
		bitrate: h.Gauge(health.BitrateBPS), fps: h.Gauge(health.FPSMilli), lastSegment: h.Gauge(health.LastSegmentTime),
	}
}

// frozenGrace is how long after the hub did not run its consequences are not blamed on the camera:
// buffered data, frames that overflowed buffers, a connection that the camera closed.
const frozenGrace = 30 * time.Second

// frozen reports whether the hub did not run until a moment ago.
func (o *Options) frozen() bool {
	_, frozen := o.Frozen(frozenGrace)
	return frozen
}

// segmentWriter is the part of a *segment.Writer that the recorder uses.
type segmentWriter interface {
	Key() segment.Key
	Bytes() int64
	Written() int
	BeginFragment(start time.Duration, keyframe bool) error
	WriteFrame(track uint8, t time.Duration, keyframe bool, parts [][]byte) error
	EndFragment() (mkv.Fragment, error)
	MoveGOP(least time.Duration) (m mkv.Moved, ok bool, err error)
	Flush() error
	InDoubt() bool
	Seal() error
	Abandon() error
}
