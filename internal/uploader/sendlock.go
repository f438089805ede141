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
	requests atomic.Int32    // uploads on demand that wait for it or hold it
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

// request asks the holder to yield, until done is called. urgent: also where that is an upload on demand.
func (l *sendLock) request(urgent bool) (done func()) {
	if urgent {
		l.events.Add(1)
	}
	l.requests.Add(1)
	l.asked.Notify()
	return func() {
		l.requests.Add(-1)
		if urgent {
			l.events.Add(-1)
		}
		l.ended.Set()
	}
}

// requested reports whether an upload on demand waits or runs.
func (l *sendLock) requested() bool { return l.requests.Load() > 0 }

// urgent reports whether an upload of the media of an event waits or runs.
func (l *sendLock) urgent() bool { return l.events.Load() > 0 }

// wanted reports whether somebody waits for it.
func (l *sendLock) wanted() bool { return l.waiting.Load() > 0 }
