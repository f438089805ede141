package uploader

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
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

	fragments *bucket // paces fragments
	bytes     *bucket // paces bytes
	second    *second // bounds their bursts
	sessions  *bucket // paces PutMedia

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
	lookedRefused time.Time   // when none of them was due

	retention struct {
		asked time.Time // zero = not known
		none  bool      // the stream keeps nothing
	}
	withheld      *tagSet // tags that the service refused, which are left out; nil = none
	withheldUntil time.Time
	numbers       numbers
	soundAt       int64 // timecode of the newest fragment that CodeAudio was judged by
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
		turn: make(chan struct{}, 1), nudge: make(chan struct{}, 1),
		fragments: newBucket(fragmentsPerSecond, fragmentBurst), bytes: newBucket(bytesPerSecond, byteBurst),
		second: newSecond(mostInSecond), sessions: newBucket(sessionsPerSecond, 1),
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
	from, to int64                 // producer times in ms, when demand
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

// round is one session, or the finding that nothing can be sent now: then more is false. It says how long
// to wait before the next.
func (u *Uploader) round(ctx context.Context, m mode, changes <-chan struct{}) (more bool, wait time.Duration) {
	if !m.demand {
		if u.begin(ctx) != nil {
			return false, 0
		}
		defer u.end()
	}
	defer u.queue.release()
	u.queue.restart()
	if m.demand {
		u.queue.from, u.queue.to, u.queue.without = m.from, m.to, m.held
	}
	first, ok := u.queue.peek()
	if !ok {
		return u.rest(m)
	}
	first, e, ok := u.choose(m, first)
	if !ok {
		return false, 0
	}
	began := time.Now()
	wait = u.attempt(ctx, first, changes, e)
	if e.course == newest {
		u.turns.took = time.Since(began)
	}
	return true, wait
}

// rest is a round in which nothing is to be sent but what was set aside.
func (u *Uploader) rest(m mode) (more bool, wait time.Duration) {
	u.settle(nil)
	if u.suspects.release() > 0 {
		return true, 0
	}
	if !m.demand {
		u.suspects.prune(u.queue.pends)
		u.reportStuck()
	}
	due, aside := u.suspects.next(u.queue.covers)
	if at, ok := u.queue.retry(unreadableWait); m.drain && ok && (!aside || at.Before(due)) {
		due, aside = at, true
	}
	if aside {
		return false, max(time.Until(due), time.Millisecond)
	}
	if m.demand {
		return false, 0
	}
	if u.free() || u.retryOne() {
		return true, 0
	}
	if u.queue.readable() {
		u.reportNoneLeft()
	}
	return false, 0
}

// again tells when what is set aside or passed over is to be tried again.
func (u *Uploader) again() (at time.Time, ok bool) {
	at, ok = u.suspects.next(u.queue.covers)
	if retry, has := u.queue.retry(unreadableFor); has && (!ok || retry.Before(at)) {
		return retry, true
	}
	return at, ok
}

// pause lets wait pass, or less when somebody asks for an upload, or wake receives.
func (u *Uploader) pause(ctx context.Context, m mode, wait time.Duration, wake <-chan struct{}) {
	nudge := u.nudge
	if m.demand {
		nudge = nil // it is who asked
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-nudge:
	case <-wake:
	case <-ctx.Done():
	}
}

// await waits for a change of the store. Segments that could not be read are looked at again in time.
func (u *Uploader) await(ctx context.Context, changes <-chan struct{}) {
	wait := unreadableFor
	if at, ok := u.queue.retry(unreadableFor); ok {
		wait = min(wait, time.Until(at))
	}
	again := time.NewTimer(wait)
	defer again.Stop()
	select {
	case <-ctx.Done():
	case <-changes:
	case <-again.C:
	}
}

// attempt opens a session that begins with first, uploads in it for as long as it lasts, and says
// how long to wait before the next.
func (u *Uploader) attempt(ctx context.Context, first shot, changes <-chan struct{}, e session) time.Duration {
	if backoff.Sleep(ctx, u.sessions.take(1)) != nil {
		return 0
	}
	header := u.queue.header()
	final := u.finalEvent(ctx)
	s, err := u.o.Cloud.PutMedia(ctx, kvs.PutMediaInput{
		Stream: u.o.Stream, Start: time.UnixMilli(first.at()), Header: mkv.AppendStreamHeader(nil, header),
		Pace:  u.pace,
		Piece: u.o.Cap.piece,
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

// pace says how long that many bytes must wait. Short waits are put together, see shortestWait.
func (u *Uploader) pace(bytes int) time.Duration {
	wait := u.bytes.take(float64(bytes))
	if wait < shortestWait {
		wait = 0 // remains owed
	}
	return u.second.take(float64(bytes), max(wait, u.o.Cap.take(bytes)))
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

// through notes that a fragment, or a part of it, is in the cloud. whole says that all of it is; again,
// that others are to be tried again.
func (u *Uploader) through(s shot) (whole, again bool) {
	u.failures, u.careful, u.renewed = 0, false, false
	u.retry.Reset()
	u.askUser.Reset()
	if u.passes++; u.passes >= passesPerStall {
		u.stalls, u.passes = max(u.stalls-1, 0), 0
	}
	whole = s.split == nil || s.split.finish(s.part)
	again = u.suspects.pass(s, whole)
	u.reportThrough(s)
	switch {
	case whole && s.split != nil && s.split.refused != nil:
		u.refuseWhole(s.whole(), s.split.refused)
		whole = false
	case whole:
		u.tookAgain(s)
		u.noted(u.o.Store.MarkPersisted(s.key, s.frag))
		u.numbers.persisted.Add(1)
	}
	u.reportSound(s)
	u.reportWithheld()
	u.reportStuck()
	return whole, again
}

// refuse keeps a fragment on the hub that the service will never take. Of one that is split the other
// parts are sent first.
func (u *Uploader) refuse(s shot, v *verdict) {
	if s.split == nil {
		u.refuseWhole(s, v)
		return
	}
	if s.split.refused == nil {
		s.split.refused = v
	}
	if s.split.finish(s.part) {
		u.refuseWhole(s.whole(), s.split.refused)
	}
}

func (u *Uploader) refuseWhole(s shot, v *verdict) {
	title := v.title
	if title == "" {
		title = v.rule.title()
	}
	if _, before := u.o.Store.RefusedBefore(s.key, s.frag.Start); !before {
		u.numbers.skipped.Add(1)
	}
	u.noted(u.o.Store.MarkRefused(s.key, s.frag, title))
	u.suspects.forget(s.id())
	if v.rule.Tags {
		u.releaseTags() // it was refused without them too
	}
	u.reportRefused(s, v.rule, title)
	u.reportStuck()
}

// noted takes in how noting a fragment as done went. Of one that was deleted there is nothing to note.
func (u *Uploader) noted(err error) {
	u.unnoted = err != nil && !errors.Is(err, segment.ErrNotFound)
	if u.unnoted {
		u.unreadable(err)
	}
}

// settle moves segments to uploaded of which every fragment is done.
func (u *Uploader) settle(flight []shot) {
	switch err := u.queue.settle(flight); {
	case err != nil:
		u.unreadable(err)
	case !u.unnoted && u.queue.readable():
		u.reportReadable()
	}
}
