package uploader

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/pulse"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/refused"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/rules"
)

// jitterShare of MaxSession is taken off at random, so that a hub's streams do not renew together.
const jitterShare = 3.0 / 40

// errCapped says that nothing may be sent now, as the cap of the line does not allow it.
var errCapped = errors.New("the cap of the line is used")

// askCapAgain is how long it takes at the most until the cap is asked again.
const askCapAgain = time.Minute

// Run uploads the pending fragments, oldest first, and then each fragment as soon as it is complete,
// until ctx ends. It then finishes the fragment that is being written and waits up to 4 s for missing
// acknowledgements. It returns nil.
func (u *Uploader) Run(ctx context.Context) error {
	_ = u.upload(ctx, mode{}) // ends with ctx only
	return nil
}

// RunLive is Run, but sends the newest fragment first, as soon as it is complete. The backlog of an outage
// is sent in between, oldest first.
func (u *Uploader) RunLive(ctx context.Context) error {
	_ = u.upload(ctx, mode{live: true}) // ends with ctx only
	return nil
}

// RunLiveSince is RunLive for what was recorded since then only: what is older is uploaded on request.
func (u *Uploader) RunLiveSince(ctx context.Context, since time.Time) error {
	m := mode{live: true, from: since}
	u.own.Store(&m)
	if u.lock.lock(ctx) == nil {
		u.refuseLeft(ctx)
		u.lock.unlock()
	}
	_ = u.upload(ctx, m) // ends with ctx only
	return nil
}

// Drain is Run, but returns nil as soon as nothing is pending, and ctx's error when ctx ends first.
func (u *Uploader) Drain(ctx context.Context) error { return u.upload(ctx, mode{drain: true}) }

// RunInWindows runs windows, which calls Run or Drain now and then only. In between, recordings that could not be read are tried
// again, so that a disk that has recovered is not reported until the next window.
func (u *Uploader) RunInWindows(ctx context.Context, windows func(context.Context) error) error {
	ctx, end := context.WithCancel(ctx)
	var trying sync.WaitGroup
	defer trying.Wait()
	defer end()
	trying.Go(func() {
		again := pulse.NewTicker(refused.LookEvery)
		defer again.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-again.C:
			}
			err := supervise.Do("Reading the recordings of stream "+u.o.Stream+" again", func() error { return u.betweenWindows(ctx) })
			if err != nil {
				logevent.Condition(u.o.Log, health.FaultOf(err, supervise.Code))
			}
		}
	})
	return windows(ctx)
}

// betweenWindows tries again what could not be read, unless something is being uploaded.
func (u *Uploader) betweenWindows(ctx context.Context) error {
	if !u.uploading.Load() && u.lock.try() {
		defer u.lock.unlock()
		u.readAgain(ctx)
	}
	return nil
}

// readAgain tries again what could not be read, where no upload does. It ends early with ctx, and for a request.
func (u *Uploader) readAgain(ctx context.Context) {
	for _, key := range u.queue.Retry(func() bool { return u.hurries(ctx) }) {
		u.report.damaged(key)
	}
	if u.queue.Readable() {
		u.progress.readable()
	}
}

// watch opens the channels of a mode.
func (u *Uploader) watch(m *mode) (stop func()) {
	var caps, line, asked func()
	m.capChanges, caps = u.o.Cap.Watch()
	m.lineChanges, line = u.o.Line.Watch()
	m.asked, asked = u.lock.asked.Watch()
	return func() { caps(); line(); asked() }
}

// upload works through the pending fragments in that mode, until ctx ends or, when it drains, nothing is pending.
func (u *Uploader) upload(ctx context.Context, m mode) error {
	changes, stop := u.o.Store.Changes(u.o.Stream)
	defer stop()
	defer u.watch(&m)()
	defer func() {
		if ctx.Err() != nil && !m.onDemand {
			u.report.pause(stateStopped)
		}
	}()
	if !m.onDemand {
		u.own.Store(&m)
		u.uploading.Store(true)
		defer u.uploading.Store(false)
	}
	for ctx.Err() == nil {
		if m.onDemand && !m.urgent && u.lock.urgent() && !m.stepAside(func() {}) {
			break
		}
		if m.gaveUp != nil && m.gaveUp() {
			break
		}
		more, wait, err := u.round(ctx, m, changes)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, errMakesWay):
			if !u.awaitLine(ctx, m, changes) {
				return ctx.Err()
			}
		case err != nil && m.onDemand:
			return u.o.Cap.Fault(u.o.Stream)
		case err != nil:
			u.awaitCap(ctx, m, changes)
		case wait > 0 && m.urgent && (!more || u.poison.Persists(u.queue.Covers)):
			return errDeferred
		case wait > 0 && m.onDemand && (!more || u.poison.Persists(u.queue.Covers)):
			u.o.Health.SetState(stateWaiting)
			if u.lock.wanted() {
				wait = max(wait, u.turn)
			}
			if !m.stepAside(func() { _ = backoff.Sleep(ctx, wait) }) {
				return ctx.Err()
			}
		case wait > 0:
			u.o.Health.SetState(stateWaiting)
			wake := changes
			if more {
				wake = nil // new fragments wait for the end of the pause too
			}
			u.pause(ctx, m, wait, wake)
		case more:
		case m.drain:
			u.report.pause(stateIdle)
			return nil
		default:
			u.report.pause(stateIdle)
			u.await(ctx, m, changes)
		}
	}
	return ctx.Err()
}

