package event

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

const (
	// Settles is how long after its end an event may still get media: the fragment that its end lies in lasts up to 20 s, and
	// some seconds pass until it is complete.
	Settles = 30 * time.Second
	// checkAgain is how often what is left of an event is checked without a cause, and tried again after an error.
	checkAgain = 15 * time.Second
	// ownTime is how long the stream's own upload has for what it sends anyway, being at the newest media.
	ownTime = 1500 * time.Millisecond
	// stuckAfter is how long others wait for an event of which no fragment gets through.
	stuckAfter = time.Minute
	// listAgain is how often all fragments of the events are read, and not only those that may have changed.
	listAgain = 5 * time.Minute
)

// Need is what an event needs of the line to the cloud.
type Need uint8

// The needs.
const (
	Nothing Need = iota
	Soon         // its next fragment comes soon
	Now          // some of its media is to be sent
)

// Span is media that belongs to events, from From (inclusive) to To (exclusive).
type Span struct{ From, To time.Time }

// Fragment is a complete fragment of a stream.
type Fragment struct {
	From, To      time.Time // when its first and its last frame were recorded
	Bytes         int64
	Done, Refused bool // it is in the cloud, or the service does not accept it
}

// in reports whether some of it belongs to a span.
func (f Fragment) in(s Span) bool { return !f.To.Before(s.From) && f.From.Before(s.To) }

// Sending is how the media of an event is sent.
type Sending struct {
	Span Span
	// GoesOn is called when all there is has been sent: while it reports true Send waits for what comes next, but not longer than
	// somebody else needs the stream's connection.
	GoesOn func() bool
	Begins func() // called before each fragment
	Got    func() // called after each fragment
}

// Sender is what sends a stream's media.
type Sender interface {
	// Fragments lists the fragments of a span that are on the hub.
	Fragments(s Span) []Fragment
	// Before lists those of a span that were sent before, as far as anybody remembers, be they on the hub or not.
	Before(s Span) []Fragment
	// Send uploads what is left of a span, before everything else. It returns an error where some of that cannot be sent now.
	Send(ctx context.Context, s Sending) error
	// Current reports whether the stream's own upload sends what is newest now, and so all that is left of the event.
	Current() bool
}

// Following are the parts that Follow needs. All are required but Log.
type Following struct {
	Stream string
	Store  *Store
	Sender Sender
	Sent   *Sent // what the stream's upload sends, by whatever request
	// Newest returns when the newest complete fragment of the stream ends, and Media receives when there may be a newer one.
	Newest func() time.Time
	Media  <-chan struct{}
	// Need is called with what the events of the stream need of the line. It must not wait.
	Need func(Need)
	Now  func() time.Time
	Log  *zap.Logger
}

// follower is one run of Follow.
type follower struct {
	Following
	version  uint64 // of the events that are followed now
	needs    *needs
	tally    *tally
	clock    time.Time          // when it was read last
	listed   time.Time          // when all fragments were read last
	failures map[int64]*failure // of Send, by the start of the span in ms
}

// failure is that some media of a span could not be sent.
type failure struct {
	times int       // one after the other
	again time.Time // when it is tried again
}

// Follow uploads the media of a stream's events as it grows, until ctx ends. It returns nil.
func Follow(ctx context.Context, o Following) error {
	f := &follower{Following: o, needs: newNeeds(o.Need, o.Now), tally: newTally(o.Sent), listed: o.Now(),
		failures: make(map[int64]*failure)}
	if f.Log == nil {
		f.Log = zap.NewNop()
	}
	defer f.needs.end()
	defer f.Sent.rest()
	triggers, stop := f.Store.Watch()
	defer stop()
	again := time.NewTimer(0)
	defer again.Stop()
	for ctx.Err() == nil {
		wait, any := f.pass(ctx)
		media := f.Media
		if !any {
			media = nil // what is recorded is nobody's concern
		}
		again.Reset(wait)
		select {
		case <-ctx.Done():
		case <-triggers:
		case <-media:
		case <-again.C:
		}
	}
	return nil
}

// pass sends what is left of the events, and returns how long to wait before the next one, and whether there are events.
func (f *follower) pass(ctx context.Context) (wait time.Duration, any bool) {
	if now := f.Store.Step(); hubclock.Step(f.clock, now).Abs() >= hubclock.SlewStep || f.clock.IsZero() {
		clear(f.tally.settled) // media of earlier times may follow
		f.clock = now
	}
	going, version := f.Store.Going(f.Stream)
	if version != f.version || len(going) != len(f.tally.counts) {
		if version != f.version {
			f.version = version
			clear(f.failures)
		}
		f.begin(going)
	}
	if len(going) == 0 {
		f.needs.set(Nothing)
		return time.Hour, false
	}
	list := spans(going)
	if whole := f.Now().Sub(f.listed).Abs() >= listAgain; whole {
		f.listed = f.Now()
		for _, span := range list {
			f.left(span, true)
		}
	}
	wait = f.sendAll(ctx, list)
	f.note(going)
	switch {
	case ctx.Err() != nil, f.changed():
		return 0, true
	case wait > 0:
		f.needs.set(Now)
		return wait, true
	}
	return f.settle(going), true
}

