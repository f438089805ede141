package event

import (
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
	// Uploads reports whether a stream's media can be uploaded. Events of other streams make room for new ones once they have
	// ended. Default: all can.
	Uploads func(stream string) bool

	most int // events kept; default MaxKept
}

// Store has the events of a hub. Safe for concurrent use.
type Store struct {
	o        Options
	watchers signal.Watchers
	saving   sync.Mutex // held while an event is changed, before mu
	journal  journal    // guarded by saving

	mu       sync.Mutex
	events   []*Event            // oldest first; guarded by mu, as all below
	going    map[string][]*Event // by stream: those that are not final there
	versions map[string]uint64   // by stream: how often a trigger changed its events
	noted    map[place]Progress  // how far those are that are not final
	full     bool                // it was said that old events make room for new ones
}

// place is an event on a stream.
type place struct{ id, stream string }

// Open reads the events that are on the disk. Where the journal cannot be read it begins without any, says so, and keeps the file
// until the next event.
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
	s := &Store{o: o, journal: journal{files: o.Files, path: filepath.Join(o.Dir, File)},
		going: make(map[string][]*Event), versions: make(map[string]uint64), noted: make(map[place]Progress)}
	list, lost, err := s.journal.read()
	if err != nil || lost > 0 {
		logevent.EventsLost.Log(o.Log, zap.Int("events", lost), zap.Error(err))
	}
	slices.SortStableFunc(list, func(a, b *Event) int { return a.Time.Compare(b.Time) })
	s.events = list
	for _, e := range list {
		s.follow(nil, e)
	}
	return s
}

// Trigger begins an event, or extends an open one, and returns it once that is on the disk. began is false where it extends one, or
// changes nothing. An error is a *health.Fault.
func (s *Store) Trigger(t Trigger) (e Event, began bool, err error) {
	now := s.o.Now()
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
	for _, e := range s.events {
		switch {
		case t.ID != "" && e.ID == t.ID:
			if t.Repeated || !e.Open(now) || !t.continues(e) {
				return e, e, nil
			}
			return e, t.extended(e), nil
		case t.ID == "" && e.Open(now) && t.continues(e):
			return e, t.extended(e), nil
		}
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

// removable returns the index of the event that makes room for a new one, -1 without one: the oldest that is finished, or else the
// oldest that has ended and cannot be uploaded. Called with mu held.
func (s *Store) removable(now time.Time) int {
	if i := slices.IndexFunc(s.events, (*Event).Finished); i >= 0 {
		return i
	}
	return slices.IndexFunc(s.events, func(e *Event) bool {
		return !e.Open(now) && !slices.ContainsFunc(e.Streams, s.o.Uploads)
	})
}

// save makes a change durable, and then known. before is nil for a new event. Called with saving held.
func (s *Store) save(before, next *Event) error {
	err := s.journal.add(next, func() []*Event {
		s.mu.Lock()
		defer s.mu.Unlock()
		list := slices.Clone(s.events)
		if i := slices.Index(list, before); before != nil && i >= 0 {
			list[i] = next
			return list
		}
		return append(list, next)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.events, before); before != nil && i >= 0 {
		s.events[i] = next
		s.journal.valid += measured(next) - measured(before)
	} else {
		if len(s.events) >= s.o.most {
			s.drop(s.removable(s.o.Now()))
		}
		i, _ := slices.BinarySearchFunc(s.events, next, func(a, b *Event) int {
			if a.Time.After(b.Time) {
				return 1
			}
			return -1
		})
		s.events = slices.Insert(s.events, i, next)
		s.journal.valid += measured(next)
	}
	s.follow(before, next)
	return nil
}

// drop forgets an event. Called with mu and saving held.
func (s *Store) drop(i int) {
	if i < 0 {
		return
	}
	if !s.full {
		s.full = true
		logevent.EventsFull.Log(s.o.Log, zap.Int("kept", s.o.most))
	}
	gone := s.events[i]
	s.journal.valid -= measured(gone)
	s.events = slices.Delete(s.events, i, i+1)
	s.follow(gone, nil)
}

// measured is the length of an event's line.
func measured(e *Event) int64 {
	text, err := line(e)
	if err != nil {
		return 0
	}
	return int64(len(text))
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
		if _, final := next.Done[stream]; !final {
			s.going[stream] = append(s.going[stream], next)
		}
		if before == nil || before.Triggers != next.Triggers {
			s.versions[stream]++
		}
	}
}

// Finish records the final progress of an event on a stream. It does nothing where the event is no longer as version says.
func (s *Store) Finish(id, stream string, version uint64, p Progress) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	s.mu.Lock()
	i := slices.IndexFunc(s.events, func(e *Event) bool { return e.ID == id })
	if i < 0 || s.versions[stream] != version {
		s.mu.Unlock()
		return nil
	}
	before := s.events[i]
	s.mu.Unlock()
	next := *before
	next.Done = make(map[string]Progress, len(before.Streams))
	for name, done := range before.Done {
		next.Done[name] = done
	}
	next.Done[stream] = p
	if err := s.save(before, &next); err != nil {
		return err
	}
	logevent.EventFinished.Log(s.o.Log, zap.String("event", id), zap.String("stream", stream), zap.Int("recorded", p.Recorded),
		zap.Int("uploaded", p.Uploaded), zap.Int("refused", p.Refused))
	return nil
}

// Going returns the events that are not final on a stream, and the version of the stream's events.
func (s *Store) Going(stream string) (list []*Event, version uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.going[stream]), s.versions[stream]
}

// Version returns how often triggers have changed a stream's events.
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
	if slices.ContainsFunc(s.going[stream], func(e *Event) bool { return e.ID == id }) {
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
	for _, e := range s.events {
		if e.ID == id {
			return *e, true
		}
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
