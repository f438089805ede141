package uploader

import (
	"context"
	"sync/atomic"

	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// sendLock is held by the one goroutine that sends: the service accepts one connection for each stream. An upload on
// demand requests it, and a continuous upload that holds it yields.
type sendLock struct {
	held     chan struct{}   // capacity 1
	open     atomic.Int32    // uploads on demand
	requests atomic.Int32    // of these: that wait for it or hold it
	events   atomic.Int32    // of these: of the media of events
	waiting  atomic.Int32    // goroutines that wait for it
	asked    signal.Watchers // notified with each request
	ended    signal.Signal   // set with the end of each
}

func newSendLock() *sendLock {
	return &sendLock{held: make(chan struct{}, 1), ended: signal.New()}
}

// lock waits for it. The goroutine that has waited longest is next.
func (l *sendLock) lock(ctx context.Context) error {
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	select {
	case l.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// try reports whether it was free, and then holds it.
func (l *sendLock) try() bool {
	select {
	case l.held <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l *sendLock) unlock() { <-l.held }

// request is that of an upload on demand for the lock.
type request struct {
	l      *sendLock
	urgent bool
}

// request asks the holder to yield, until end is called. urgent: also where that is an upload on demand.
func (l *sendLock) request(urgent bool) request {
	l.open.Add(1)
	r := request{l, urgent}
	r.ask()
	return r
}

func (r request) ask() {
	r.count(1)
	r.l.asked.Notify()
}

func (r request) count(n int32) {
	if r.urgent {
		r.l.events.Add(n)
	}
	r.l.requests.Add(n)
}

// yield calls meanwhile without the lock, which others may have then, also a continuous upload. It reports false, without the lock, when
// ctx has ended.
func (r request) yield(ctx context.Context, meanwhile func()) bool {
	r.count(-1)
	r.l.unlock()
	meanwhile()
	r.ask()
	return r.l.lock(ctx) == nil
}

func (r request) end() {
	r.count(-1)
	r.l.open.Add(-1)
	r.l.ended.Set()
}

// requested reports whether an upload on demand waits or runs.
func (l *sendLock) requested() bool { return l.requests.Load() > 0 }

// urgent reports whether an upload of the media of an event waits or runs.
func (l *sendLock) urgent() bool { return l.events.Load() > 0 }

// wanted reports whether somebody waits for it.
func (l *sendLock) wanted() bool { return l.waiting.Load() > 0 }
