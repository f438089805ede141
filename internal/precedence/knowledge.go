package precedence

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// knowledge is what is known of what the sources want. It has a lock of its own, as it is asked for while a set is applied.
type knowledge struct {
	mu   sync.Mutex
	list []*Source
	told func(Known)
}

// Known is how far it is known what all sources want. What was known stays so.
type Known struct {
	// Started says that each source has applied what it has, be that all or not.
	Started bool
	// All says that each knows all that it wants, but for Unclear.
	All bool
	// Unclear are the streams that a source wants, but nobody can tell how.
	Unclear []string
}

// Applied notes that the source has applied what it has. all says that this is all that it wants, but for the streams whose
// configuration cannot be followed and has no version before that could.
func (s *Source) Applied(all bool, unclear []string) {
	k := &s.all.knowledge
	k.mu.Lock()
	defer k.mu.Unlock()
	unclear = slices.Sorted(slices.Values(unclear))
	if s.started && (s.known || !all) && slices.Equal(s.unclear, unclear) {
		return
	}
	s.started, s.known, s.unclear = true, s.known || all, unclear
	k.told(k.now())
}

// now sums up. Called with mu held.
func (k *knowledge) now() Known {
	now := Known{Started: true, All: true}
	unclear := make(map[string]bool)
	for _, source := range k.list {
		now.Started, now.All = now.Started && source.started, now.All && source.known
		for _, stream := range source.unclear {
			unclear[stream] = true
		}
	}
	now.Unclear = slices.Sorted(maps.Keys(unclear))
	return now
}

// Unknown is why a stream without a configuration may yet have one, and what to do about that: a clause for people. It is
// empty when there is none for sure.
func (s *Sources) Unknown(stream string) string {
	s.knowledge.mu.Lock()
	defer s.knowledge.mu.Unlock()
	var await []string
	for _, source := range s.knowledge.list {
		switch {
		case slices.Contains(source.unclear, stream):
			await = append(await, source.row.Refused)
		case !source.known:
			await = append(await, source.row.Await)
		}
	}
	return strings.Join(await, "; and ")
}
