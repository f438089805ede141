// Package recorder owns the way from a camera to the segment store: RTSP session, access units,
// producer times, fragments. It must not know what becomes of a segment, nor when to record: it
// records from Run's begin to its end.
package recorder

import (
	"context"
	"crypto/x509"
	"errors"
	"math"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
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

const (
	// refusedPause is the least time between two tries with a password that the camera refuses:
	// cameras lock accounts.
	refusedPause = time.Minute
	// sealAfter is how long a segment stays open for a camera that is gone.
	sealAfter = 10 * time.Second
	// healthyFrames is what a session must have brought for the next try to come at once.
	healthyFrames = 50
	// healthyPause is what "at once" means: a camera needs a moment to let go of a session.
	healthyPause = 100 * time.Millisecond
)

// The values of Options.Transport.
const (
	TransportAuto = "auto" // TCP, and UDP for cameras that do not send over TCP
	TransportTCP  = "tcp"
	TransportUDP  = "udp"
)

// forever is how long a file that was played once waits: until its window closes.
const forever = time.Duration(math.MaxInt64)

// staleLimit is how long a camera keeps a session that nobody ended (RFC 2326, section 12.37).
const staleLimit = time.Minute

// Options of a Recorder.
type Options struct {
	// Stream is the stream's name. Required.
	Stream string
	// URL gives the camera's URL whenever a session begins. Its error is shown as it is. Required.
	URL func(ctx context.Context) (secret.String, error)
	// File says that the URL is that of a file in MediaDirectory, which is played instead of a camera.
	File bool
	// MediaDirectory holds the files that may be played. Required with File.
	MediaDirectory string
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
	// Transport is how RTP comes: TransportAuto, TransportTCP or TransportUDP. Default TransportAuto.
	Transport string
	// TimestampSource is whose clock times follow: TimestampHub or TimestampCamera. Default TimestampHub.
	TimestampSource string
	// NoAudio leaves audio out of the recording.
	NoAudio bool
	// CameraRoots sign the certificates of rtsps:// cameras. Default: the system's roots.
	CameraRoots *x509.CertPool
	// Backoff paces the tries to reach the camera. Default: 0.5 s doubling to 30 s.
	Backoff backoff.Policy
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

	noHold       bool // see openingHold
	numbers      numbers
	maxBytes     int64                                          // see dialogue
	maxUnit      int                                            // see accessunit.MaxBytes
	openingLimit time.Duration                                  // see openingLimit
	staleLimit   time.Duration                                  // see staleLimit
	pace         func(ctx context.Context, due time.Time) error // of a file; see untilDue
	wrapWriter   func(segmentWriter) segmentWriter
	wrapCodec    func(accessunit.Codec) accessunit.Codec
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
	udp     bool // the transport of the next session
	loops   bool // the file begins anew at its end
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
	if o.maxBytes == 0 {
		o.maxBytes = floodLimit
	}
	if o.openingLimit == 0 {
		o.openingLimit = openingLimit
	}
	if o.maxUnit == 0 {
		o.maxUnit = accessunit.MaxBytes
	}
	if o.pace == nil {
		o.pace = untilDue
	}
	if o.staleLimit == 0 {
		o.staleLimit = staleLimit
	}
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
	return &Recorder{o: o, udp: o.Transport == TransportUDP, goesOn: o.GoesOn}
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
		if wait >= sealAfter || v.idle() > sealAfter && time.Since(began) < sealAfter {
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

// session runs one session and tells how long to wait before the next.
func (r *Recorder) session(ctx context.Context, v *supervisor, pause *backoff.Backoff) (wait time.Duration) {
	if !r.waiting { // with each try it is still the same wait
		r.o.Health.SetState(stateConnecting)
	}
	v.frames = 0
	host, err := r.connect(ctx, v)
	frames := v.frames
	r.waiting = r.waiting && frames == 0
	v.endSession()
	if ctx.Err() != nil {
		return 0
	}
	if errors.Is(err, errPlayed) {
		r.waiting = false
		r.o.Health.SetState(statePlayed)
		r.o.Log.Info("the file is played to its end")
		return forever
	}
	r.waiting = true
	r.o.Health.SetState(stateWaiting)
	fault := r.excused(cameraFault(host, err), err, frames)
	if !errors.As(err, new(noURL)) && fault.Code != codeInternal && frames < healthyFrames {
		r.o.Failed(fault)
	}
	if r.o.Health.Report(health.ScopeRecord, health.Failed, fault) {
		r.o.Log.Warn("no video from the camera", zap.Error(fault), zap.NamedError("cause", fault.Err))
	}
	if !errors.Is(err, errStale) {
		r.stale = 0
	}
	switch {
	case r.o.File && frames > 0 && fault.Code != codeInternal && !r.loops: // it is damaged; from its begin it would come again
		r.o.Health.SetState(statePaused)
		return forever
	case refused(err):
		return refusedPause
	case errors.Is(err, errStale):
		if r.stale++; r.stale == 2 {
			return r.o.staleLimit
		}
	case errors.Is(err, accessunit.ErrHuge), errors.Is(err, errFlood), errors.Is(err, errEarly), errors.Is(err, errChatter): // it would only come again
	case frames >= healthyFrames:
		pause.Reset()
		return healthyPause
	case r.o.fallsBack() && wrongTransport(err, frames):
		r.udp = !r.udp
		r.o.Log.Info("the camera is asked for another transport", zap.Bool("udp", r.udp))
	}
	return pause.Next()
}

// fallsBack reports whether another transport may be tried.
func (o Options) fallsBack() bool { return o.Transport != TransportTCP && o.Transport != TransportUDP }

// wrongTransport reports whether a session ended so that another transport may help.
func wrongTransport(err error, frames int64) bool {
	var answer *statusError
	return errors.Is(err, errTransport) || errors.Is(err, errStall) && frames == 0 ||
		errors.As(err, &answer) && answer.code == statusTransport
}

// connect plays one session to its end.
func (r *Recorder) connect(ctx context.Context, to datedSink) (host string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(host, p)
		}
	}()
	url, err := r.o.URL(ctx)
	if err != nil {
		return "", noURL{err}
	}
	if r.o.File {
		host = "the media directory"
		f, err := parseClip(url, r.o.MediaDirectory)
		if err == nil {
			f.sound, f.now, r.loops = !r.o.NoAudio, r.o.Now, f.loop
			err = f.play(ctx, to, r.o.pace)
		}
		return host, err
	}
	cam, err := parseCamera(url)
	if err != nil {
		return "", err
	}
	host = cam.host
	hold := newOpeningHold(to, !r.o.noHold)
	defer hold.release()
	return host, dialogue{
		camera: cam, udp: r.udp, wantsAudio: !r.o.NoAudio, roots: r.o.CameraRoots, maxBytes: r.o.maxBytes,
		maxUnit: r.o.maxUnit, now: r.o.Now, openingLimit: r.o.openingLimit, wrapCodec: r.o.wrapCodec,
	}.play(ctx, hold)
}
