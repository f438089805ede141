package uploader

import (
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/rules"
)

// failure is why a session ended: an ERROR of the service, or what became of the line.
type failure struct {
	rules.Answer
	about shot // valid when named, or blamed
	named bool // an ERROR names the fragment
	// blamed says that the fragment may be to blame, as it was the oldest in flight or was named.
	blamed bool
}

// fail records an ERROR; i is the fragment that it names, or -1. The first decides, and one that names
// its fragment before any that does not: what the service says after it has refused a fragment comes of
// that, such as a 4006 with a timecode of -1 behind a 4011.
func (e *session) fail(i int, a kvs.Ack) {
	if e.failure != nil && (e.failure.named || i < 0) {
		return
	}
	f := &failure{Answer: rules.OfAck(a), named: i >= 0}
	if f.named {
		f.about = e.flight[i]
	}
	e.failure = f
	e.linger() // acknowledgements of the others may still come
}

// judge carries out what an ERROR means for its fragment, once the session has ended.
func (e *session) judge() {
	f, u := e.failure, e.u
	if f.Rule.Tags && e.tags != nil {
		u.withholdTags(e.tags)
		f.Rule = f.Rule.Untagged()
	}
	i := 0
	if f.named {
		i = slices.IndexFunc(e.flight, f.about.same)
	}
	if i < 0 || i >= len(e.flight) {
		return // it got through after the ERROR
	}
	switch {
	case f.Rule.Action == rules.Refuse && (f.named || e.alone):
		_, e.retried = u.o.Store.RefusedBefore(e.flight[i].key, e.flight[i].frag.Start)
		if s := e.remove(i); !f.Rule.Split || !u.split(s) {
			u.refuse(s, f.Answer)
		}
		u.settle(e.flight)
	case f.Rule.Action == rules.Refuse:
		u.suspects.suspect(e.flight[i]) // to be sent alone, so that the next ERROR is surely about it
	case f.Rule.Fragment:
		f.about, f.blamed = e.flight[i], true
	}
}

// blame holds a fragment responsible for the end of its session.
func (e *session) blame(f *failure) {
	u := e.u
	i := slices.IndexFunc(e.flight, f.about.same)
	if i < 0 {
		return
	}
	s := e.flight[i]
	if u.suspects.failed(s, f.Rule.Line, f.named && !f.Rule.Line, time.Since(e.opened)) {
		u.refuse(e.remove(i), f.Answer)
		u.settle(nil)
		return
	}
	if u.suspects.toSplit(s.id()) && u.split(s) {
		u.suspects.short = true
	}
	if len(u.suspects.list) > 2*maxAside {
		u.suspects.prune(u.queue.pends)
	}
	u.reportStuck()
}
