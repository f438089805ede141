package event

import (
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// Options of a Store. Dir is required.
type Options struct {
	Dir   string                // the state directory
	Files atomicfile.FileSystem // default: the real one
	Now   func() time.Time      // default time.Now
	Log   *zap.Logger           // default none
	// Uploads reports whether a stream's media is uploaded as far as anybody knows. Events of other streams make room for new ones once
	// they have ended. Default: all are.
	Uploads func(stream string) bool

	most int // events kept; default MaxKept
}

// Store has the events of a hub. Safe for concurrent use.
type Store struct {
	o        Options
	watchers signal.Watchers
	saving   *signal.Turn // held while an event is changed, before mu
	journal  journal      // guarded by saving
	known    names        // guarded by saving

	mu       sync.Mutex
	events   []*Event            // oldest first; guarded by mu, as all below
	byID     map[string]*Event   // the same
	seen     time.Time           // when the clock was read last, with its monotonic reading
	going    map[string][]*Event // by stream: those that are not final there
	versions map[string]uint64   // by stream: how often its events became others
	noted    map[place]Progress  // how far those are that are not final
	full     bool                // it was said that old events make room for new ones
}

// place is an event on a stream.
type place struct{ id, stream string }

// Open reads the events that are on the disk. Where the journal cannot be read it begins with those it could read, says so, and keeps
// the file until the next event.
func Open(o Options) *Store {
	if o.Files == nil {
		o.Files = atomicfile.OS{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Uploads == nil {
		o.Uploads = func(string) bool { return true }
	}
	if o.most == 0 {
		o.most = MaxKept
	}
	s := &Store{o: o, saving: signal.NewTurn(), journal: journal{files: o.Files, path: filepath.Join(o.Dir, File)}, known: make(names),
		going: make(map[string][]*Event), byID: make(map[string]*Event), versions: make(map[string]uint64), noted: make(map[place]Progress),
		seen: o.Now()}
	list, lost, err := s.journal.read(s.known)
	if err != nil || lost > 0 {
		logevent.EventsLost.Log(o.Log, zap.Int("events", lost), zap.Error(err))
	}
	slices.SortStableFunc(list, func(a, b *Event) int { return a.Time.Compare(b.Time) })
	s.events = list
	for len(s.events) > o.most { // an agent that kept more wrote them, or did not write which made room
		s.drop(s.oldest(o.Now()))
		s.journal.whole = false
	}
	for _, e := range s.events {
		s.byID[e.ID] = e
		s.follow(nil, e)
	}
	return s
}

// Trigger begins an event, or extends an open one, and returns it once that is on the disk. began is false where it extends one, or
// changes nothing. An error is a *health.Fault.
func (s *Store) Trigger(t Trigger) (e Event, began bool, err error) {
	now := s.Step()
	if fault := t.check(now); fault != nil {
		return Event{}, false, fault
	}
	s.saving.Lock()
	defer s.saving.Unlock()
	before, next, fault := s.decide(&t, now)
	if fault != nil {
		return Event{}, false, fault
	}
	if next == before {
		return *before, false, nil
	}
	if err := s.save(before, next); err != nil {
		return Event{}, false, health.SystemFault(code, err, "%s cannot be saved: check the disk of the state directory %s, and trigger the "+
			"event again.", next.words(), s.o.Dir)
	}
	if before == nil {
		logevent.EventBegan.Log(s.o.Log, zap.String("event", next.ID), zap.Strings("streams", next.Streams), zap.Time("from", next.From),
			zap.Time("to", next.To), zap.String("reason", next.Reason), zap.String("source", next.Source))
	}
	s.watchers.Notify()
	return *next, before == nil, nil
}

// decide returns the event before and after a trigger: before is nil where it begins one, and both are the same where it changes
// nothing. Called with saving held.
func (s *Store) decide(t *Trigger, now time.Time) (before, next *Event, fault *health.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byID[t.ID]; e != nil {
		if t.Repeated || !e.Open(now) || !t.continues(e) {
			return e, e, nil
		}
		return e, t.extended(e), nil
	}
	if e := s.open(t, now); e != nil {
		return e, t.extended(e), nil
	}
	for _, stream := range t.Streams {
		open := 0
		for _, e := range s.going[stream] {
			if e.Open(now) {
				open++
			}
		}
		if open >= MaxOpen {
			return nil, nil, health.UserFault(code, nil, "Stream %s has %d open events already, which is the most: trigger the event again "+
				"when one of them has ended, or extend one by its id.", stream, open)
		}
	}
	if len(s.events) >= s.o.most && s.removable(now) < 0 {
		return nil, nil, health.UserFault(code, nil, "%d events are kept already, which is the most, and the media of none of them is in "+
			"the cloud yet: `kvs-edge-agent status` says what keeps the uploads.", len(s.events))
	}
	return nil, t.begin(), nil
}

// open returns the open event that a trigger without an id extends; nil for none. Called with mu held.
func (s *Store) open(t *Trigger, now time.Time) *Event {
	if t.ID != "" {
		return nil
	}
	for _, e := range s.going[t.Streams[0]] {
		if e.Open(now) && t.continues(e) {
			return e
		}
	}
	return nil
}

// removable returns the index of the event that makes room for a new one, -1 without one: the oldest that is finished, or else the
// oldest that has ended and whose streams are not uploaded, but for those that are final. Called with mu held.
func (s *Store) removable(now time.Time) int {
	if i := slices.IndexFunc(s.events, (*Event).Finished); i >= 0 {
		return i
	}
	return slices.IndexFunc(s.events, func(e *Event) bool {
		return !e.Open(now) && !slices.ContainsFunc(e.Streams, func(stream string) bool { return !e.final(stream) && s.o.Uploads(stream) })
	})
}

// oldest returns the index of the event that goes first where there are more than are kept: one that is finished, else one that has
// ended, else the oldest of all.
func (s *Store) oldest(now time.Time) int {
	i := slices.IndexFunc(s.events, (*Event).Finished)
	if i < 0 {
		i = slices.IndexFunc(s.events, func(e *Event) bool { return !e.Open(now) })
	}
	return max(0, i)
}

// save makes a change durable, and then known. before is nil for a new event. Called with saving held.
func (s *Store) save(before, next *Event) error {
	s.known.intern(next)
	gone := s.makesRoom(before)
	insteadOf := ""
	if gone != nil {
		insteadOf = gone.ID
	}
	err := s.journal.add(next, insteadOf, func() []*Event {
		s.mu.Lock()
		defer s.mu.Unlock()
		list := make([]*Event, 0, len(s.events)+1)
		for _, e := range s.events {
			switch e {
			case gone:
			case before:
				list = append(list, next)
			default:
				list = append(list, e)
			}
		}
		if before == nil {
			list = append(list, next)
		}
		return list
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journal.valid += measured(next)
	s.byID[next.ID] = next
	if before != nil {
		s.journal.valid -= measured(before)
		s.events[slices.Index(s.events, before)] = next
	} else {
		if gone != nil {
			s.drop(slices.Index(s.events, gone))
		}
		i, _ := slices.BinarySearchFunc(s.events, next, func(a, b *Event) int {
			if a.Time.After(b.Time) {
				return 1
			}
			return -1
		})
		s.events = slices.Insert(s.events, i, next)
	}
	s.follow(before, next)
	return nil
}

// makesRoom returns the event that is no longer kept when before becomes another one; nil for none. Called with saving held.
func (s *Store) makesRoom(before *Event) *Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before != nil || len(s.events) < s.o.most {
		return nil
	}
	if i := s.removable(s.o.Now()); i >= 0 {
		return s.events[i]
	}
	return nil
}

// drop forgets an event. Called with mu and saving held, or while nobody else has the store.
func (s *Store) drop(i int) {
	if !s.full {
		s.full = true
		logevent.EventsFull.Log(s.o.Log, zap.Int("kept", s.o.most))
	}
	gone := s.events[i]
	s.journal.valid -= measured(gone)
	s.events = slices.Delete(s.events, i, i+1)
	delete(s.byID, gone.ID)
	s.follow(gone, nil)
}

// follow replaces an event among those that are not final; each of both may be nil. Called with mu held.
func (s *Store) follow(before, next *Event) {
	if before != nil {
		for _, stream := range before.Streams {
			delete(s.noted, place{before.ID, stream})
			if s.going[stream] = slices.DeleteFunc(s.going[stream], func(e *Event) bool { return e == before }); len(s.going[stream]) == 0 {
				delete(s.going, stream)
			}
		}
	}
	if next == nil {
		return
	}
	for _, stream := range next.Streams {
		if !next.final(stream) {
			s.going[stream] = append(s.going[stream], next)
		}
		if before == nil || before.Triggers != next.Triggers || !before.From.Equal(next.From) || !before.To.Equal(next.To) {
			s.versions[stream]++
		}
	}
}

// Finish records the final progress of an event on a stream. It does nothing where the event is no longer as version says.
func (s *Store) Finish(id, stream string, version uint64, p Progress) error {
	done, err := s.change(id, func(e *Event) bool {
		if e.final(stream) || s.versions[stream] != version {
			return false
		}
		e.Done = maps.Clone(e.Done)
		if e.Done == nil {
			e.Done = make(map[string]Progress, len(e.Streams))
		}
		e.Done[stream] = p
		return true
	})
	if err != nil || !done {
		return err
	}
	say := logevent.EventFinished
	if p.Lost > 0 {
		say = logevent.EventMediaLost
	}
	say.Log(s.o.Log, zap.String("event", id), zap.String("stream", stream), zap.Int("recorded", p.Recorded),
		zap.Int("uploaded", p.Uploaded), zap.Int("refused", p.Refused), zap.Int("lost", p.Lost), zap.Int("unsent", p.Unsent))
	return nil
}

// Lose records how much media of an event on a stream was deleted before it was in the cloud, so far.
func (s *Store) Lose(id, stream string, so Loss) error {
	_, err := s.change(id, func(e *Event) bool {
		if e.final(stream) || e.Lost[stream] == so {
			return false
		}
		e.Lost = maps.Clone(e.Lost)
		if e.Lost == nil {
			e.Lost = make(map[string]Loss, 1)
		}
		e.Lost[stream] = so
		return true
	})
	return err
}

// HoldSettled records that the hold of an event was added, or refused, unless somebody asked for it since it was as it is here.
func (s *Store) HoldSettled(e *Event) error {
	_, err := s.change(e.ID, func(now *Event) bool {
		if now.HoldBy == "" || now.Triggers != e.Triggers {
			return false
		}
		now.HoldBy = ""
		return true
	})
	return err
}

// change changes an event: with, called with mu held, changes a copy of it, and reports whether there is something to change.
func (s *Store) change(id string, with func(*Event) bool) (changed bool, err error) {
	s.saving.Lock()
	defer s.saving.Unlock()
	s.mu.Lock()
	before := s.byID[id]
	if before == nil {
		s.mu.Unlock()
		return false, nil
	}
	next := *before
	changed = with(&next)
	s.mu.Unlock()
	if !changed {
		return false, nil
	}
	return true, s.save(before, &next)
}
