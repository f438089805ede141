// Package trickle keeps streams warm that are uploaded on request only: from time to time it has the newest fragment sent, so that a
// player opens a live session, and then asks for live video. It remembers which fragments these are, as no row in AWS IoT SiteWise says
// that they exist. It must not know how fragments are found, nor how they are sent.
package trickle

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

const (
	// Every is how long a stream is without an upload before it is cold, and so how often a fragment is sent of one that stays so.
	Every = time.Minute
	// probeEvery is how often cold streams are looked for.
	probeEvery = 5 * time.Second
	// fresh is how old a fragment may be: an older one does not show the present.
	fresh = 2 * time.Minute
	// sendWithin is how long the sending may take.
	sendWithin = 30 * time.Second
	// atOnce is how many fragments are sent at once, of a stream each.
	atOnce = 4
	// slowest is how much less often it is tried while it fails.
	slowest = 16
	// reportAfter is how often in a row it fails before that is reported.
	reportAfter = 3
)

// Code is that of the condition that the trickle does not work; with a slash and the stream's name behind where it is about that.
const Code = "sitewise-trickle"

// ErrBusy says that a fragment was not sent, as the stream is not cold.
var ErrBusy = errors.New("the stream is not cold")

// Fragment is the newest of a stream that can be sent.
type Fragment struct {
	Mark
	// Send sends it, after mark, and returns nil if it is in the cloud. ErrBusy: it was not sent, as others go first on the stream or on
	// the line, whether or not mark was called.
	Send func(ctx context.Context, mark func() error) error
}

// ended is when its last frame was recorded.
func (f Fragment) ended() time.Time { return time.UnixMilli(f.End + f.Shift) }

// Options of a Trickle. All are required.
type Options struct {
	Streams func() []string // of the cameras
	// Newest returns the newest complete fragment of a stream that was recorded since a time, unless it is in the cloud or refused.
	Newest func(stream string, since time.Time) (f Fragment, ok bool)
	// Busy reports whether a request for the stream is open that sends nothing now.
	Busy    func(stream string) bool
	Trusted func() bool // whether the wall clock can be trusted
	Marks   *Marks
	Now     func() time.Time
	Health  *health.Component
	Log     *zap.Logger
}

// Trickle sends the fragments. Note is safe for concurrent use with Run.
type Trickle struct {
	o Options

	mu      sync.Mutex
	streams map[string]*stream // guarded by mu
	raised  map[health.Scope]bool
}

// stream is what is known of one.
type stream struct {
	sent     time.Time // when something was persisted last, or was tried last
	end      int64     // Unix ms, the end of the newest media in the cloud; 0: not known
	length   int64     // ms, of that
	failures int       // in a row
	sending  bool
}

// New returns a Trickle that has sent nothing yet.
func New(o Options) *Trickle {
	return &Trickle{o: o, streams: make(map[string]*stream), raised: make(map[health.Scope]bool)}
}

// of returns what is known of a stream. Call with mu held.
func (t *Trickle) of(name string) *stream {
	s := t.streams[name]
	if s == nil {
		s = new(stream)
		if m, ok := t.o.Marks.Newest(name); ok {
			s.sent = time.UnixMilli(m.End + m.Shift)
			s.end, s.length = m.End, m.End-m.At
		}
		t.streams[name] = s
	}
	return s
}

// Note takes the receipt of a fragment that the service has persisted.
func (t *Trickle) Note(name string, r receipt.Receipt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.of(name)
	s.sent, s.failures = t.o.Now(), 0
	if end := r.Producer.Add(r.Length).UnixMilli(); end > s.end {
		s.end, s.length = end, r.Length.Milliseconds()
	}
}

