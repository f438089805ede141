package uploader

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/pace"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/poison"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/refused"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/rules"
)

// Uploader uploads one stream's recordings. Run, RunLive and Drain are for one
// goroutine at a time; Range, Refused and SetTags may be called concurrently with them.
type Uploader struct {
	o    Options
	lock sendLock // guards everything below, except tags.set

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

// New returns an Uploader that sends nothing before one of its methods is called.
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
	u.live = live{stream: o.Stream, store: o.Store, queue: u.queue, deferred: u.poison.Deferred, capped: func(f queue.Fragment) bool {
		return u.o.Cap.May(meter.Backlog, f.Bytes()) == meter.Refused
	}}
	u.refused = refused.New(refused.Options{
		Stream: o.Stream, Store: o.Store, Now: o.Now, Log: o.Log, PassedOver: u.queue.PassedOver, Unreadable: u.report.unreadable,
	})
	u.progress = progress{stream: o.Stream, store: o.Store, queue: u.queue, refused: u.refused, report: &u.report}
	return u
}

// SetTags sets the tags of all fragments that are sent from now on. It may be called at any time;
// after an error the previous tags stay.
func (u *Uploader) SetTags(tags []mkv.Tag) error { return u.tags.set(tags) }

// failed reports an error and returns how long to wait before the next attempt.
func (u *Uploader) failed(a rules.Answer, err error) time.Duration {
	u.retries.failures++
	u.report.interrupted(a, err, u.retries.failures)
	return u.retries.next(a.Rule)
}

// again returns when the first deferred or passed-over fragment is to be tried again.
func (u *Uploader) again() (at time.Time, ok bool) {
	at, ok = u.poison.NextDue(u.queue.Covers)
	if retry, has := u.queue.NextRetry(queue.UnreadableFor); has && (!ok || retry.Before(at)) {
		return retry, true
	}
	return at, ok
}
