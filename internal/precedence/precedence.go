// Package precedence owns which source decides about a stream that several want: it joins what the sources want into one
// set, has that run, and tells each source what came of its streams. It must not know the form of any source, nor what
// running a stream means.
package precedence

import (
	"context"
	"maps"
	"strings"
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// Streams makes streams run.
type Streams interface {
	// Apply makes the set run, and stops what is not in it; media stays. It returns an outcome for each stream.
	Apply(ctx context.Context, wanted desired.Set) []desired.Outcome
	// Remove stops a stream's jobs and deletes its media. It may be called again for the same stream.
	Remove(ctx context.Context, stream string) error
}

// Options of Sources. All are required.
type Options struct {
	Streams Streams
	// Secrets is called with the ARNs of the secrets of all that the sources want, also of what is overruled. It must not wait.
	Secrets func(arns map[string]bool)
	Health  *health.Registry
}

// Sources are all sources of a hub. They are safe for concurrent use.
type Sources struct {
	o Options

	mu   sync.Mutex // held while a set is applied
	list []*Source
	told map[string]bool // streams of which health says that a source is overruled; guarded by mu
}

// New returns Sources without any.
func New(o Options) *Sources { return &Sources{o: o, told: make(map[string]bool)} }

// Source is what one source wants. Its methods are called from one goroutine.
type Source struct {
	all     *Sources
	changed signal.Signal

	wanted    desired.Set               // guarded by all.mu
	overruled map[string]desired.Origin // of wanted, by whom; guarded by all.mu
}

// Add adds a source that wants nothing yet. Of two that want a stream with equal precedence the one that was added first
// decides.
func (s *Sources) Add() *Source {
	source := &Source{all: s, changed: signal.New()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, source)
	return source
}

// Changed receives when another source began or ceased to overrule a stream of this one, so that Apply has another outcome.
func (s *Source) Changed() <-chan struct{} { return s.changed.C() }

// Want notes what the source wants until it calls Apply for the first time, so that what another source has applied
// before does not stop it. It is for before anything is applied.
func (s *Source) Want(wanted desired.Set) {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	s.wanted = maps.Clone(wanted)
}

// Apply makes the whole set of the source run, as far as no other takes precedence. It returns an outcome for each stream
// of the set, by name, none when the agent stops.
func (s *Source) Apply(ctx context.Context, wanted desired.Set) []desired.Outcome {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	s.wanted = maps.Clone(wanted)
	failed := make(map[string]error)
	done := s.all.apply(ctx, s)
	for _, outcome := range done {
		failed[outcome.Stream] = outcome.Err
	}
	var outcomes []desired.Outcome
	for _, name := range wanted.Names() {
		by, overruled := s.overruled[name]
		err, applied := failed[name]
		switch {
		case overruled:
			outcomes = append(outcomes, desired.Outcome{Stream: name, OverruledBy: by})
		case applied:
			outcomes = append(outcomes, desired.Outcome{Stream: name, Err: err})
		}
	}
	return outcomes
}

// Remove deletes a stream of the source: it stops and its media is deleted, unless another source wants the stream too.
func (s *Source) Remove(ctx context.Context, stream string) error {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	delete(s.wanted, stream)
	inForce, _ := s.all.join()
	if _, kept := inForce[stream]; kept {
		s.all.apply(ctx, s)
		return nil
	}
	s.all.o.Secrets(s.all.secrets())
	return s.all.o.Streams.Remove(ctx, stream)
}

// join is what all sources want. Called with mu held.
func (s *Sources) join() (desired.Set, []desired.Overruled) {
	sets := make([]desired.Set, len(s.list))
	for i, source := range s.list {
		sets[i] = source.wanted
	}
	return desired.Resolve(sets...)
}

// apply makes it run. The caller learns what came of it by itself. Called with mu held.
func (s *Sources) apply(ctx context.Context, caller *Source) []desired.Outcome {
	inForce, overruled := s.join()
	s.note(overruled, caller)
	s.o.Secrets(s.secrets())
	outcomes := s.o.Streams.Apply(ctx, inForce)
	s.tell(overruled)
	return outcomes
}

// codeOverruled says that more than one source wants a stream.
const codeOverruled = "stream-overruled"

const scopeOverruled health.Scope = "overruled"

// tell shows of each stream who is overruled, until nobody is. Called with mu held.
func (s *Sources) tell(overruled []desired.Overruled) {
	losers := make(map[string][]string)
	by := make(map[string]desired.Origin)
	for _, o := range overruled {
		losers[o.Stream], by[o.Stream] = append(losers[o.Stream], o.Origin.Words()), o.By
	}
	for stream := range s.told {
		if losers[stream] == nil {
			delete(s.told, stream)
			s.o.Health.Component(stream, health.JobConfig).OK(scopeOverruled)
		}
	}
	for stream, list := range losers {
		s.told[stream] = true
		s.o.Health.Component(stream, health.JobConfig).Report(scopeOverruled, health.Info, health.UserFault(codeOverruled, nil,
			"%s decides about stream %s; its configuration by %s is not in force. Remove one of them, if this is not intended.",
			by[stream].Words(), stream, lower(humanize.List(list))))
	}
}

// lower begins with a small letter what begins with an article.
func lower(text string) string {
	for _, article := range []string{"A ", "The "} {
		if rest, ok := strings.CutPrefix(text, article); ok {
			return strings.ToLower(article) + rest
		}
	}
	return text
}

// note keeps who is overruled, and lets those know for whom that is news. Called with mu held.
func (s *Sources) note(overruled []desired.Overruled, caller *Source) {
	for _, source := range s.list {
		now := make(map[string]desired.Origin)
		for _, o := range overruled {
			if stream, wants := source.wanted[o.Stream]; wants && stream.Origin == o.Origin {
				now[o.Stream] = o.By
			}
		}
		if source != caller && !maps.Equal(now, source.overruled) {
			source.changed.Set()
		}
		source.overruled = now
	}
}

// secrets are those of everything that is wanted. Called with mu held.
func (s *Sources) secrets() map[string]bool {
	arns := make(map[string]bool)
	for _, source := range s.list {
		maps.Copy(arns, source.wanted.Secrets())
	}
	return arns
}
