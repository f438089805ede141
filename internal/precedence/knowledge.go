package precedence

import (
	"maps"
	"slices"
	"strings"
)

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
	s.all.knowing.Lock()
	defer s.all.knowing.Unlock()
	unclear = slices.Sorted(slices.Values(unclear))
	if s.started && (s.known || !all) && slices.Equal(s.unclear, unclear) {
		return
	}
	s.started, s.known, s.unclear = true, s.known || all, unclear
	s.all.o.Known(s.all.knowledge())
}

// knowledge sums up what is known of all sources. Called with knowing held.
func (s *Sources) knowledge() Known {
	now := Known{Started: true, All: true}
	unclear := make(map[string]bool)
	for _, source := range s.list {
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
	s.knowing.Lock()
	defer s.knowing.Unlock()
	var await []string
	for _, source := range s.list {
		switch {
		case slices.Contains(source.unclear, stream):
			await = append(await, source.row.Refused)
		case !source.known:
			await = append(await, source.row.Await)
		}
	}
	return strings.Join(await, "; and ")
}
