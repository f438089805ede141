// Package recorder owns the way from a camera to the segment store: RTSP session, access units,
// producer times, fragments. It must not know what becomes of a segment, nor when to record: it
// records from Run's begin to its end.
package recorder

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Store is what a Recorder needs of the segment store.
type Store interface {
	Create(stream string, h mkv.Header) (*segment.Writer, error)
	LastEnd(stream string) time.Time
}

// Defaults of Options.
const (
	DefaultSegmentDuration = 5 * time.Minute
	DefaultFlushInterval   = 2 * time.Second
)

// The states of the recorder.
const (
	stateConnecting = "connecting"
	stateRecording  = "recording"
	stateWaiting    = "waiting for the camera"
	statePaused     = "paused"
	stateStopped    = "stopped"
)

const (
	// refusedPause is the least time between two tries with a password that the camera refuses:
	// cameras lock accounts.
	refusedPause = time.Minute
	// sealAfter is how long a segment stays open for a camera that is gone.
	sealAfter = 10 * time.Second
	// healthyFrames is what a session must have brought for the next try to come at once.
	healthyFrames = 50
)

// Options of a Recorder.
type Options struct {
	// Stream is the stream's name. Required.
	Stream string
	// URL gives the camera's URL whenever a session begins. Its error is shown as it is. Required.
	URL func(ctx context.Context) (secret.String, error)
	// Refused is told that the camera did not take the URL, so that it may be read anew. Default none.
	Refused func()
	// Store takes the media. Required.
	Store Store
	// SegmentDuration is when a segment ends, at the next keyframe. Default DefaultSegmentDuration.
	SegmentDuration time.Duration
	// MaxSegmentBytes ends a segment before it grows larger, at a keyframe. 0: no limit.
	MaxSegmentBytes int64
	// FlushInterval is how long frames are gathered in memory at most. Default DefaultFlushInterval.
	FlushInterval time.Duration
	// OnSegment is told of each finished segment. It must not wait. Default none.
	OnSegment func(Segment)
	// Backoff paces the tries to reach the camera. Default: 0.5 s doubling to 30 s.
	Backoff backoff.Policy
	// Health is the recorder's part of the agent's health. Default: one of its own.
	Health *health.Part
	// Log. Default none.
	Log *zap.Logger
	// Now is the hub's clock, with its monotonic reading. Default time.Now.
	Now func() time.Time

	numbers numbers
}

// Segment is what OnSegment is told.
type Segment struct {
	segment.Key
	End    time.Time // producer time of the last frame
	Bytes  int64
	Frames int
}

// numbers are the recorder's counters, looked up once.
type numbers struct {
	frames, bytes, lost, gaps, reconnects, lastFrame, bitrate, fps, lastSegment *health.Number
}

// Recorder records one camera.
type Recorder struct{ o Options }

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
	if o.FlushInterval <= 0 {
		o.FlushInterval = DefaultFlushInterval
	}
	if o.Refused == nil {
		o.Refused = func() {}
	}
	o.Log = o.Log.With(zap.String("stream", o.Stream), zap.String("job", health.JobRecorder))
	h := o.Health
	o.numbers = numbers{
		frames: h.Number(health.FramesRecorded), bytes: h.Number(health.BytesRecorded), lost: h.Number(health.FramesLost),
		gaps: h.Number(health.Gaps), reconnects: h.Number(health.Reconnects), lastFrame: h.Number(health.LastFrameTime),
		bitrate: h.Number(health.BitrateBPS), fps: h.Number(health.FPSMilli), lastSegment: h.Number(health.LastSegmentTime),
	}
	return &Recorder{o: o}
}

// Run records until ctx ends, whatever the camera does, and seals the last segment. It returns
// nil, or what kept it from finishing that segment.
func (r *Recorder) Run(ctx context.Context) error {
	s := newSegmenter(&r.o)
	pause := backoff.New(r.o.Backoff)
	for first := true; ctx.Err() == nil; first = false {
		if !first {
			r.o.numbers.reconnects.Add(1)
		}
		began := time.Now()
		wait := r.session(ctx, s, pause)
		if ctx.Err() != nil {
			break
		}
		if wait >= sealAfter || (s.writer != nil && r.o.Now().Sub(s.flushed) > sealAfter && time.Since(began) < sealAfter) {
			if err := s.seal(); err != nil {
				s.report(err)
			}
		}
		if backoff.Sleep(ctx, wait) != nil {
			break
		}
	}
	r.o.Health.SetState(stateStopped)
	r.o.Health.Clear()
	return s.seal()
}

// session runs one session and tells how long to wait before the next.
func (r *Recorder) session(ctx context.Context, s *segmenter, pause *backoff.Backoff) time.Duration {
	r.o.Health.SetState(stateConnecting)
	host, err := r.connect(ctx, s)
	frames := s.session
	s.endSession()
	if ctx.Err() != nil {
		return 0
	}
	r.o.Health.SetState(stateWaiting)
	fault := cameraFault(host, err)
	if r.o.Health.Raise(health.Failed, fault) {
		r.o.Log.Warn("no video from the camera", zap.Error(fault), zap.NamedError("cause", fault.Err))
	}
	switch {
	case refused(err):
		r.o.Refused()
		return refusedPause
	case frames >= healthyFrames:
		pause.Reset()
	}
	return pause.Next()
}

// connect plays one session to its end.
func (r *Recorder) connect(ctx context.Context, s *segmenter) (host string, err error) {
	url, err := r.o.URL(ctx)
	if err != nil {
		return "", err
	}
	cam, err := parseCamera(url)
	if err != nil {
		r.o.Refused() // it may have been corrected
		return "", err
	}
	return cam.host, play(ctx, cam, s, r.o.Now)
}
