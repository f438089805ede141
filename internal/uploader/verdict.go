package uploader

import (
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
)

// verdict is why a session ended: an ERROR of the service, or what became of the line.
type verdict struct {
	rule  Rule
	title string
	about shot // valid when named, or blames
	named bool // an ERROR names the fragment
	// blames says that the fragment may be to blame, as it was the oldest in flight or was named.
	blames bool
}

// fail takes in an ERROR; i is the fragment that it names, or -1. The first decides, and one that names
// its fragment before any that does not: what the service says after it has refused a fragment comes of
// that, such as a 4006 with a timecode of -1 behind a 4011.
func (e *session) fail(i int, a kvs.Ack) {
	if e.verdict != nil && (e.verdict.named || i < 0) {
		return
	}
	v := &verdict{rule: ackRule(a), title: titleOfAck(a), named: i >= 0}
	if v.named {
		v.about = e.flight[i]
	}
	e.verdict = v
	e.linger() // acknowledgements of the others may still come
}

// judge carries out what an ERROR means for its fragment, once the session has ended.
func (e *session) judge() {
	v, u := e.verdict, e.u
	if v.rule.Tags && e.tags != nil {
		u.withholdTags(e.tags)
		v.rule.Action, v.rule.Advice = RetryNow, adviceUntagged
		v.rule.Fragment = false
	}
	i := 0
	if v.named {
		i = slices.IndexFunc(e.flight, v.about.same)
	}
	if i < 0 || i >= len(e.flight) {
		return // it got through after the ERROR
	}
	switch {
	case v.rule.Action == Skip && (v.named || e.alone):
		_, e.retried = u.o.Store.RefusedBefore(e.flight[i].key, e.flight[i].frag.Start)
		if s := e.remove(i); !v.rule.Split || !u.split(s) {
			u.refuse(s, v)
		}
		u.settle(e.flight)
	case v.rule.Action == Skip:
		u.suspects.suspect(e.flight[i]) // to be sent alone, so that the next ERROR is surely about it
	case v.rule.Fragment:
		v.about, v.blames = e.flight[i], true
	}
}

// blame holds a fragment responsible for the end of its session.
func (e *session) blame(v *verdict) {
	u := e.u
	i := slices.IndexFunc(e.flight, v.about.same)
	if i < 0 {
		return
	}
	s := e.flight[i]
	if u.suspects.failed(s, v.rule.Line, v.named && !v.rule.Line, time.Since(e.opened)) {
		u.refuse(e.remove(i), v)
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