// round runs one session; more is false when nothing can be sent now. It returns how long to wait before the
// next round. The error is errCapped, errMakesWay, or nil.
func (u *Uploader) round(ctx context.Context, m mode, changes <-chan struct{}) (more bool, wait time.Duration, err error) {
	if !m.onDemand {
		if u.lock.lock(ctx) != nil {
			return false, 0, nil
		}
		defer u.lock.unlock()
		if u.lock.requested() {
			return true, 0, nil // the upload on demand waits for the lock already
		}
	}
	defer u.queue.Release()
	u.aim(m)
	first, ok := u.queue.Peek()
	if !ok {
		more, wait = u.rest(ctx, m)
		return more, wait, nil
	}
	first, t, ok := u.live.choose(m, first)
	if !ok {
		return false, 0, nil
	}
	if u.o.Cap.May(m.class(t), first.Bytes()) == meter.Refused {
		return false, 0, errCapped
	}
	if !u.mayBegin(m, t, first) {
		return false, 0, errMakesWay
	}
	began := time.Now()
	wait = u.attempt(ctx, first, changes, session{u: u, mode: m, turn: t})
	if t.order == liveEdge {
		u.live.took = time.Since(began)
	}
	return true, wait, nil
}

// aim has the queue begin again with what the mode uploads. The caller holds the lock.
func (u *Uploader) aim(m mode) {
	u.queue.Restart()
	if m.onDemand || !m.from.IsZero() {
		u.queue.Restrict(m.from, m.to, m.without)
	}
}

// attempt opens the session e, which begins with first, uploads in it for as long as it lasts, and returns
// how long to wait before the next.
func (u *Uploader) attempt(ctx context.Context, first queue.Fragment, changes <-chan struct{}, e session) time.Duration {
	if backoff.Sleep(ctx, u.pace.Session()) != nil {
		return 0
	}
	e.header = u.queue.Header()
	e.header.Start = e.header.Start.Add(first.Wire())
	e.final = u.finalAck.event(ctx)
	var err error
	e.conn, err = u.o.Cloud.PutMedia(ctx, kvs.PutMediaInput{
		Stream: u.o.Stream, Start: time.UnixMilli(first.At()), Header: mkv.AppendStreamHeader(nil, e.header),
		Pace:      u.pace.Bytes,
		WriteSize: u.pace.Chunk,
	})
	if err != nil {
		if ctx.Err() != nil {
			return 0
		}
		return u.failed(rules.OfOpen(err), err)
	}
	u.report.opened()
	now := time.Now()
	e.opened, e.until = now, now.Add(sessionLife(u.o.MaxSession, e.conn.CredentialsEnd(), now))
	e.timing.lastProgress, e.timing.lastWrite = now, now
	return e.run(ctx, changes)
}

// sessionLife returns for how long new fragments may be sent in a session.
func sessionLife(most time.Duration, credentialsEnd, now time.Time) time.Duration {
	life := most - time.Duration(rand.Float64()*jitterShare*float64(most))
	if !credentialsEnd.IsZero() {
		// Credentials that should have been renewed are not a reason to open sessions all the time.
		life = min(life, max(credentialsEnd.Sub(now), time.Minute))
	}
	return life
}

// rest is a round in which only deferred, unreadable or refused fragments are left.
func (u *Uploader) rest(ctx context.Context, m mode) (more bool, wait time.Duration) {
	u.progress.settle(&flight{})
	if u.poison.Release() > 0 {
		return true, 0
	}
	if !m.onDemand {
		u.poison.Prune(u.queue.Pends)
		u.report.stuck(u.poison.Stuck())
	}
	due, deferred := u.poison.NextDue(u.queue.Covers)
	if at, ok := u.queue.NextRetry(queue.UnreadableWait); m.drain && ok && (!deferred || at.Before(due)) {
		due, deferred = at, true
	}
	if deferred {
		return false, max(time.Until(due), time.Millisecond)
	}
	if m.onDemand {
		return false, 0
	}
	u.refuseLeft(ctx)
	if u.refused.RequeueFreed(m.covers) {
		return true, 0
	}
	if f, ok := u.refused.RequeueDue(true, m.covers); ok {
		u.poison.Add(f) // to be sent alone
		return true, 0
	}
	if u.queue.Readable() {
		u.progress.readable()
		u.report.noneLeft()
	}
	return false, 0
}

// pause waits for that long, or less when an upload on demand is requested, or wake receives.
func (u *Uploader) pause(ctx context.Context, m mode, wait time.Duration, wake <-chan struct{}) {
	asked := m.asked
	if m.urgent {
		asked = nil // it is the requested upload itself
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-asked:
	case <-wake:
	case <-ctx.Done():
	}
}

// await waits for a change of the store, the end of a request, or until a segment that could not be read is due for its next try.
func (u *Uploader) await(ctx context.Context, m mode, changes <-chan struct{}) {
	if u.lock.lock(ctx) != nil { // what is uploaded on demand changes the queue meanwhile
		return
	}
	u.aim(m)
	wait := queue.UnreadableFor
	if at, ok := u.queue.NextRetry(queue.UnreadableFor); ok {
		wait = min(wait, time.Until(at))
	}
	u.lock.unlock()
	again := time.NewTimer(wait)
	defer again.Stop()
	select {
	case <-ctx.Done():
	case <-changes:
	case <-u.lock.ended.C():
	case <-again.C:
	}
}

// awaitCap waits for another answer of the cap, or of a live upload for a fragment that may be of another class.
func (u *Uploader) awaitCap(ctx context.Context, m mode, changes <-chan struct{}) {
	u.report.pause(stateCapped)
	if !m.live {
		changes = nil // what is recorded meanwhile joins the backlog
	}
	again := time.NewTimer(askCapAgain)
	defer again.Stop()
	select {
	case <-ctx.Done():
	case <-changes:
	case <-m.capChanges:
	case <-again.C:
	}
}
