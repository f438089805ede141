package uploader

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/pace"
)

const (
	// jitterShare of MaxSession is taken off at random, so that a hub's streams do not renew together.
	jitterShare = 3.0 / 40
	// retentionLife is how long the stream's retention is taken for known.
	retentionLife = 10 * time.Minute
	// retentionTimeout bounds the question for it, on which a session must not wait.
	retentionTimeout = 5 * time.Second
)

// Uploader brings one stream's recordings to the cloud. Run, RunLive and Drain are for one
// goroutine at a time; Range may be called beside them.
type Uploader struct {
	o        Options
	log      *zap.Logger
	queue    *queue
	suspects *suspects
	window   window
	forecast forecast
	turns    turns // of a live upload
	retry    *backoff.Backoff
	askUser  *backoff.Backoff

	pace *pace.Pace

	tags atomic.Pointer[tagSet] // see SetTags; never nil

	// turn is held by whoever sends. All below but wanted and nudge belongs to the holder.
	turn   chan struct{}
	wanted atomic.Int32  // calls of Range
	nudge  chan struct{} // receives when wanted grows

	failures int  // in a row, without a fragment getting through
	unnoted  bool // the disk did not take the last note of a fragment that is done
	renewed  bool // credentials were asked for since a fragment got through, as these may have expired
	careful  bool // one fragment a session: the last session ended without one getting through
	stalls   int  // how often StallTimeout is doubled
	passes   int  // fragments since stalls changed

	freed         []string    // codes of refused fragments that the service took after all
	tried         []time.Time // when refused fragments were sent again by themselves, within a day
	lookedRefused time.Time   // when none of them was due, or one could not be queued
	unqueued      map[segment.Key]unqueued

	retention struct {
		asked time.Time // zero = not known
		none  bool      // the stream keeps nothing
	}
	withheld      *tagSet // tags that the service refused, which are left out; nil = none
	withheldUntil time.Time
	numbers       numbers
	soundAt       time.Time // when the newest fragment was recorded that CodeAudio was judged by
}

// New returns an Uploader that has not begun.
func New(o Options) *Uploader {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Health == nil {
		o.Health = health.NewRegistry(o.Now).Part(o.Stream, health.JobUploader)
	}
	if o.AskUser.Min <= 0 && o.AskUser.Max <= 0 {
		o.AskUser = backoff.Policy{Min: time.Minute, Max: 5 * time.Minute, Floor: time.Minute, Rand: o.AskUser.Rand}
	}
	if o.Audio == nil {
		o.Audio = func() Audio { return AudioPlayable }
	}
	o.MaxSession = orDefault(o.MaxSession, DefaultMaxSession)
	o.StallTimeout = orDefault(o.StallTimeout, DefaultStallTimeout)
	o.IdleTimeout = orDefault(o.IdleTimeout, DefaultIdleTimeout)
	o.MaxInFlight = orDefault(o.MaxInFlight, DefaultInFlight)
	o.MaxInFlightBytes = orDefault(o.MaxInFlightBytes, DefaultInFlightSize)
	u := &Uploader{
		o: o, log: o.Log.With(zap.String("stream", o.Stream)), suspects: newSuspects(o),
		retry: backoff.New(o.Retry), askUser: backoff.New(o.AskUser), numbers: numbersOf(o.Health),
		unqueued: make(map[segment.Key]unqueued),
		turn:     make(chan struct{}, 1), nudge: make(chan struct{}, 1),
		pace: pace.New(pace.Options{Bandwidth: o.Bandwidth}),
	}
	u.tags.Store(&tagSet{})
	u.queue = newQueue(o, u.suspects, u.unreadable)
	return u
}

func orDefault[T int | int64 | time.Duration](value, otherwise T) T {
	if value <= 0 {
		return otherwise
	}
	return value
}

// mode is how an uploader works through what is pending.
type mode struct {
	drain    bool                  // end when nothing is pending
	live     bool                  // newest first
	demand   bool                  // of Range, which has the turn
	from, to time.Time             // of what was recorded, when demand
	held     func(fragmentID) bool // those that are passed over; nil = none
	each     func(size int64)      // called when a fragment of so many bytes is done; nil = nobody wants to know
}

// Run uploads what is pending, oldest first, and then each fragment as soon as it is complete,
// until ctx ends. It then finishes the fragment in flight and waits up to 4 s for what is not
// acknowledged. It returns nil.
func (u *Uploader) Run(ctx context.Context) error {
	_ = u.upload(ctx, mode{}) // ends with ctx only
	return nil
}

// Drain is Run, but returns nil as soon as nothing is pending, and ctx's error when it ends before.
func (u *Uploader) Drain(ctx context.Context) error { return u.upload(ctx, mode{drain: true}) }

