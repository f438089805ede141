package uploader

import (
	"context"
	"sync/atomic"

	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// sendLock is held by the one goroutine that sends: the service takes one connection for each stream. An upload on
// demand asks for it, and who holds it for longer yields.
type sendLock struct {
	held     chan struct{} // capacity 1
	requests atomic.Int32  // of uploads on demand that wait or hold it
	asked    signal.Signal // set with each request
}

func newSendLock() sendLock { return sendLock{held: make(chan struct{}, 1), asked: signal.New()} }

// lock waits for it. Whoever waits longest is next.
func (l *sendLock) lock(ctx context.Context) error {
	select {
	case l.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *sendLock) unlock() { <-l.held }

// request asks whoever holds it to yield, until done.
func (l *sendLock) request() (done func()) {
	l.requests.Add(1)
	l.asked.Set()
	return func() { l.requests.Add(-1) }
}

// requested reports whether an upload on demand is not served yet.
func (l *sendLock) requested() bool { return l.requests.Load() > 0 }
