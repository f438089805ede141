package uploader

import (
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/pace"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/poison"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/refused"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/rules"
)

// Uploader uploads one stream's recordings. Run, RunLive, RunOnRequest and Drain are for one
// goroutine at a time; Range, Urgent, Refused, Current and SetTags may be called concurrently with them.
type Uploader struct {
	o    Options
	lock *sendLock // guards everything below, except tags.set and current

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
	accepted     accepted
	rate         float64              // bytes/s at which fragments were sent lately; 0 = not known
	current      atomic.Bool          // see Current
	leftLooked   time.Time            // when refuseLeft ran last, or had nothing to do; by the clock for pauses
	turn         time.Duration        // how long others have the lock while an upload on demand waits
	own          atomic.Pointer[mode] // how the stream's own upload runs, or ran last; nil = it did not yet
	resting      atomic.Bool          // RunOnRequest runs
	uploading    atomic.Bool          // Run, RunLive or Drain is at work
}

// accepted is how long fragments are that the service accepts, as far as its answers say.
type accepted struct {
	shortest time.Duration // from the start of one to that of the next of its session
	longest  time.Duration // from the first frame to the last; 0: as its documents say
}

// strict notes that the service refused a fragment as too short: those that last less than its documents say are the last of their
// sessions from now on, where they may be shorter, and so this one is sent again. It reports false for other reasons of a refusal.
func (a *accepted) strict(f queue.Fragment) bool {
	least := kvslimit.MinFragment
	if a.shortest == least || f.End()-f.At() >= least.Milliseconds() {
		return false
	}
	a.shortest = least
	return true
}

// New returns an Uploader that sends nothing before one of its methods is called.
func New(o Options) *Uploader {
	o = o.withDefaults()
	between := o.Retry
	if between.Max <= 0 {
		between.Max = defaultRetryMax
	}
	u := &Uploader{
		o: o, lock: newSendLock(), turn: between.Max, pace: pace.New(pace.Options{Bandwidth: o.Bandwidth}), poison: poison.New(between, o.Now),
		tags: newFragmentTags(o), finalAck: finalAck{cloud: o.Cloud, stream: o.Stream, log: o.Log},
		retries:      retries{cloud: o.Cloud, stream: o.Stream, retry: backoff.New(o.Retry), askUser: backoff.New(o.AskUser)},
		stallTimeout: stallTimeout{base: o.StallTimeout}, report: newReport(o),
	}
	u.queue = queue.New(queue.Options{
		Stream: o.Stream, Store: o.Store, Isolation: u.poison, Audio: o.Audio, Unreadable: u.report.unreadable, Now: o.clock,
		Longest: func() time.Duration { return u.accepted.longest },
	})
	u.live = live{stream: o.Stream, store: o.Store, queue: u.queue, deferred: u.poison.Deferred, capped: func(f queue.Fragment) bool {
		return u.o.Cap.May(meter.Backlog, f.Bytes()) == meter.Refused
	}}
	u.refused = refused.New(refused.Options{
		Stream: o.Stream, Store: o.Store, Now: o.Now, Log: o.Log, PassedOver: u.queue.PassedOver, Unreadable: u.report.unreadable,
	})
	u.progress = progress{stream: o.Stream, store: o.Store, queue: u.queue, refused: u.refused, report: &u.report}
	u.accepted = accepted{shortest: fragment.Least, longest: o.Longest}
	if o.Longest > 0 {
		u.report.tooLong(o.Longest)
	}
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
