package recorder

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
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
	// Continues says that another Recorder of the camera was stopped for this one while it recorded, so
	// that what lies between the two is a gap.
	Continues bool
	// FlushInterval is how much of a recording a power cut may take. Default segment.DefaultFlushInterval.
	FlushInterval time.Duration
	// OnSegment is called with each finished segment. It must not wait. Default none.
	OnSegment func(Segment)
	// TimestampSource is whose clock times follow: TimestampHub or TimestampCamera. Default TimestampHub.
	TimestampSource string
	// Backoff paces the tries to reach the camera. Default: 0.5 s doubling to 30 s.
	Backoff backoff.Policy
	// Pauses are those between sessions that are not paced so. Default: DefaultPauses.
	Pauses Pauses
	// Cooldown paces new beginnings after internal errors. Default: 0.5 s doubling to 30 s.
	Cooldown backoff.Policy
	// Health is the recorder's part of the agent's health. Default: one of its own.
	Health *health.Component
	// Log. Default none.
	Log *zap.Logger
	// Frozen returns for how long the hub did not run, when that ended within the given time: what came of it is
	// not the camera's fault. Default never.
	Frozen func(within time.Duration) (length time.Duration, frozen bool)
	// Sentence returns a fault of the source as it is shown: its sentence may name where the URL is written. Default: as it is.
	Sentence func(*health.Fault) *health.Fault
	// Now is the hub's clock, with its monotonic reading. Default time.Now.
	Now func() time.Time

	// Clock says whether Now can be trusted. Default: it cannot.
	Clock *hubclock.Clock

	noHold     bool // see openingHold
	numbers    numbers
	wrapWriter func(segmentWriter) segmentWriter
}

// gathering is how long frames are gathered in memory. The last quarter of the flush interval is for
// frames on their way here (a camera is read in batches), and for the disk to sync those before them.
func (o *Options) gathering() time.Duration { return o.FlushInterval * 3 / 4 }

// Segment is what OnSegment is called with.
type Segment struct {
	segment.Key
	End    time.Time // producer time of the last frame
	Bytes  int64
	Frames int
}

// numbers are the recorder's counters, looked up once.
type numbers struct {
	frames, bytes, lost, gaps, reconnects, foreign *health.Counter
	audioLost, audioPacketsLost                    *health.Counter
	lastFrame, bitrate, fps, lastSegment           *health.Gauge
}

// setDefaults sets what is not set, and looks the counters up.
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

// frozenGrace is how long after the hub did not run the camera is blamed for nothing that may come of it:
// what connections held, frames that did not fit into them, a camera that closed its one.
const frozenGrace = 30 * time.Second

// frozen reports whether the hub did not run a moment ago.
func (o *Options) frozen() bool {
	_, frozen := o.Frozen(frozenGrace)
	return frozen
}

// segmentWriter is what the recorder needs of a *segment.Writer.
type segmentWriter interface {
	Key() segment.Key
	Bytes() int64
	Written() int
	BeginFragment(start time.Duration, keyframe bool) error
	WriteFrame(track uint8, t time.Duration, keyframe bool, parts [][]byte) error
	EndFragment() (mkv.Fragment, error)
	Flush() error
	InDoubt() bool
	Seal() error
	Abandon() error
}