func (u *Uploader) upload(ctx context.Context, m mode) error {
	changes, stop := u.o.Store.Changes(u.o.Stream)
	defer stop()
	defer func() {
		if ctx.Err() != nil && !m.demand {
			u.reportPause(stateStopped)
		}
	}()
	for ctx.Err() == nil {
		more, wait := u.round(ctx, m, changes)
		switch {
		case ctx.Err() != nil:
		case wait > 0:
			u.o.Health.SetState(stateWaiting)
			wake := changes
			if more {
				wake = nil // they do not go before the pause is over either
			}
			u.pause(ctx, m, wait, wake)
		case more:
		case m.drain:
			u.reportPause(stateIdle)
			return nil
		default:
			u.reportPause(stateIdle)
			u.await(ctx, changes)
		}
	}
	return ctx.Err()
}

// attempt opens a session that begins with first, uploads in it for as long as it lasts, and says
// how long to wait before the next.
func (u *Uploader) attempt(ctx context.Context, first shot, changes <-chan struct{}, e session) time.Duration {
	if backoff.Sleep(ctx, u.pace.Session()) != nil {
		return 0
	}
	header := u.queue.header()
	header.Start = header.Start.Add(first.wire)
	final := u.finalEvent(ctx)
	s, err := u.o.Cloud.PutMedia(ctx, kvs.PutMediaInput{
		Stream: u.o.Stream, Start: time.UnixMilli(first.at()), Header: mkv.AppendStreamHeader(nil, header),
		Pace:  u.pace.Bytes,
		Piece: u.pace.Piece,
	})
	if err != nil {
		if ctx.Err() != nil {
			return 0
		}
		return u.failed(openRule(err), err, titleOf(err))
	}
	u.numbers.sessions.Add(1)
	u.o.Health.SetState(stateUploading)
	now := time.Now()
	e.u, e.s, e.header, e.final = u, s, header, final
	e.opened, e.moved, e.touched, e.until = now, now, now, now.Add(u.sessionLife(s, now))
	return e.run(ctx, changes)
}

// sessionLife is how long a session may take on fragments.
func (u *Uploader) sessionLife(s *kvs.Session, now time.Time) time.Duration {
	life := u.o.MaxSession - time.Duration(rand.Float64()*jitterShare*float64(u.o.MaxSession))
	if end := s.CredentialsEnd(); !end.IsZero() {
		// Credentials that should have been renewed are no reason to begin anew all the time.
		life = min(life, max(end.Sub(now), time.Minute))
	}
	return life
}

// finalEvent is the acknowledgement that ends a fragment's upload: RECEIVED when the stream keeps
// nothing. When that is not known it is assumed to keep media, as nothing is lost then.
func (u *Uploader) finalEvent(ctx context.Context) kvs.EventType {
	if u.retention.asked.IsZero() || time.Since(u.retention.asked) > retentionLife {
		ctx, cancel := context.WithTimeout(ctx, retentionTimeout)
		hours, err := u.o.Cloud.Retention(ctx, u.o.Stream)
		cancel()
		if err == nil {
			u.retention.none = hours == 0
		} else {
			u.log.Debug("the stream's retention is not known", zap.Error(err))
		}
		u.retention.asked = time.Now()
	}
	if u.retention.none {
		return kvs.Received
	}
	return kvs.Persisted
}

// failed reports an error and says how long to wait before the next attempt.
func (u *Uploader) failed(rule Rule, err error, title string) time.Duration {
	u.failures++
	u.forecast.forget()
	u.numbers.backlogDone.Set(0)
	u.report(rule, err, title)
	switch rule.Action {
	case NewEndpoint:
		u.o.Cloud.InvalidateEndpoint(u.o.Stream)
	case NewCredentials:
		u.o.Cloud.InvalidateCredentials()
	case AskUser:
		u.o.Cloud.InvalidateEndpoint(u.o.Stream) // the stream may come back elsewhere
		if rule.Renew && !u.renewed {
			u.renewed = true
			u.o.Cloud.InvalidateCredentials()
			break
		}
		return u.askUser.Next()
	case RetryNow:
		if u.failures == 1 {
			return 0
		}
	case Skip:
		if u.failures <= 3 {
			return 0
		}
	}
	return u.retry.Next()
}

// patience is how long nothing may move in a session.
func (u *Uploader) patience() time.Duration { return u.o.StallTimeout << u.stalls }

const (
	maxStalls = 4
	// passesPerStall is how many fragments must get through before patience halves again.
	passesPerStall = 16
)

func (u *Uploader) stalled() {
	u.stalls, u.passes = min(u.stalls+1, maxStalls), 0
	u.retention.asked = time.Time{} // perhaps we wait for an acknowledgement that never comes
}
