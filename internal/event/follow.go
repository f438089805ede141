package event

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"
)

const (
	// settles is how long after its end an event may still get media: the fragment that its end lies in lasts up to 20 s, and
	// some seconds pass until it is complete.
	settles = 30 * time.Second
	// checkAgain is how often what is left of an event is checked without a cause, and tried again after an error.
	checkAgain = 15 * time.Second
	// ownTime is how long the stream's own upload has for what it sends anyway, being at the newest media.
	ownTime = 1500 * time.Millisecond
	// stuckAfter is how long others wait for an event of which no fragment gets through.
	stuckAfter = time.Minute
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

// Sender is what sends a stream's media.
type Sender interface {
	// Fragments lists the fragments of a span that are on the hub.
	Fragments(s Span) []Fragment
	// Send uploads what is left of a span, before everything else, and calls each after each fragment. While goesOn reports true it
	// also waits for what comes next, but not longer than somebody else needs the stream's connection.
	Send(ctx context.Context, s Span, goesOn func() bool, each func()) error
	// Current reports whether the stream's own upload sends what is newest now, and so all that is left of the event.
	Current() bool
}

// Following are the parts that Follow needs. All are required but Log.
type Following struct {
	Stream string
	Store  *Store
	Sender Sender
	// Newest returns when the newest complete fragment of the stream ends, and Media receives when there may be a newer one.
	Newest func() time.Time
	Media  <-chan struct{}
	// Need is called with what the events of the stream need of the line.
	Need func(Need)
	Now  func() time.Time
	Log  *zap.Logger
}

// follower is one run of Follow.
type follower struct {
	Following
	version  uint64    // of the events that are followed now
	progress time.Time // when a fragment got through, or the events became others
	// seen has the fragments of the events, by the time of their first frame in ms: also those that were deleted after their upload.
	seen map[int64]Fragment
}

// Follow uploads the media of a stream's events as it grows, until ctx ends. It returns nil.
func Follow(ctx context.Context, o Following) error {
	f := &follower{Following: o, seen: make(map[int64]Fragment)}
	if f.Log == nil {
		f.Log = zap.NewNop()
	}
	defer f.Need(Nothing)
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
	going, version := f.Store.Going(f.Stream)
	if version != f.version {
		f.version, f.progress = version, f.Now()
	}
	if len(going) == 0 {
		f.Need(Nothing)
		clear(f.seen)
		return time.Hour, false
	}
	left := false
	for _, span := range spans(going) {
		for f.left(span) && ctx.Err() == nil && !f.changed() {
			f.need(Now)
			if f.Sender.Current() && f.ownTurn(ctx, span) {
				break
			}
			err := f.Sender.Send(ctx, span, func() bool { return !f.changed() && f.grows(span) }, f.got)
			if err != nil {
				f.Log.Debug("media of an event not sent", zap.Error(err))
				left = true
				break
			}
		}
	}
	f.note(going)
	switch {
	case ctx.Err() != nil, f.changed():
		return 0, true
	case left:
		f.need(Now)
		return checkAgain, true
	}
	return f.settle(going), true
}

// settle finishes events that are complete, and returns when the next one may be.
func (f *follower) settle(going []*Event) (wait time.Duration) {
	now, open, need := f.Now(), false, Soon
	wait = checkAgain
	for _, e := range going {
		if span := (Span{e.From, e.To}); f.grows(span) {
			open = true
			if f.grows(Span{e.From, e.Time}) {
				need = Now // the fragment in which it happened is on its way to the disk
			}
			wait = min(wait, max(time.Second, e.To.Sub(now)))
			continue
		}
		if f.left(Span{e.From, e.To}) {
			return time.Second // it was completed a moment ago
		}
		p := f.of(e)
		if err := f.Store.Finish(e.ID, f.Stream, f.version, p); err != nil {
			f.Log.Debug("end of an event not saved", zap.Error(err)) // it is tried again
		}
	}
	if open {
		f.need(need)
	} else {
		f.Need(Nothing)
	}
	return wait
}

// left reads the fragments of a span, and reports whether some of them are to be sent.
func (f *follower) left(s Span) (left bool) {
	there := make(map[int64]bool)
	for _, x := range f.Sender.Fragments(s) {
		f.seen[x.From.UnixMilli()] = x
		there[x.From.UnixMilli()] = true
		left = left || !x.Done && !x.Refused
	}
	for at, x := range f.seen {
		if x.in(s) && !there[at] && !x.Done { // deleted before it was sent
			delete(f.seen, at)
		}
	}
	return left
}

// of counts the fragments of an event, also those that were deleted.
func (f *follower) of(e *Event) (p Progress) {
	for _, x := range f.seen {
		if x.in(Span{e.From, e.To}) {
			p.add(x)
		}
	}
	return p
}

// note passes on how far the events are.
func (f *follower) note(going []*Event) {
	for _, e := range going {
		f.Store.Note(e.ID, f.Stream, f.of(e))
	}
}

// add counts a fragment.
func (p *Progress) add(x Fragment) {
	p.Recorded++
	p.Bytes += x.Bytes
	switch {
	case x.Refused:
		p.Refused++
	case x.Done:
		p.Uploaded++
		p.Sent += x.Bytes
	}
}

// Count counts fragments.
func Count(list []Fragment) (p Progress) {
	for _, x := range list {
		p.add(x)
	}
	return p
}

// need passes on a need, unless no fragment gets through.
func (f *follower) need(n Need) {
	if f.Now().Sub(f.progress) > stuckAfter {
		n = Nothing
	}
	f.Need(n)
}

// got is called when a fragment got through.
func (f *follower) got() {
	f.progress = f.Now()
	f.need(Now)
}

// changed reports whether the events became others meanwhile.
func (f *follower) changed() bool { return f.Store.Version(f.Stream) != f.version }

// grows reports whether a span may still get media.
func (f *follower) grows(s Span) bool {
	return f.Newest().Before(s.To) && f.Now().Before(s.To.Add(settles))
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
			if !f.left(span) {
				f.got()
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
