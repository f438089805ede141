package uploader

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/poison"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/rules"
)

// failure is why a session ended: an ERROR of the service, or what became of the line.
type failure struct {
	rules.Answer
	about queue.Fragment // valid when named, or blamed
	named bool           // an ERROR names the fragment
	// blamed says that the fragment may be to blame, as it was the oldest in flight or was named.
	blamed bool
	again  bool // what the service refused is what it refused before
}

// fail takes in an ERROR; i is the fragment that it names, or -1. The first decides, and one that names
// its fragment before any that does not: what the service says after it has refused a fragment comes of
// that, such as a 4006 with a timecode of -1 behind a 4011.
func (e *session) fail(i int, a kvs.Ack) {
	if e.failure != nil && (e.failure.named || i < 0) {
		return
	}
	f := &failure{Answer: rules.OfAck(a), named: i >= 0}
	if f.named {
		f.about = e.flight.list[i].Fragment
	}
	e.failure = f
	e.timing.linger() // acknowledgements of the others may still come
}

// silentEnd is the failure of a session that ended without an ERROR.
func (e *session) silentEnd(err error) *failure {
	f := &failure{Answer: rules.OfEnd(err)}
	if e.end.stalled {
		f.Answer = rules.Stalled()
		if !e.sending.failsAlone {
			e.u.stallTimeout.stalled()
			e.u.finalAck.askAgain()
		}
	}
	if !e.flight.empty() && f.Rule.Fragment {
		f.about, f.blamed = e.flight.list[0].Fragment, true
	}
	return f
}

// judge carries out what an ERROR means for its fragment, once the session has ended.
func (e *session) judge() {
	f, u := e.failure, e.u
	if f.Rule.Tags && e.sending.tags != nil {
		u.tags.withhold(e.sending.tags)
		f.Rule = f.Rule.Untagged()
	}
	i := 0
	if f.named {
		i = e.flight.index(f.about)
	}
	if i < 0 || i >= len(e.flight.list) {
		return // it got through after the ERROR
	}
	x := e.flight.list[i].Fragment
	switch {
	case f.Rule.Action == rules.Refuse && (f.named || e.sending.single):
		_, f.again = u.o.Store.RefusedBefore(x.Key, x.Stored.Start)
		if e.flight.remove(i); !f.Rule.Split || !u.split(x) {
			u.refuse(x, f.Answer)
		}
		u.progress.settle(&e.flight)
	case f.Rule.Action == rules.Refuse:
		u.poison.Add(x) // to be sent alone, so that the next ERROR is surely about it
	case f.Rule.Fragment:
		f.about, f.blamed = x, true
	}
}

// blame holds a fragment responsible for the end of its session.
func (e *session) blame(f *failure) {
	u := e.u
	i := e.flight.index(f.about)
	if i < 0 {
		return
	}
	x := e.flight.list[i].Fragment
	if u.poison.Failed(x, f.Rule.Line, f.named && !f.Rule.Line, time.Since(e.opened)) {
		e.flight.remove(i)
		u.refuse(x, f.Answer)
		u.progress.settle(&flight{})
		return
	}
	if u.poison.ToSplit(x.ID()) && u.split(x) {
		u.poison.LineIsShort()
	}
	if u.poison.Len() > 2*poison.MaxDeferred {
		u.poison.Prune(u.queue.Pends)
	}
	u.report.stuck(u.poison.Stuck())
}
