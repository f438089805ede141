package uploader

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/pace"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/poison"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/refused"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/rules"
)

// jitterShare of MaxSession is taken off at random, so that a hub's streams do not renew together.
const jitterShare = 3.0 / 40

// Uploader brings one stream's recordings to the cloud. Run, RunLive and Drain are for one
// goroutine at a time; Range, Refused and SetTags may be called beside them.
type Uploader struct {
	o    Options
	lock sendLock // everything below but tags.set belongs to who holds it

	queue        *queue.Queue
	pace         *pace.Pace
	poison       *poison.List
	refused      *refused.List
	tags         *fragmentTags
	live         live
	ackDelay     ackDelay
	finalAck     finalAck
	retries      retries
	stallTimeout stallTimeout
	report       report
	progress     progress
}

// New returns an Uploader that has not begun.
func New(o Options) *Uploader {
	o = o.withDefaults()
	between := o.Retry
	if between.Max <= 0 {
		between.Max = defaultRetryMax
	}
	u := &Uploader{
		o: o, lock: newSendLock(), pace: pace.New(pace.Options{Bandwidth: o.Bandwidth}), poison: poison.New(between, o.Now),
		tags: newFragmentTags(o), finalAck: finalAck{cloud: o.Cloud, stream: o.Stream, log: o.Log},
		retries:      retries{cloud: o.Cloud, stream: o.Stream, retry: backoff.New(o.Retry), askUser: backoff.New(o.AskUser)},
		stallTimeout: stallTimeout{base: o.StallTimeout}, report: newReport(o),
	}
	u.queue = queue.New(queue.Options{
		Stream: o.Stream, Store: o.Store, Isolation: u.poison, Audio: o.Audio, Unreadable: u.report.unreadable, Now: o.clock,
	})
	u.live = live{stream: o.Stream, store: o.Store, queue: u.queue, deferred: u.poison.Deferred}
	u.refused = refused.New(refused.Options{
		Stream: o.Stream, Store: o.Store, Now: o.Now, Log: o.Log, PassedOver: u.queue.PassedOver, Unreadable: u.report.unreadable,
	})
	u.progress = progress{stream: o.Stream, store: o.Store, queue: u.queue, refused: u.refused, report: &u.report}
	return u
}

// Run uploads what is pending, oldest first, and then each fragment as soon as it is complete,
// until ctx ends. It then finishes the fragment in flight and waits up to 4 s for what is not
// acknowledged. It returns nil.
func (u *Uploader) Run(ctx context.Context) error {
	_ = u.upload(ctx, mode{}) // ends with ctx only
	return nil
}

// RunLive is Run, but the newest fragment goes first, as soon as it is complete. What was missed
// before, during an outage above all, goes in between, oldest first.
func (u *Uploader) RunLive(ctx context.Context) error {
	_ = u.upload(ctx, mode{live: true}) // ends with ctx only
	return nil
}

// Drain is Run, but returns nil as soon as nothing is pending, and ctx's error when it ends before.
func (u *Uploader) Drain(ctx context.Context) error { return u.upload(ctx, mode{drain: true}) }

// SetTags makes tags those of all fragments that are sent from now on. It may be called at any time;
// after an error those before stay.
func (u *Uploader) SetTags(tags []mkv.Tag) error { return u.tags.set(tags) }

// attempt opens the session e, which begins with first, uploads in it for as long as it lasts, and says
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
		Pace:  u.pace.Bytes,
		Piece: u.pace.Piece,
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

// sessionLife is how long a session may take on fragments.
func sessionLife(most time.Duration, credentialsEnd, now time.Time) time.Duration {
	life := most - time.Duration(rand.Float64()*jitterShare*float64(most))
	if !credentialsEnd.IsZero() {
		// Credentials that should have been renewed are no reason to begin again all the time.
		life = min(life, max(credentialsEnd.Sub(now), time.Minute))
	}
	return life
}

// failed reports an error and says how long to wait before the next attempt.
func (u *Uploader) failed(a rules.Answer, err error) time.Duration {
	u.retries.failures++
	u.report.interrupted(a, err, u.retries.failures)
	return u.retries.next(a.Rule)
}
