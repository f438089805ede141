package media

import (
	"io"
	"sync/atomic"
	"time"
)

// meteredBody is the request body, read no faster than the limits and faults allow.
type meteredBody struct {
	se      *session
	rate    float64 // bytes/s, of a fault; 0 = none
	read    int64
	err     error        // what the body failed with
	waiting atomic.Int64 // since when a byte is waited for, in ns after the session began; 0 = not waiting
	idled   atomic.Bool  // the idle time-out has ended the body
}

func (b *meteredBody) Read(p []byte) (int, error) {
	if b.rate > 0 {
		p = p[:max(1, min(len(p), int(b.rate/10)))]
	}
	b.waiting.Store(int64(max(1, time.Since(b.se.began))))
	n, err := b.se.body.Read(p)
	b.waiting.Store(0)
	b.read += int64(n)
	if err != nil && b.idled.Load() {
		err = io.EOF // the session ends as if its producer had ended it
	}
	if err != nil {
		b.err = err
	}
	if b.rate > 0 {
		wait(b.se.ctx.Done(), time.Duration(float64(n)/b.rate*float64(time.Second)))
	}
	b.se.heldBack(b.se.st.bytePace.take(float64(n)))
	return n, err
}

// heldBack lets the producer wait for the pace that the limits allow. Waits that no producer
// would notice are saved up.
func (se *session) heldBack(d time.Duration) {
	if d < 5*time.Millisecond {
		return
	}
	wait(se.ctx.Done(), d)
	se.st.mu.Lock()
	se.st.stats.Throttled += d
	se.st.mu.Unlock()
}

// idle is called by the acknowledging goroutine at intervals. It acknowledges silence, and ends
// the body when that lasts.
func (se *session) idle() {
	since := se.bytes.waiting.Load()
	if since == 0 {
		return
	}
	silent := time.Since(se.began) - time.Duration(since)
	if silent >= se.service.o.Limits.IdleTimeout {
		se.bytes.idled.Store(true)
		_ = se.rc.SetReadDeadline(time.Unix(1, 0)) // without support for deadlines the body continues
	} else if silent >= se.service.o.Limits.IdleInterval {
		se.send(ack{event: EventIdle})
	}
}
