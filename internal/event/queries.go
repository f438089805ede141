package event

import (
	"maps"
	"slices"
	"time"
)

// Going returns the events that are not final on a stream, and the version of the stream's events.
func (s *Store) Going(stream string) (list []*Event, version uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.going[stream]), s.versions[stream]
}

// Version returns how often a stream's events became others, by a trigger or as the clock was set.
func (s *Store) Version(stream string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.versions[stream]
}

// Ends returns when the last event of a stream ends that is not final, zero without one. It waits for no disk.
func (s *Store) Ends(stream string) (at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.going[stream] {
		if e.To.After(at) {
			at = e.To
		}
	}
	return at
}

// Of returns the events that media of a stream belongs to, some of which was recorded from (inclusive) to (exclusive), the oldest
// first.
func (s *Store) Of(stream string, from, to time.Time) (list []*Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.events) - 1; i >= 0; i-- {
		e := s.events[i]
		if from.Sub(e.Time) > MaxLength+MaxRoll {
			break // and so are all before
		}
		if e.From.Before(to) && from.Before(e.To) && slices.Contains(e.Streams, stream) {
			list = append(list, e)
		}
	}
	slices.Reverse(list)
	return list
}

// List returns the events of a stream, or with an empty name of all, of which some time lies from (inclusive) to (exclusive), the
// oldest first. A zero time is unbounded.
func (s *Store) List(stream string, from, to time.Time) (list []*Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if (stream == "" || slices.Contains(e.Streams, stream)) && (from.IsZero() || from.Before(e.To)) && (to.IsZero() || e.From.Before(to)) {
			list = append(list, e)
		}
	}
	return list
}

// Note keeps how far the upload of a stream's media of an event is, until that is final.
func (s *Store) Note(id, stream string, p Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byID[id]; e != nil && slices.Contains(e.Streams, stream) && !e.final(stream) {
		s.noted[place{id, stream}] = p
	}
}

// Progress returns the final progress of an event on a stream, or the last that was noted.
func (s *Store) Progress(e *Event, stream string) (p Progress, known bool) {
	if p, known = e.Done[stream]; known {
		return p, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, known = s.noted[place{e.ID, stream}]
	return p, known
}

// Get returns an event.
func (s *Store) Get(id string) (Event, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byID[id]; e != nil {
		return *e, true
	}
	return Event{}, false
}

// Count returns how many events of a stream are open, and how many are not final; of a stream that is not uploaded only the open ones.
func (s *Store) Count(stream string) (open, going int) {
	now, uploads := s.o.Now(), s.o.Uploads(stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.going[stream] {
		if e.Open(now) {
			open++
		}
	}
	if !uploads {
		return open, open
	}
	return open, len(s.going[stream])
}

// Watch returns a channel that receives after each trigger.
func (s *Store) Watch() (changes <-chan struct{}, stop func()) { return s.watchers.Watch() }

// HoldsDue returns the events whose holds are neither added nor refused yet: the agent ended before, or the disk failed.
func (s *Store) HoldsDue() (list []*Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.HoldBy != "" {
			list = append(list, e)
		}
	}
	return list
}

// unserved returns the streams with events that are not final and that are not uploaded.
func (s *Store) unserved() (list []string) {
	s.mu.Lock()
	streams := slices.Collect(maps.Keys(s.going))
	s.mu.Unlock()
	return slices.DeleteFunc(streams, s.o.Uploads)
}
