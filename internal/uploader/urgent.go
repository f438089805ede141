package uploader

import (
	"context"
	"errors"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/giveway"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

// errMakesWay says that nothing may begin now, as the media of an event is sent.
var errMakesWay = errors.New("the media of an event goes first")

// errDeferred says that what is left is to be sent later only.
var errDeferred = errors.New("the rest is tried again later")

// Growing is media that may get more while it is sent.
type Growing struct {
	GoesOn func() bool // called when all there is has been sent: whether more will be recorded
	Begins func()      // called before each fragment
}

// Urgent is Range for the media of an event: uploads by Range and Refused wait for it too. While more will be recorded its session
// stays open for that, unless somebody waits for the stream's connection. Unlike Range it returns an error when what is left is to be
// sent later only, as it failed: meanwhile others have the connection.
func (u *Uploader) Urgent(ctx context.Context, from, to time.Time, g Growing, each func(Progress)) error {
	return onDemand{
		u: u, each: each, mode: mode{from: from, to: to, urgent: true, goesOn: g.GoesOn, begins: g.Begins},
		prepare: func(context.Context, *mode) error { return nil },
		count:   func(ctx context.Context) (Progress, bool) { return countRange(ctx, u.o.Store, u.o.Stream, from, to) },
	}.run(ctx)
}

// Current reports whether a session of Run or RunLive is open that has sent all there was: it sends what is recorded next.
func (u *Uploader) Current() bool { return u.current.Load() }

// Media is the part of the store that Recorded reads.
type Media interface {
	queue.Offsets
	Segments(stream string, from, to time.Time) []segment.Info
	OpenSegment(k segment.Key) (*segment.Reader, error)
	Done(k segment.Key, fragmentStart time.Duration) bool
	Refused(stream string) []segment.Refused
}

// Recorded calls each for the complete fragments of a stream on the hub of which some was recorded from (inclusive) to (exclusive):
// when its first and its last frame were recorded, its size, whether it is in the cloud, and whether the service refused it.
func Recorded(s Media, stream string, from, to time.Time, each func(began, ended time.Time, bytes int64, done, refused bool)) {
	refused := make(map[queue.ID]bool)
	for _, r := range s.Refused(stream) {
		refused[queue.ID{Segment: r.Key, Fragment: r.Fragment.Start}] = true
	}
	for _, info := range s.Segments(stream, from, to) {
		list, err := queue.ListFragments(s, info.Key)
		if err != nil {
			continue // deleted meanwhile, or it cannot be read: what sends it says so
		}
		for _, stored := range list {
			if f := queue.NewFragment(s, info.Key, stored); f.In(from, to) {
				no := refused[f.ID()]
				each(f.Began(), f.Ended(), stored.Size, !no && s.Done(f.Key, stored.Start), no)
			}
		}
	}
}

// Fragments lists the complete fragments of a segment.
func Fragments(s Media, k segment.Key) (list []queue.Fragment, err error) {
	stored, err := queue.ListFragments(s, k)
	for _, f := range stored {
		list = append(list, queue.NewFragment(s, k, f))
	}
	return list, err
}

// waits reports whether what a session sends in that turn can wait for the media of an event: all but that media itself, and what
// is sent live.
func (m mode) waits(t turn) bool { return !m.urgent && (m.onDemand || !m.live || t.order == catchUp) }

// ofEvent reports whether a fragment belongs to an event itself.
func (u *Uploader) ofEvent(f queue.Fragment) bool { return u.o.Events(f.Began(), f.Ended()) != "" }

// mayBegin reports whether a fragment need not wait for the media of events in that turn.
func (u *Uploader) mayBegin(m mode, t turn, next queue.Fragment) bool {
	return !m.waits(t) || u.o.Line.May(u.takes(next.Bytes())) || u.ofEvent(next)
}

// holdsBack reports whether a fragment has to wait for the media of events, and shows that.
func (e *session) holdsBack(next queue.Fragment) bool {
	u := e.u
	held := !u.mayBegin(e.mode, e.turn, next)
	if held {
		u.current.Store(false) // nobody has to wait for this session to send it
	}
	if held != e.held {
		if e.held = held; held {
			u.o.Health.SetState(stateMadeWay)
		} else {
			u.o.Health.SetState(stateUploading)
		}
	}
	return held
}

// takes is how long a fragment of that many bytes takes, as far as it is known; else 0.
func (u *Uploader) takes(bytes int64) time.Duration {
	if u.rate <= 0 {
		return 0
	}
	return time.Duration(float64(bytes) / u.rate * float64(time.Second))
}

// measured notes how fast a fragment was sent.
func (u *Uploader) measured(bytes int64, took time.Duration) {
	rate := float64(bytes) / max(took, time.Millisecond).Seconds()
	if u.rate == 0 {
		u.rate = rate
	}
	u.rate += (rate - u.rate) / 4
}

// makeWay abandons the fragment that is being written, if it has to make way for the media of an event and would take too long.
func (e *session) makeWay() {
	u := e.u
	if !e.sending.writing || e.end.aborted || !e.mode.waits(e.turn) || u.o.Line.Need() != giveway.Now && !u.lock.urgent() ||
		u.ofEvent(e.sending.last) {
		return
	}
	sent := e.conn.BytesSent() - e.sending.before
	left := e.flight.list[len(e.flight.list)-1].size - sent
	takes := u.takes(left)
	if took := time.Since(e.sending.began); took >= 200*time.Millisecond {
		takes = time.Duration(float64(left) / max(1, float64(sent)) * float64(took))
	}
	if takes > giveway.AtMost {
		e.abandon()
		return
	}
	// Where nobody knows how long it takes, or it takes longer than expected, it is broken off then.
	if limit := time.Now().Add(giveway.AtMost); e.timing.makeWay.IsZero() {
		e.timing.makeWay = limit
	}
}

// abandon ends the session at once, for the media of an event. That is not a failure.
func (e *session) abandon() {
	e.end.madeWay = true
	e.abort()
}

// awaitLine waits until what has to make way may be sent again. What is uploaded on demand steps aside for that: the stream's own upload
// may have media to send that does not make way. It reports false when the upload is to end.
func (u *Uploader) awaitLine(ctx context.Context, m mode, changes <-chan struct{}) (goesOn bool) {
	u.o.Health.SetState(stateMadeWay)
	if !m.live {
		changes = nil
	}
	asked := m.asked // an upload on demand has the lock meanwhile, and the media of an event may need it
	if m.onDemand {
		asked = nil // others have the lock
	}
	wait := func() {
		again := time.NewTimer(askCapAgain)
		defer again.Stop()
		select {
		case <-ctx.Done():
		case <-changes:
		case <-asked:
		case <-m.lineChanges:
		case <-again.C:
		}
	}
	if m.onDemand {
		return m.stepAside(wait)
	}
	wait()
	return true
}
