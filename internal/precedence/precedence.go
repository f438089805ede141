// Package precedence owns the sources of a hub and which of them decides about a stream that several want: it joins what
// they want into one set, has that run, reports the outcomes to each source, and has a row of each for all who need
// to know something of it. It must not know the form of any source, nor what running a stream means.
package precedence

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/address"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
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
	// Secrets is called with the ARNs of the secrets of all streams that the sources want, also overruled ones. It must not
	// wait.
	Secrets func(arns map[string]bool)
	// Known is called whenever more is known of what the sources want, or less of the streams in Known.Unclear. It must not
	// wait, nor ask Sources.
	Known  func(Known)
	Health *health.Registry
	Log    *zap.Logger // nil: none
}

// Sources are all sources of a hub. They are safe for concurrent use once all are added.
type Sources struct {
	o    Options
	list []*Source // never changed once all are added

	knowing sync.Mutex // of its own, as what is known is asked for while a set is applied

	mu   *signal.Turn    // held while a set is applied
	told map[string]bool // streams of which health says that a source is overruled; guarded by mu
}

// New returns Sources without any.
func New(o Options) *Sources {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return &Sources{o: o, mu: signal.NewTurn(), told: make(map[string]bool)}
}

// Source is what one source wants. Its methods are called from one goroutine, but for Others.
type Source struct {
	all     *Sources
	row     Row
	changed signal.Signal
	wants   atomic.Int64 // how many streams

	wanted    desired.Set               // guarded by all.mu
	overruled map[string]desired.Origin // of wanted, by whom; guarded by all.mu

	started, known bool     // see Known; guarded by all.knowing
	unclear        []string // guarded by all.knowing
}

// Add adds a source, which build makes for what it applies by. All are added before any of them applies something, those
// that take precedence first: a row that is not so, or that lacks what is required, is an error.
func (s *Sources) Add(build func(*Source) (Row, error)) error {
	source := &Source{all: s, changed: signal.New()}
	row, err := build(source)
	if err != nil {
		return err
	}
	if !desired.OfOneSource(row.Origins) || row.Sync == nil || row.Deletion == nil || row.Await == "" || row.Refused == "" {
		return fmt.Errorf("the row of the source of %v is not complete", row.Origins)
	}
	for _, other := range s.list {
		if !row.Origins[0].After(other.row.Origins[0]) {
			return fmt.Errorf("the source of %v does not come after that of %v", row.Origins, other.row.Origins)
		}
	}
	source.row = row
	source.want(row.Restored)
	s.list = append(s.list, source)
	return nil
}

// Rows lists the sources, those that take precedence first.
func (s *Sources) Rows() []Row {
	rows := make([]Row, len(s.list))
	for i, source := range s.list {
		rows[i] = source.row
	}
	return rows
}

// rowOf is the row of the source of an origin; it has nothing but its functions when there is none.
func (s *Sources) rowOf(origin desired.Origin) Row {
	for _, source := range s.list {
		if slices.Contains(source.row.Origins, origin) {
			return source.row
		}
	}
	return Row{
		Sync: func(string) edgeconfig.SyncStatus { return edgeconfig.SyncStatus{} },
		Deletion: func(stream string) string {
			return fmt.Sprintf("Stream %s is configured for this hub by a source that is gone: wait until it stops.", stream)
		},
	}
}

// SyncOf says how the configuration of a stream that runs fares.
func (s *Sources) SyncOf(stream desired.Stream) edgeconfig.SyncStatus {
	return s.rowOf(stream.Origin).Sync(stream.Name)
}

// Deletion is why the media of a stream that runs cannot be deleted, and how it can: a sentence for people.
func (s *Sources) Deletion(stream desired.Stream) string {
	return s.rowOf(stream.Origin).Deletion(stream.Name)
}

// Place is where the URL of the media of a stream that runs is written.
func (s *Sources) Place(stream desired.Stream) address.Place {
	row := s.rowOf(stream.Origin)
	if stream.Media.URL.Empty() || row.Place == nil {
		return address.Place{}
	}
	return row.Place(stream.Name)
}

// Secrets lists the ARNs of the secrets of all that the sources want. It is for before anything is applied, or else waits
// for what is being applied.
func (s *Sources) Secrets() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secrets()
}

// Others reports whether another source wants a stream, or was chosen for this hub. It is safe for concurrent use.
func (s *Source) Others() bool {
	return slices.ContainsFunc(s.all.list, func(other *Source) bool {
		return other != s && (other.wants.Load() > 0 || other.row.Chosen)
	})
}

// want notes what the source wants. Called with all.mu held, or before anything is applied.
func (s *Source) want(wanted desired.Set) {
	s.wanted = maps.Clone(wanted)
	s.wants.Store(int64(len(wanted)))
}

// Changed receives when another source began or ceased to overrule a stream of this one, so that Apply has another outcome.
func (s *Source) Changed() <-chan struct{} { return s.changed.C() }

// Apply makes the whole set of the source run, as far as no other takes precedence. It returns an outcome for each stream
// of the set, by name, none when the agent stops.
func (s *Source) Apply(ctx context.Context, wanted desired.Set) []desired.Outcome {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	s.want(wanted)
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
	s.wants.Store(int64(len(s.wanted)))
	current, _ := s.all.join()
	if _, kept := current[stream]; kept {
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

// apply makes the joined set run. The caller is not notified, as it receives the outcomes. Called with mu held.
func (s *Sources) apply(ctx context.Context, caller *Source) []desired.Outcome {
	current, overruled := s.join()
	s.note(overruled, caller)
	s.o.Secrets(s.secrets())
	outcomes := s.o.Streams.Apply(ctx, current)
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
		fault := health.UserFault(codeOverruled, nil,
			"%s decides about stream %s; its configuration by %s is not in force. Remove one of them, if this is not intended.",
			by[stream].Words(), stream, lower(humanize.List(list)))
		if s.o.Health.Component(stream, health.JobConfig).Report(scopeOverruled, health.Info, fault) {
			logevent.Condition(s.o.Log, fault, zap.String("stream", stream))
		}
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
