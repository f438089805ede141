package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// spillSize bounds the memory of a session: a fragment is written in one go up to this size, and in
// pieces of this size above it.
const spillSize = 4 << 20

// session is one PutMedia request that was answered with 200. Its goroutine reads the body; a second
// one, owned by run, sends acknowledgements.
type session struct {
	service  *Service
	st       *streamState
	info     StreamInfo
	start    time.Time // producer start timestamp
	relative bool
	began    time.Time
	ctx      context.Context
	cancel   context.CancelCauseFunc
	done     chan struct{}
	rc       *http.ResponseController
	body     io.Reader
	acks     *ackWriter

	// mu is held by the reading goroutine except while it waits for a byte of the body.
	mu      sync.Mutex
	file    *mediaFile
	tags    []Tag         // from before the first fragment, which they belong to
	current *fragment     // being read
	pending *fragment     // complete, but too short to be judged alone
	stored  *fragment     // the last that was
	last    time.Duration // of the fragments before
	any     bool          // last is valid
	quiet   error         // why a fragment that nothing followed was not stored
	bytes   *meteredBody
}

var errReset = errors.New("connection reset by an injected fault")

// failure is the reason for an ERROR acknowledgement.
type failure struct {
	id   int
	code string
	why  string
	of   *fragment // that it is about; nil = as blamed says
}

func (f *failure) Error() string { return f.code + ": " + f.why }

func fail(id int, format string, args ...any) *failure {
	return &failure{id: id, code: errorCodes[id], why: fmt.Sprintf(format, args...)}
}

// run serves the session and returns why it ended; nil when the producer ended the body.
func (se *session) run() error {
	stopDeadline := context.AfterFunc(se.ctx, func() {
		past := time.Unix(1, 0)
		_ = se.rc.SetWriteDeadline(past)
		_ = se.rc.SetReadDeadline(past) // frees a blocked read, and thereby ends the session
	})
	defer stopDeadline()
	se.bytes = &meteredBody{se: se, rate: se.service.faults.readRate(se.st.name)}
	if err := se.rc.Flush(); err != nil {
		return err
	}
	go se.acks.run(se.ctx, se.service.o.Limits.IdleInterval, se.idle, func(err error) {
		se.cancel(fmt.Errorf("the producer does not take its acknowledgements: %w", err))
	})
	se.mu.Lock()
	defer se.mu.Unlock()
	err := se.read()
	if cause := context.Cause(se.ctx); cause != nil {
		err = cause // a read that failed because of the cause says nothing new
	}
	se.conclude(err)
	se.acks.stop(err == nil)
	return err
}

// conclude tells the producer, the log and the counters how the session ended.
func (se *session) conclude(err error) {
	log := se.service.log.With(zap.String("stream", se.st.name))
	failed := (*failure)(nil)
	switch {
	case err == nil:
		log.Debug("PutMedia ended")
		return
	case errors.As(err, &failed):
		a := ack{event: EventError, id: failed.id, code: failed.code}
		if f := se.blamed(failed); f != nil && f.number != "" {
			a.fragment, a.timecode, a.number = true, f.timecode, f.number
		}
		se.send(a)
		se.st.update(func() {
			se.st.stats.Errors++
			se.st.stats.LastError = failed.Error()
		})
		log.Warn("PutMedia fragment refused", zap.Error(err))
	default:
		log.Info("PutMedia connection ended", zap.Error(err))
		if se.current != nil && !se.current.committed || se.pending != nil {
			se.st.update(func() { se.st.stats.Torn++ })
		}
	}
	if se.file != nil {
		if err := se.file.discard(); err != nil {
			log.Error("cannot drop an unfinished fragment from the media file", zap.Error(err))
		}
	}
}

// blamed is the fragment that an ERROR is about.
func (se *session) blamed(f *failure) *fragment {
	if f.of != nil {
		return f.of
	}
	if se.current == nil || f.code == minFragmentDuration && se.pending != nil {
		return se.pending
	}
	return se.current
}

// read takes the body to its end.
func (se *session) read() error {
	if err := se.strike(BeforeBody); err != nil {
		return err
	}
	limits := se.service.o.Limits
	r := strictmkv.NewReader(se.bytes, strictmkv.Options{MaxTracks: limits.MaxTracks, MaxPayload: limits.MaxFragmentBytes, Tap: se.tap})
	for {
		event, err := r.Next()
		if err != nil {
			return se.endOfBody(r, err)
		}
		if err := se.handle(r, event); err != nil {
			return err
		}
	}
}

// endOfBody judges why the reader stopped.
func (se *session) endOfBody(r *strictmkv.Reader, err error) error {
	var bad *strictmkv.Error
	var failed *failure
	switch {
	case se.quiet != nil:
		return se.quiet
	case errors.As(err, &failed):
		return failed
	case errors.Is(err, io.EOF), se.bytes.read == 0 && se.bytes.err == nil, se.bytes.read == 0 && errors.Is(se.bytes.err, io.EOF):
		return se.settle(nil)
	case se.bytes.err != nil && !errors.Is(se.bytes.err, io.EOF):
		return fmt.Errorf("the connection broke after %d bytes: %w", r.Offset(), se.bytes.err)
	case errors.Is(err, strictmkv.ErrTooManyTracks):
		return fail(tooManyTracks, "%v", err)
	case errors.Is(err, strictmkv.ErrUnknownTrack):
		return fail(trackNumberMismatch, "%v", err)
	case errors.As(err, &bad):
		return fail(invalidMKV, "%v", err)
	}
	return fail(internalError, "%v", err)
}

