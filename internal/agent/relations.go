package agent

import (
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// codeMainOf says that a stream's tag with its sub streams is wrong.
const codeMainOf = "main-of"

const scopeMainOf health.Scope = "main-of"

// relations are which streams of the hub are of the same camera. Safe for concurrent use.
type relations struct {
	reading sync.Mutex // held while they are read from the tags
	known   bool       // what all sources want was applied: a stream that is missing is no longer awaited; guarded by reading
	wrong   []string   // streams whose tag is reported; guarded by reading

	mu  sync.Mutex
	now desired.Relations // guarded by mu
}

func (r *relations) get() desired.Relations {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// relatives returns the other streams of the same camera, sorted: its main stream and sub streams, by the tag kvs-edge:main-of of
// the main one. An event of one of them is an event of all.
func (a *Agent) relatives(stream string) []string { return a.related.get().Of(stream) }

// relate reads the relations again. It is called whenever other streams run, or tags were read.
func (a *Agent) relate() {
	r := &a.related
	r.reading.Lock()
	defer r.reading.Unlock()
	mainOf := make(map[string]string)
	for name, s := range a.streams.set() {
		tags, _ := a.uploadOf(name, s.Upload)
		mainOf[name] = tags.MainOf
	}
	now, faults := desired.Related(mainOf)
	r.mu.Lock()
	r.now = now
	r.mu.Unlock()
	for _, name := range r.wrong {
		if faults[name] == "" {
			a.health.Component(name, health.JobConfig).OK(scopeMainOf)
		}
	}
	r.wrong = r.wrong[:0]
	for name, text := range faults {
		if !r.known {
			continue // the other stream may be about to start
		}
		r.wrong = append(r.wrong, name)
		fault := health.UserFault(codeMainOf, nil, "The tag %s of stream %s %s, so events of one do not apply to the other: correct the tag, "+
			"or configure that stream.", desired.TagMainOf, name, text)
		if a.health.Component(name, health.JobConfig).Report(scopeMainOf, health.Degraded, fault) {
			logevent.Condition(a.log, fault)
		}
	}
}

// relateAll is relate, once what all sources want is known.
func (a *Agent) relateAll() {
	a.related.reading.Lock()
	a.related.known = true
	a.related.reading.Unlock()
	a.relate()
}
