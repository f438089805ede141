package uploader

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/pace"
)

// The defaults of Options.
const (
	DefaultMaxSession   = kvslimit.SessionAge - 5*time.Minute // as AWS's C producer renews
	DefaultStallTimeout = 30 * time.Second
	DefaultIdleTimeout  = kvslimit.SessionIdle - 10*time.Second // well before the service ends it
	DefaultInFlight     = 30                                    // fragments
	DefaultInFlightSize = 16_000_000                            // bytes
	DefaultRetryMax     = 30 * time.Second                      // the longest pause between two sessions
)

// Store is the recording directory; see segment.Store.
type Store interface {
	Segments(stream string, from, to time.Time) []segment.Info
	NextPending(after segment.Key, from, to time.Time) (segment.Key, bool)
	Usage(stream string) segment.Usage
	LastRecorded(stream string) time.Time
	Changes(stream string) (changes <-chan struct{}, stop func())
	Offsets(k segment.Key, at time.Duration) (wire, recorded time.Duration)
	OpenSegment(k segment.Key) (*segment.Reader, error)
	Done(k segment.Key, fragmentStart time.Duration) bool
	MarkPersisted(k segment.Key, f mkv.Fragment) error
	MarkRefused(k segment.Key, f mkv.Fragment, reason string) error
	NotesPending(stream string) bool
	MarkUploaded(k segment.Key) error
	Refused(stream string) []segment.Refused
	RefusedBefore(k segment.Key, fragmentStart time.Duration) (code string, ok bool)
	Requeue(k segment.Key, fragmentStarts []time.Duration, counted bool) error
}

// Cloud is Kinesis Video Streams; see kvs.Client.
type Cloud interface {
	PutMedia(ctx context.Context, in kvs.PutMediaInput) (*kvs.Session, error)
	Retention(ctx context.Context, stream string) (hours int, err error)
	InvalidateEndpoint(stream string)
	InvalidateCredentials()
}

// Options of an Uploader.
type Options struct {
	Stream string // required
	Store  Store  // required
	Cloud  Cloud  // required
	// Health is the stream's uploader part. Default one of its own.
	Health *health.Part
	// Log receives one line per episode. Default nowhere.
	Log *zap.Logger
	// Now is the wall clock, for what health shows. Default time.Now.
	Now func() time.Time
	// Audio says which sound is sent, and may say otherwise at any time: what is sent next follows.
	// Default: AudioPlayable.
	Audio func() Audio
	// Bandwidth is shared by all streams of the hub. nil = unlimited.
	Bandwidth *pace.Bandwidth
	// Retry paces attempts after failures that may pass. Default 500 ms doubling to 30 s.
	Retry backoff.Policy
	// AskUser paces attempts while a person must act. Default 1 min doubling to 5 min.
	AskUser backoff.Policy
	// MaxSession bounds a session; up to 7.5 % of it are taken off at random. Default DefaultMaxSession.
	MaxSession time.Duration
	// StallTimeout ends a session in which neither a byte nor an acknowledgement moves. It doubles
	// with every stall in a row, up to 16 times. Default DefaultStallTimeout.
	StallTimeout time.Duration
	// IdleTimeout ends a session that has nothing to send. Default DefaultIdleTimeout.
	IdleTimeout time.Duration
	// MaxInFlight and MaxInFlightBytes bound what is sent and not acknowledged. Two fragments may
	// always have more bytes: the service acknowledges the first when the second begins.
	// Default DefaultInFlight and DefaultInFlightSize.
	MaxInFlight      int
	MaxInFlightBytes int64
}