func (se *session) handle(r *strictmkv.Reader, event strictmkv.Event) error {
	switch event.Kind {
	case strictmkv.KindHeader:
		file, err := se.st.fileFor(r.Header())
		if err != nil {
			return fail(internalError, "cannot store media: %v", err)
		}
		se.file = file
	case strictmkv.KindTags:
		return se.takeTags(event.Tags)
	case strictmkv.KindFragmentStart:
		return se.beginFragment(r.Header(), event)
	case strictmkv.KindBlock:
		return se.takeBlock(event)
	case strictmkv.KindFragmentEnd:
		return se.endFragment(r.Header())
	}
	return nil
}

// settle accepts a pending fragment; next is the one whose start ends it, nil when there is none.
func (se *session) settle(next *fragment) error {
	f := se.pending
	if f == nil {
		return nil
	}
	if next != nil {
		if lasted := next.begin - f.begin; lasted < se.service.o.Limits.MinFragmentDuration {
			return &failure{code: minFragmentDuration, why: fmt.Sprintf("the fragment at %d ms lasts %v; the minimum is %v", f.timecode, lasted, se.service.o.Limits.MinFragmentDuration)}
		}
	}
	se.pending = nil
	return se.store(f)
}

// store acknowledges a complete fragment and commits it.
func (se *session) store(f *fragment) error {
	next := se.current
	se.current = f // what goes wrong from here on is about this one
	se.send(f.ack(EventReceived))
	if err := se.strike(AfterReceived); err != nil {
		return err
	}
	stored := Fragment{
		Stream: se.st.name, Number: f.number, Producer: f.producer, Server: f.server, Duration: f.latest - f.begin,
		Bytes: f.stored, Frames: f.frames(), SHA256: f.sum, File: se.file.name, Offset: se.file.end,
	}
	if err := se.service.index.append(stored.line()); err != nil {
		return fail(internalError, "cannot note the fragment: %v", err)
	}
	se.st.update(func() {
		se.file.end += f.stored
		se.st.fragments = append(se.st.fragments, stored)
		se.st.frames += stored.Frames
		se.st.stats.Fragments++
		se.st.stats.Bytes += stored.Bytes
	})
	f.committed, se.stored = true, f
	if err := se.keepTags(f, f.tags); err != nil {
		return err
	}
	if err := se.strike(AfterStored); err != nil {
		return err
	}
	se.current = next
	if se.info.RetentionHours > 0 {
		persisted := f.ack(EventPersisted)
		if d := se.service.faults.persistedDelay(se.st.name); d > 0 {
			persisted.due = time.Now().Add(d)
		}
		se.send(persisted)
	}
	return nil
}

func (se *session) send(a ack) {
	if !se.service.faults.dropped(se.st.name, a.event) {
		se.acks.push(a)
	}
}

// strike carries out a fault that is set for this point.
func (se *session) strike(p Point) error {
	hit := se.service.faults.at(se.st.name, p)
	if hit == nil {
		return nil
	}
	if hit.fault.action != actHang {
		return injected(hit)
	}
	se.acks.hold(true)
	select {
	case <-hit.cleared:
		se.acks.hold(false)
		return nil
	case <-se.ctx.Done():
		return context.Cause(se.ctx)
	}
}

func injected(hit *Injected) error {
	if hit.fault.action == actError {
		return &failure{id: hit.fault.ack.id, code: hit.fault.ack.code, why: "injected " + hit.fault.at.String()}
	}
	return errReset
}

// idle is called by the acknowledging goroutine, again and again.
func (se *session) idle() {
	since := se.bytes.waiting.Load()
	if since == 0 {
		return
	}
	silent := time.Since(se.began) - time.Duration(since)
	if silent >= se.service.o.Limits.IdleTimeout {
		se.cancel(errIdle)
	} else if silent >= se.service.o.Limits.IdleInterval {
		se.settleQuietly()
		se.send(ack{event: EventIdle})
	}
}

// settleQuietly stores a fragment that waits for the next one to prove its duration: nothing
// follows. Where that fails, the reading goroutine is told.
func (se *session) settleQuietly() {
	if !se.mu.TryLock() {
		return // a byte has just come
	}
	defer se.mu.Unlock()
	if se.quiet = se.settle(nil); se.quiet != nil {
		_ = se.rc.SetReadDeadline(time.Unix(1, 0))
	}
}

// meteredBody is the request body, read no faster than the limits and faults allow.
type meteredBody struct {
	se      *session
	rate    float64 // bytes/s, of a fault; 0 = none
	read    int64
	err     error        // what the body failed with
	waiting atomic.Int64 // since when a byte is waited for, in ns after the session began; 0 = not waiting
}

func (b *meteredBody) Read(p []byte) (int, error) {
	if b.rate > 0 {
		p = p[:max(1, min(len(p), int(b.rate/10)))]
	}
	b.waiting.Store(int64(max(1, time.Since(b.se.began))))
	b.se.mu.Unlock()
	n, err := b.se.body.Read(p)
	b.se.mu.Lock()
	b.waiting.Store(0)
	b.read += int64(n)
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