// sendAll sends what is left of spans. It returns how long to wait before it is called again, as some media could not be sent; 0 where all
// was.
func (f *follower) sendAll(ctx context.Context, list []Span) (wait time.Duration) {
	for _, span := range list {
		key := span.From.UnixMilli()
		for f.left(span, false) && ctx.Err() == nil && !f.changed() {
			f.needs.set(Now)
			if f.Sender.Current() && f.ownTurn(ctx, span) {
				break
			}
			failed := f.failures[key]
			if failed == nil {
				failed = new(failure)
				f.failures[key] = failed
			}
			if !f.Now().Before(failed.again) {
				before := f.tally.passed
				err := f.send(ctx, span)
				if err == nil && (!f.left(span, false) || f.tally.passed > before) {
					delete(f.failures, key)
					continue
				}
				f.Log.Debug("media of an event not sent", zap.Error(err))
				failed.times++
				failed.again = f.Now().Add(min(checkAgain, time.Second<<min(failed.times, 10)))
			}
			if left := max(time.Millisecond, failed.again.Sub(f.Now())); wait == 0 || left < wait {
				wait = left
			}
			break
		}
	}
	return wait
}

// begin has these events followed from now on.
func (f *follower) begin(going []*Event) {
	f.tally.follow(f.Stream, going)
	for _, e := range going {
		span := Span{e.From, e.To}
		at, told := f.tally.told[e.ID]
		if told {
			span.To = at // what was sent since is known
		}
		if told && !e.From.Before(at) {
			continue
		}
		f.tally.told[e.ID] = e.From
		for _, x := range elsewhere(f.Sender.Fragments(span), f.Sender.Before(span)) {
			f.tally.note(x)
		}
	}
}

// send sends what is left of a span.
func (f *follower) send(ctx context.Context, span Span) error {
	return f.Sender.Send(ctx, Sending{
		Span: f.tally.rest(span),
		GoesOn: func() bool {
			if f.changed() || !f.grows(span) {
				return false
			}
			f.needs.set(f.comes())
			return true
		},
		Begins: func() { f.needs.set(Now) },
		Got:    f.needs.got,
	})
}

// comes is what the open events need of which all is sent that is on the disk: the fragment in which one of them happened is on its way
// there, so that nothing else begins, or only what is recorded next.
func (f *follower) comes() Need {
	now := f.Now()
	for _, e := range f.tally.events {
		if !now.Before(e.Time) && f.grows(Span{e.From, e.Time}) {
			return Now
		}
	}
	return Soon
}

// settle finishes events that are complete, and returns when the next one may be.
func (f *follower) settle(going []*Event) (wait time.Duration) {
	now, open, need := f.Now(), false, Nothing
	wait = checkAgain
	for _, e := range going {
		span := Span{e.From, e.To}
		if f.grows(span) {
			open = true
			wait = min(wait, max(time.Second, e.To.Sub(now)))
			continue
		}
		if f.left(span, true) {
			return time.Second // it was completed a moment ago
		}
		if err := f.Store.Finish(e.ID, f.Stream, f.version, f.tally.of(e)); err != nil {
			f.Log.Debug("end of an event not saved", zap.Error(err)) // it is tried again
			continue
		}
		wait = 0 // the others are followed without it
	}
	if open {
		need = f.comes()
	}
	f.needs.set(need)
	return wait
}

// left reads the fragments of a span, all or those that may have changed, and reports whether some of them are to be sent.
func (f *follower) left(s Span, whole bool) bool {
	passed := f.tally.passed
	left, lost := f.tally.left(s, whole, f.Sender.Fragments)
	if f.tally.passed > passed {
		f.needs.got()
	}
	if lost {
		for _, e := range f.tally.events {
			if err := f.Store.Lose(e.ID, f.Stream, f.tally.lost[e.ID]); err != nil {
				f.Log.Debug("loss of an event not saved", zap.Error(err)) // the next one, or the end of the event, saves it
			}
		}
	}
	return left
}

// note passes on how far the events are.
func (f *follower) note(going []*Event) {
	for _, e := range going {
		f.Store.Note(e.ID, f.Stream, f.tally.of(e))
	}
}

// changed reports whether the events became others meanwhile.
func (f *follower) changed() bool { return f.Store.Version(f.Stream) != f.version }

// grows reports whether a span may still get media: up to its end, and until media after it is complete. Media from later than now is
// from before the clock was set back.
func (f *follower) grows(s Span) bool {
	now := f.Now()
	if now.Before(s.To) {
		return true
	}
	newest := f.Newest()
	return now.Before(s.To.Add(Settles)) && (newest.Before(s.To) || newest.After(now.Add(Settles)))
}

// ownTurn waits until the stream's own upload has sent what is left of a span, and reports whether it has.
func (f *follower) ownTurn(ctx context.Context, span Span) bool {
	turn := time.NewTimer(ownTime)
	defer turn.Stop()
	check := time.NewTicker(ownTime / 15)
	defer check.Stop()
	for f.Sender.Current() {
		select {
		case <-ctx.Done():
			return true
		case <-turn.C:
			return false
		case <-check.C:
			if !f.left(span, false) {
				f.needs.got()
				return true
			}
		}
	}
	return false
}

// spans returns the media of events as spans that do not overlap, that of the newest first: what just happened is waited for.
func spans(events []*Event) []Span {
	list := make([]Span, len(events))
	for i, e := range events {
		list[i] = Span{e.From, e.To}
	}
	slices.SortFunc(list, func(a, b Span) int { return a.From.Compare(b.From) })
	merged := list[:0]
	for _, s := range list {
		if n := len(merged); n > 0 && !s.From.After(merged[n-1].To) {
			if s.To.After(merged[n-1].To) {
				merged[n-1].To = s.To
			}
			continue
		}
		merged = append(merged, s)
	}
	slices.Reverse(merged)
	return merged
}
