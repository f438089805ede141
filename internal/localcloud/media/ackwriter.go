package media

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// writeTimeout ends a session whose producer does not read its acknowledgements.
const writeTimeout = 10 * time.Second

// ackWriter sends acknowledgements while the body is being read. It owns the response from the
// 200 on until stop returns.
type ackWriter struct {
	w  http.ResponseWriter
	rc *http.ResponseController

	mu      sync.Mutex
	before  []ack // pushed before hold: on their way already
	queue   []ack // to be sent at once
	delayed []ack // PERSISTED with a due time, in order
	held    bool
	ending  bool
	wake    signal.Signal
	done    chan struct{}
}

func newAckWriter(w http.ResponseWriter, rc *http.ResponseController) *ackWriter {
	return &ackWriter{w: w, rc: rc, wake: signal.New(), done: make(chan struct{})}
}

func (a *ackWriter) push(k ack) {
	a.mu.Lock()
	if k.due.IsZero() && (k.event != EventPersisted || len(a.delayed) == 0) {
		a.queue = append(a.queue, k)
	} else {
		a.delayed = append(a.delayed, k) // never overtaking a delayed one
	}
	a.mu.Unlock()
	a.wake.Set()
}

// hold stops the sending of acknowledgements that are pushed from now on, until hold(false): a black hole answers nothing.
func (a *ackWriter) hold(on bool) {
	a.mu.Lock()
	if on && !a.held {
		a.before, a.queue = append(a.before, a.queue...), nil
	}
	a.held = on
	a.mu.Unlock()
	a.wake.Set()
}

// stop waits until everything pushed was sent, or ctx ended. Without patience, what is delayed is dropped.
func (a *ackWriter) stop(patience bool) {
	a.mu.Lock()
	a.ending = true
	if !patience {
		a.delayed = nil
	}
	a.mu.Unlock()
	a.wake.Set()
	<-a.done
}

// run sends until stop and an empty queue, or until ctx ends. It ends the session with fail when
// the producer does not read an acknowledgement. idle is called every interval.
func (a *ackWriter) run(ctx context.Context, interval time.Duration, idle func(), fail func(error)) {
	defer close(a.done)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	due := time.NewTimer(time.Hour)
	defer due.Stop()
	var line []byte
	for {
		k, found, wait, finished := a.next()
		if found {
			line = k.appendJSON(line[:0])
			if err := a.send(ctx, line); err != nil {
				fail(err)
				return
			}
			continue
		}
		if finished {
			return
		}
		due.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-a.wake.C():
		case <-due.C:
		case <-tick.C:
			idle()
		}
	}
}

// next takes the one that may be sent now, or says how long to wait for it.
func (a *ackWriter) next() (k ack, found bool, wait time.Duration, finished bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k, ok := shift(&a.before); ok {
		return k, true, 0, false
	}
	if a.held {
		return ack{}, false, time.Hour, false
	}
	if k, ok := shift(&a.queue); ok {
		return k, true, 0, false
	}
	if len(a.delayed) == 0 {
		return ack{}, false, time.Hour, a.ending
	}
	if wait = time.Until(a.delayed[0].due); wait > 0 {
		return ack{}, false, wait, false
	}
	k, _ = shift(&a.delayed)
	return k, true, 0, false
}

func shift(list *[]ack) (first ack, ok bool) {
	if len(*list) == 0 {
		return ack{}, false
	}
	first = (*list)[0]
	*list = (*list)[1:]
	return first, true
}

// send writes and flushes one acknowledgement, so that it is an HTTP chunk of its own: AWS's C
// producer reads the first of what a chunk holds, and ignores the rest.
func (a *ackWriter) send(ctx context.Context, line []byte) error {
	// Without support for deadlines the connection's own end is the only bound.
	_ = a.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	if ctx.Err() != nil { // the session's end has set a deadline of its own
		return ctx.Err()
	}
	if _, err := a.w.Write(line); err != nil {
		return err
	}
	return a.rc.Flush()
}
