package uploader

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/giveway"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/pace"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/refused"
)

// The defaults of Options.
const (
	defaultMaxSession   = kvslimit.SessionAge - 5*time.Minute // as AWS's C producer renews
	defaultStallTimeout = 30 * time.Second
	defaultIdleTimeout  = kvslimit.SessionIdle - 10*time.Second // well before the service ends it
	defaultInFlight     = 30                                    // fragments
	defaultInFlightSize = 16_000_000                            // bytes
	defaultRetryMax     = 30 * time.Second                      // the longest pause between two sessions
)

// store is the recording directory; see segment.Store.
type store interface {
	queue.Store
	refused.Store
	Segments(stream string, from, to time.Time) []segment.Info
	LastRecorded(stream string) time.Time
	Changes(stream string) (changes <-chan struct{}, stop func())
	MarkPersisted(k segment.Key, f mkv.Fragment) error
	MarkRefused(k segment.Key, f mkv.Fragment, reason string) error
	NotesPending(stream string) bool
}

// cloud is Kinesis Video Streams; see kvs.Client.
type cloud interface {
	PutMedia(ctx context.Context, in kvs.PutMediaInput) (*kvs.Session, error)
	Retention(ctx context.Context, stream string) (hours int, err error)
	InvalidateEndpoint(stream string)
	InvalidateCredentials()
}

// Counted counts what is paid for; see tally.Stream.
type Counted interface {
	// Call is called when a PutMedia session was opened.
	Call()
	// Persisted is called for each fragment that the service has stored: when its first and its last frame were recorded, and
	// the size of its cluster in bytes.
	Persisted(start, last time.Time, bytes int64)
}

// uncounted counts nothing.
type uncounted struct{}

func (uncounted) Call() {}

func (uncounted) Persisted(time.Time, time.Time, int64) {}

// LineCap is how much may be sent over the hub's line; see meter.Meter.
type LineCap interface {
	// May returns whether a fragment of that many bytes may be sent.
	May(class meter.Class, fragment int64) meter.Answer
	// Take is May, and reserves the bytes when it grants them, until Return is called with the same number.
	Take(class meter.Class, fragment int64) meter.Answer
	Return(fragment int64)
	// Watch receives when an answer may be another one.
	Watch() (changes <-chan struct{}, stop func())
	// Fault says why a request for the stream is refused.
	Fault(stream string) *health.Fault
}

// uncapped grants everything.
type uncapped struct{}

func (uncapped) May(meter.Class, int64) meter.Answer { return meter.Granted }

func (uncapped) Take(meter.Class, int64) meter.Answer { return meter.Granted }

func (uncapped) Return(int64) {}

func (uncapped) Watch() (changes <-chan struct{}, stop func()) { return nil, func() {} }

func (uncapped) Fault(string) *health.Fault { return nil }

// Audio is which audio is sent with the video.
type Audio = queue.Audio

// The values of Audio.
const (
	AudioPlayable = queue.AudioPlayable // what the console and HLS play together with video
	AudioAll      = queue.AudioAll
)

// Options of an Uploader.
type Options struct {
	Stream string // required
	Store  store  // required: a *segment.Store
	Cloud  cloud  // required: a *kvs.Client
	// Health is the stream's uploader component. Default: a new one that nobody reads.
	Health *health.Component
	// Log receives one line per episode. Default: none.
	Log *zap.Logger
	// Now is the wall clock, for what health shows. Default time.Now.
	Now func() time.Time
	// Audio returns which audio is sent. Its answer may change at any time and applies from the next fragment on.
	// Default: AudioPlayable.
	Audio func() Audio
	// Longest is how long fragments may be for the service, from their first frame to the last: an earlier upload of the stream called
	// TooLong with it. Longer ones are sent in parts where they can be. 0: as long as its documents say.
	Longest time.Duration
	// TooLong is called when the service has refused a fragment of several GOPs as too long, although its documents allow that
	// length: shorter ones should be recorded. Default none.
	TooLong func(longest time.Duration)
	// Receipts is called with the receipt of each fragment, or part of one, that the service has persisted. nil = none are kept.
	Receipts func(receipt.Receipt)
	// Sent is called for each fragment that is in the cloud, before it may be deleted, with when its first frame was recorded. Default:
	// nobody wants to know.
	Sent func(began time.Time)
	// Counted counts what is uploaded. nil = nobody does.
	Counted Counted
	// Bandwidth is shared by all streams of the hub. nil = unlimited.
	Bandwidth *pace.Bandwidth
	// Cap bounds what all streams of the hub send. nil = nothing does.
	Cap LineCap
	// Line says when what can wait has to make way for the media of events. nil = never.
	Line *giveway.Line
	// Events returns the ids of the events that media belongs to that was recorded between these times, as a tag has them. It is
	// called for each fragment that is sent. Default: none.
	Events func(began, ended time.Time) string
	// Retry has the pauses after transient failures. Default 500 ms doubling to 30 s.
	Retry backoff.Policy
	// AskUser has the pauses while a person must act. Default 1 min doubling to 5 min.
	AskUser backoff.Policy
	// MaxSession bounds a session; up to 7.5 % of it are taken off at random. Default 40 min.
	MaxSession time.Duration
	// StallTimeout ends a session in which neither a byte nor an acknowledgement moves. It doubles
	// with every stall in a row, up to 16 times. Default 30 s.
	StallTimeout time.Duration
	// IdleTimeout ends a session that has nothing to send. Default 20 s.
	IdleTimeout time.Duration
	// MaxInFlight and MaxInFlightBytes bound the fragments that are sent and not acknowledged. Two fragments may
	// always have more bytes: the service acknowledges the first when the second begins.
	// Default 30 and 16 MB.
	MaxInFlight      int
	MaxInFlightBytes int64

	clock func() time.Time // for the pauses of segments that cannot be read; default time.Now
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.clock == nil {
		o.clock = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	o.Log = o.Log.With(zap.String("stream", o.Stream), zap.String("job", health.JobUploader))
	if o.Health == nil {
		o.Health = health.NewRegistry(o.Now).Component(o.Stream, health.JobUploader)
	}
	if o.AskUser.Min <= 0 && o.AskUser.Max <= 0 {
		o.AskUser = backoff.Policy{Min: time.Minute, Max: 5 * time.Minute, Floor: time.Minute, Rand: o.AskUser.Rand}
	}
	if o.TooLong == nil {
		o.TooLong = func(time.Duration) {}
	}
	if o.Counted == nil {
		o.Counted = uncounted{}
	}
	if o.Cap == nil {
		o.Cap = uncapped{}
	}
	if o.Events == nil {
		o.Events = func(time.Time, time.Time) string { return "" }
	}
	if o.Sent == nil {
		o.Sent = func(time.Time) {}
	}
	if o.Audio == nil {
		o.Audio = func() Audio { return AudioPlayable }
	}
	o.MaxSession = orDefault(o.MaxSession, defaultMaxSession)
	o.StallTimeout = orDefault(o.StallTimeout, defaultStallTimeout)
	o.IdleTimeout = orDefault(o.IdleTimeout, defaultIdleTimeout)
	o.MaxInFlight = orDefault(o.MaxInFlight, defaultInFlight)
	o.MaxInFlightBytes = orDefault(o.MaxInFlightBytes, defaultInFlightSize)
	return o
}

func orDefault[T int | int64 | time.Duration](value, otherwise T) T {
	if value <= 0 {
		return otherwise
	}
	return value
}
