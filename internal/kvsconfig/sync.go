// Package kvsconfig owns what the hub is to do: it merges what the KVS control plane lists, what messages say and what
// the disk kept into one desired set, has it applied, and answers with statuses. It must not know what recording or
// uploading is, nor how messages travel.
package kvsconfig

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/pulse"
)

// Syncer keeps what the hub does in sync with what the cloud wants.
type Syncer struct {
	o          Options
	hub        *hub
	lister     *lister
	conditions *conditions
	settling   chan chan struct{} // see Settle

	// For Run only.
	versions *versions
	disk     disk
	statuses *statuses
	failed   map[string]bool // streams whose last Apply or Remove failed
	heard    bool            // a message has configured a stream since the start

	any atomic.Bool // the cloud wants a stream
}

// Any reports whether the cloud wants a stream of this hub. It is safe for concurrent use.
func (s *Syncer) Any() bool { return s.any.Load() }

// New loads the last good set, and sets a damaged file aside. It uses no network.
func New(o Options) (*Syncer, error) {
	switch {
	case o.ThingName == "":
		return nil, errors.New("the thing name is not set")
	case o.KVS == nil || o.Applier == nil:
		return nil, errors.New("the control plane or the applier is not set")
	}
	o = o.withDefaults()
	hub := &hub{thing: o.ThingName, arn: o.HubDeviceARN}
	s := &Syncer{
		o: o, hub: hub, lister: newLister(o, hub), conditions: newConditions(o.Health, o.Log),
		settling: make(chan chan struct{}),
		versions: newVersions(), disk: disk{dir: o.Dir}, statuses: newStatuses(o.Publish), failed: make(map[string]bool),
	}
	s.loadLastGood()
	s.any.Store(len(s.versions.wanted()) > 0)
	s.lister.needless = func() bool { return o.Others() && !s.Any() }
	return s, nil
}

// Wanted is the desired set as the disk kept it. It is for before Run.
func (s *Syncer) Wanted() desired.Set { return s.versions.wanted() }

// RequestListing asks for a listing soon; requests in quick succession are one.
func (s *Syncer) RequestListing() { s.lister.wanted.Set() }

// List asks the control plane until ctx ends: at the start, when RequestListing was called, and now and then.
func (s *Syncer) List(ctx context.Context) { s.lister.run(ctx) }

// MessagesLost reports that messages came for which the inbox has no room.
func (s *Syncer) MessagesLost() {
	s.conditions.event(health.Info, health.SystemFault(codeMessage, nil, "More configuration messages arrived than can be kept; the hub's "+
		"configurations are listed instead."))
	s.RequestListing()
}

// saveEvery is how soon a failed save is tried again, and a file that somebody removed written again.
const saveEvery = 5 * time.Second

// ApplyLastGood makes the last good set run. It is called once, before anything else is tried.
func (s *Syncer) ApplyLastGood(ctx context.Context) {
	s.apply(ctx)
	s.applied(ctx, s.disk.hadLastGood)
	s.remove(ctx)
	s.save()
}

// Run is the one goroutine that changes the desired set, until ctx ends.
func (s *Syncer) Run(ctx context.Context) {
	later := newTimers(s.o.Timing)
	defer later.stop()
	if len(s.failed) > 0 {
		later.again.Reset(0)
	}
	saving := pulse.NewTicker(saveEvery) // of the state that could not be written before
	defer saving.Stop()
	var settled settlement
	defer settled.end()
	for {
		var r round
		select {
		case <-ctx.Done():
			return
		case <-s.o.Inbox.Ready():
			r = s.mergeMessages()
		case settled.done = <-s.settling:
			r = s.mergeMessages()
		case hub := <-s.lister.found:
			r = s.mergeHub(hub)
		case l := <-s.lister.results:
			r = s.mergeListing(l)
		case <-s.o.OutcomeChanged:
			r = round{apply: true}
		case <-later.again.C:
			r = round{apply: true, remove: true}
		case <-later.confirm.C:
			s.RequestListing()
		case <-saving.C: // save does it
		case <-later.afterPush.C:
			s.RequestListing()
		}
		// On disk before it is acknowledged, acknowledged before it is tried: a configuration that
		// takes the agent down must not come back with every connection.
		s.save()
		r.acknowledge()
		if r.apply {
			s.apply(ctx)
		}
		s.heard = s.heard || r.pushed
		// A hub that may not list hears nothing else. One that cannot be reached may still have more to say.
		s.applied(ctx, r.known || (s.heard || s.o.Others()) && s.lister.denied.Load())
		if r.remove {
			s.remove(ctx)
			s.save()
		}
		later.follow(r, len(s.failed) > 0)
		settled.end()
	}
}

// Settle waits until what the cloud had said when it was called is applied, or ctx ends: what is asked about a stream
// comes after the stream's configuration.
func (s *Syncer) Settle(ctx context.Context) {
	done := make(chan struct{})
	select {
	case s.settling <- done:
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// settlement is somebody who waits in Settle, if done is not nil.
type settlement struct{ done chan struct{} }

func (s *settlement) end() {
	if s.done != nil {
		close(s.done)
		s.done = nil
	}
}

// timers are what Run does later.
type timers struct {
	timing    Timing
	retry     *backoff.Backoff
	again     *time.Timer // of what failed
	confirm   *time.Timer
	afterPush *time.Timer
}

func newTimers(timing Timing) timers {
	return timers{timing: timing, retry: backoff.New(timing.Retry), again: stoppedTimer(), confirm: stoppedTimer(), afterPush: stoppedTimer()}
}

// follow sets what a round makes due.
func (t timers) follow(r round, failed bool) {
	switch {
	case !r.apply && !r.remove:
	case failed:
		t.again.Reset(t.retry.Next())
	default:
		t.again.Stop()
		t.retry.Reset()
	}
	if r.unsure {
		t.confirm.Reset(t.timing.Confirm)
	}
	if r.pushed {
		t.afterPush.Reset(t.timing.AfterPush)
	}
}

func (t timers) stop() {
	t.again.Stop()
	t.confirm.Stop()
	t.afterPush.Stop()
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}