// Run sends until ctx ends.
func (t *Trickle) Run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	places := make(chan struct{}, atOnce)
	again := time.NewTicker(probeEvery)
	defer again.Stop()
	for {
		names := t.o.Streams()
		t.sweep(names)
		for _, name := range names {
			f, ok := t.due(name)
			if !ok {
				continue
			}
			select {
			case places <- struct{}{}:
			default: // others are being sent; it stays due
				continue
			}
			t.set(name, func(s *stream) { s.sending = true })
			group.Go(func() {
				defer func() {
					t.set(name, func(s *stream) { s.sending = false })
					<-places
				}()
				t.send(ctx, name, f)
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

func (t *Trickle) set(name string, change func(*stream)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(t.of(name))
}

// due returns the fragment that is to be sent of a stream now.
func (t *Trickle) due(name string) (f Fragment, ok bool) {
	now := t.o.Now()
	t.mu.Lock()
	s := *t.of(name)
	t.mu.Unlock()
	if s.failures == 0 {
		t.ok(scopeOf(name))
	}
	wait := Every * time.Duration(min(slowest, 1<<min(s.failures, slowest)))
	since := now.Sub(s.sent)
	if s.sending || !t.o.Trusted() || since >= 0 && since < wait || since < 0 && since > -wait {
		return f, false
	}
	if t.o.Busy(name) {
		return f, false
	}
	if f, ok = t.o.Newest(name, now.Add(-fresh)); !ok || f.ended().Before(now.Add(-fresh)) || f.ended().After(now.Add(fresh)) {
		t.set(name, func(s *stream) { s.failures = 0 }) // nothing is missing in the cloud
		return f, false
	}
	// What would be beside media that is in the cloud already would make that longer, and one fragment after the other a row.
	apart := 2*max(f.End-f.At, s.length) + leastApart.Milliseconds()
	return f, !(s.end > f.At-apart && s.end < f.At+fresh.Milliseconds())
}

// leastApart is more than media without a gap can be apart, whatever the length of its fragments.
const leastApart = 3 * time.Second

// send sends a fragment of a stream.
func (t *Trickle) send(ctx context.Context, name string, f Fragment) {
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	began := t.o.Now()
	var unmarked error
	marked := false
	err := supervise.Do("Keeping stream "+name+" warm", func() error {
		return f.Send(ctx, func() error {
			unmarked = t.o.Marks.Add(name, f.Mark)
			marked = unmarked == nil
			return unmarked
		})
	})
	if errors.Is(err, ErrBusy) && marked {
		t.unsent(name, f)
	}
	if errors.Is(err, ErrBusy) || errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	if unmarked == nil {
		t.ok(scopeState)
	} else {
		t.report(scopeState, health.SystemFault(Code, unmarked, "Streams are not kept warm for players, as the journal of "+
			"such uploads cannot be written (%s): check the disk of the state directory; the agent keeps trying.", health.Reason(unmarked)))
	}
	failures, late := 0, ctx.Err() != nil
	if late && errors.Is(err, context.DeadlineExceeded) {
		err = nil // said below
	}
	t.set(name, func(s *stream) {
		late = late && s.sent.Before(began)
		switch s.sent = t.o.Now(); {
		case unmarked != nil: // the next may be noted
		case err != nil || late:
			s.failures++
		default:
			s.failures = 0
		}
		failures = s.failures
	})
	if err == nil && late {
		err = health.SystemFault(Code, nil, "Kinesis Video Streams takes no fragment within %s; the agent keeps trying.", sendWithin)
	}
	if err == nil {
		t.o.Log.Debug("fragment sent that keeps a stream warm", zap.String("stream", name), zap.Int64("fragment", f.At))
		return
	}
	t.o.Log.Debug("fragment not sent that keeps a stream warm", zap.String("stream", name), zap.Error(err))
	if failures >= reportAfter && unmarked == nil {
		fault := health.FaultOf(err, Code)
		t.report(scopeOf(name), health.NewFault(fault.Class, Code+"/"+name, err, "Stream %s is not kept warm for players: %s", name, fault.Text))
	}
}

// unsent takes the mark off a fragment for which others went first. The next is tried as after one that was sent.
func (t *Trickle) unsent(name string, f Fragment) {
	began := time.UnixMilli(f.At + f.Shift)
	if err := t.o.Marks.Lift(name, began, began.Add(time.Millisecond)); err != nil {
		t.o.Log.Debug("the journal of what keeps streams warm is not written", zap.Error(err)) // it is written again with the next mark
	}
	t.set(name, func(s *stream) { s.sent = t.o.Now() })
}

const scopeState health.Scope = Code

func scopeOf(name string) health.Scope { return health.Scope(Code + "/" + name) }

func (t *Trickle) report(scope health.Scope, f *health.Fault) {
	t.mu.Lock()
	t.raised[scope] = true
	t.mu.Unlock()
	if t.o.Health.Report(scope, health.Degraded, f) {
		logevent.Condition(t.o.Log, f)
	}
}

func (t *Trickle) ok(scope health.Scope) {
	t.mu.Lock()
	raised := t.raised[scope]
	delete(t.raised, scope)
	t.mu.Unlock()
	if raised {
		t.o.Health.OK(scope)
	}
}

// sweep forgets streams that no camera has any more.
func (t *Trickle) sweep(names []string) {
	t.mu.Lock()
	var gone []string
	for name, s := range t.streams {
		if !slices.Contains(names, name) && !s.sending {
			gone = append(gone, name)
			delete(t.streams, name)
		}
	}
	t.mu.Unlock()
	for _, name := range gone {
		t.ok(scopeOf(name))
	}
	if len(names) == 0 {
		t.ok(scopeState)
	}
}
