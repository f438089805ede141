package uploader

import (
	"context"
	"errors"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/poison"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/rules"
)

// conclude carries out what follows from the end of the session. It returns how long to wait before the next one.
func (e *session) conclude(ctx context.Context) time.Duration {
	e.countReceived()
	if e.end.madeWay && e.failure == nil {
		return 0
	}
	err := e.conn.Err()
	if e.failure != nil {
		e.judge()
	}
	if f := e.failure; f != nil && (f.Rule.Action != rules.Refuse || e.got == 0 && !f.again) || f == nil && e.broke(err) {
		return e.failed(ctx, err)
	}
	e.u.progress.settle(&flight{})
	return 0
}

// countReceived counts the fragments that the service has received and that are sent again all the same, as the session ended
// before it said that they are persisted: they are paid for twice. Those that it refused are not.
func (e *session) countReceived() {
	for i := range e.flight.list {
		f := &e.flight.list[i]
		refused := e.failure != nil && e.failure.named && e.failure.about.Same(f.Fragment)
		if f.heard >= ranks[kvs.Received] && !refused {
			e.u.o.Counted.Persisted(f.Began(), f.Ended(), f.size)
		}
	}
}

// broke reports whether the session ended although the uploader did not end it, or with fragments unacknowledged.
func (e *session) broke(err error) bool {
	if !e.flight.empty() {
		return true
	}
	return !e.sending.any && !e.end.closing && err != nil
}

func (e *session) failed(ctx context.Context, err error) time.Duration {
	u := e.u
	if ctx.Err() != nil && e.failure == nil {
		return 0 // the uploader stopped waiting for acknowledgements; the next run sends the fragments again
	}
	f := e.failure
	if f == nil {
		f = e.silentEnd(err)
	}
	if err == nil {
		err = errors.New(f.Title())
	}
	if e.got == 0 && e.sending.any && f.Rule.Action != rules.Refuse {
		u.retries.isolate = true
	}
	wait := u.failed(f.Answer, err)
	if f.blamed {
		e.blame(f)
	}
	return wait
}

// silentEnd returns the failure of a session that ended without an ERROR acknowledgement.
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

// judge applies the rule of an ERROR acknowledgement to its fragment, once the session has ended.
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
		return // it was acknowledged after the ERROR
	}
	x := e.flight.list[i].Fragment
	switch {
	case f.Rule.IsTooShort() && u.accepted.strict(x):
	case f.Rule.Action == rules.Refuse && (f.named || e.sending.single):
		_, f.again = u.o.Store.RefusedBefore(x.Key, x.Stored.Start)
		e.flight.remove(i)
		switch {
		case !f.Rule.Split || !u.split(x):
			u.refuse(x, f.Answer)
		case f.Rule.IsTooLong():
			u.tooLong(x)
		}
		u.progress.settle(&e.flight)
	case f.Rule.Action == rules.Refuse:
		u.poison.Add(x) // to be sent alone, so that the next ERROR is certainly about it
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
