package segment

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/progress"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// SameCode reports whether both were refused for the same reason.
func SameCode(a, b string) bool { return progress.SameCode(a, b) }

// Refused returns a stream's refused fragments, oldest first.
func (s *Store) Refused(stream string) []Refused {
	return of(s, stream, (*streams.Stream).RefusedFragments)
}

// Requeued returns a stream's fragments that were refused and are pending again, oldest first.
func (s *Store) Requeued(stream string) []Refused {
	return of(s, stream, (*streams.Stream).RequeuedFragments)
}

// RefuseAgain reverses Requeue for those of the fragments that still pend: they are refused as before, also as to when. The change
// survives a crash of the process.
func (s *Store) RefuseAgain(k Key, fragmentStarts []time.Duration) error {
	s.mu.Lock()
	st, ok := s.streams[k.Stream]
	if !ok {
		s.mu.Unlock()
		return nil
	}
	p, list := st.RefuseAgain(k.ID(), fragmentStarts)
	s.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	return volume.Fault(st.Dir, p.WriteRefused(list...))
}

// RefusedBefore returns why a fragment that is pending again was refused; ok is false if it was not.
func (s *Store) RefusedBefore(k Key, fragmentStart time.Duration) (code string, ok bool) {
	if p := s.notes(k); p != nil {
		one, ok := p.RefusedBefore(fragmentStart)
		return one.Code, ok
	}
	return "", false
}

// Requeue makes refused fragments of a segment pending again; fragments that are not refused stay as they are. With counted
// it adds one to their Tries. The change survives a crash of the process.
func (s *Store) Requeue(k Key, fragmentStarts []time.Duration, counted bool) error {
	st, p, e, err := s.claimRequeue(k, fragmentStarts)
	if err != nil || st == nil {
		return err
	}
	finished := e.State == Uploaded
	if finished {
		p, err = progress.Reload(st.Files, st.Dir, k.ID(), p)
	}
	s.mu.Lock()
	again := st.Requeued(k.ID(), fragmentStarts, counted)
	s.mu.Unlock()
	if err == nil {
		err = p.WriteAgain(again, s.now().UnixMilli())
	}
	after := e
	after.State, after.Refused = Sealed, false
	if err == nil && finished {
		err = st.Rename(e.Name(), after.Name())
	}
	gone := errors.Is(err, fs.ErrNotExist) && st.IsGone(e) // checked while nothing renames it
	var left *progress.Progress                            // no longer in use
	s.mu.Lock()
	if finished {
		a := st.Active[k.ID()]
		a.End()
		left = p
		if i, ok := st.Catalog.Find(k.ID()); err == nil && ok {
			st.Catalog.Replace(i, after)
			left, a.Progress = a.Progress, p
		}
	}
	if err == nil {
		st.PendAgain(p, k.ID(), again)
	}
	st.Release(k.ID())
	st.Watchers.Notify()
	s.mu.Unlock()
	if left != nil {
		_ = left.End() // its lines are in the file, or are written with the next try
	}
	if gone {
		return s.vanishedRefused(st, k)
	}
	if err == nil && finished {
		err = st.Sync()
	}
	return volume.Fault(st.Dir, err)
}

// vanishedRefused is vanished for a segment with refused fragments, so that a search for refused fragments finds those of
// other segments.
func (s *Store) vanishedRefused(st *streams.Stream, k Key) error {
	err := s.vanished(st, k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, listed := st.Catalog.Find(k.ID()); !listed {
		st.Refused.Drop(k.ID())
	}
	return err
}

// claimRequeue reserves a segment whose file is to be renamed if it is finished. It waits for another goroutine that renames
// it. The stream is nil when none of the fragments is refused.
func (s *Store) claimRequeue(k Key, starts []time.Duration) (*streams.Stream, *progress.Progress, catalog.Entry, error) {
	for {
		s.mu.Lock()
		st := s.streams[k.Stream]
		if st == nil {
			s.mu.Unlock()
			return nil, nil, catalog.Entry{}, notFound(k)
		}
		i, ok := st.Catalog.Find(k.ID())
		if !ok {
			s.mu.Unlock()
			return nil, nil, catalog.Entry{}, notFound(k)
		}
		e := st.Catalog.Entries[i]
		if !slices.ContainsFunc(st.Refused.Of[k.ID()], func(one progress.Refusal) bool { return slices.Contains(starts, one.Start) }) {
			s.mu.Unlock()
			return nil, nil, e, nil
		}
		a := st.Use(k.ID())
		if other := a.Moving; other != nil {
			s.mu.Unlock()
			<-other.Ended
			continue
		}
		if e.State == Uploaded {
			after := e
			after.State, after.Refused = Sealed, false
			a.Begin(after.Name())
		}
		p := a.Progress
		s.mu.Unlock()
		return st, p, e, nil
	}
}
