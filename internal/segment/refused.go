package segment

import (
	"cmp"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/progress"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// Refused is a fragment that the service does not take: it is on this disk only.
type Refused struct {
	Key      Key
	Fragment mkv.Fragment // its Start, Last and Size
	Code     string       // what the service said: 4006 INVALID_MKV_DATA
	At       time.Time    // when it was refused last; zero when that is not known
	Tries    int          // how often it was queued again by itself
}

// SameCode tells whether both were refused for the same reason.
func SameCode(a, b string) bool { return progress.SameCode(a, b) }

// Refused lists a stream's refused fragments, oldest first.
func (s *Store) Refused(stream string) []Refused {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	if st == nil || st.refused.Count == 0 {
		return nil
	}
	list := make([]Refused, 0, st.refused.Count)
	for k, all := range st.refused.Of {
		for _, one := range all {
			r := Refused{
				Key:      Key{Stream: st.name, Epoch: k.Epoch, Start: k.Start},
				Fragment: mkv.Fragment{Start: one.Start, Last: one.Last, Size: one.Size},
				Code:     one.Code, Tries: one.Tries,
			}
			if one.At > 0 {
				r.At = time.UnixMilli(one.At).UTC()
			}
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b Refused) int {
		return cmp.Or(a.Key.id().Compare(b.Key.id()), cmp.Compare(a.Fragment.Start, b.Fragment.Start))
	})
	return list
}

// RefusedBefore gives why a fragment was refused that is pending again; ok is false for one that was not.
func (s *Store) RefusedBefore(k Key, fragmentStart time.Duration) (code string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[k.Stream]
	if st == nil {
		return "", false
	}
	if a := st.active[k.id()]; a != nil && a.progress != nil {
		one, ok := a.progress.RefusedBefore(fragmentStart)
		return one.Code, ok
	}
	return "", false
}

// Requeue makes refused fragments of a segment pending again; those that are not refused it leaves. With
// counted it is another of their Tries. It survives the end of the process.
func (s *Store) Requeue(k Key, fragmentStarts []time.Duration, counted bool) error {
	st, p, e, err := s.claimRequeue(k, fragmentStarts)
	if err != nil || st == nil {
		return err
	}
	finished := e.State == Uploaded
	if finished {
		p, err = reloadProgress(st, k.id(), p)
	}
	if err == nil {
		err = p.WriteAgain(s.requeued(st, k.id(), fragmentStarts, counted), s.now().UnixMilli())
	}
	after := e
	after.State, after.Refused = Sealed, false
	if err == nil && finished {
		err = st.rename(e.Name(), after.Name())
	}
	gone := errors.Is(err, fs.ErrNotExist) && st.isGone(e) // asked while nobody else renames it
	var left *progress.Progress                            // nobody has it any more
	s.mu.Lock()
	if finished {
		a := st.active[k.id()]
		a.end()
		left = p
		if i, ok := st.catalog.Find(k.id()); err == nil && ok {
			st.catalog.Replace(i, after)
			left, a.progress = a.progress, p
		}
	}
	if err == nil {
		st.pendAgain(p, k.id(), fragmentStarts, counted)
	}
	st.unuse(k.id())
	st.changed()
	s.mu.Unlock()
	if left != nil {
		_ = left.End() // what it says is in the file, or is said with the next try
	}
	if gone {
		return s.vanishedRefused(st, k)
	}
	if err == nil && finished {
		err = st.sync()
	}
	return volume.Fault(st.dir, err)
}

// reloadProgress reads the side file of a finished segment. What the disk did not take of it before, as open has it,
// is written first; open is nil when nothing has.
func reloadProgress(st *stream, k layout.ID, open *progress.Progress) (*progress.Progress, error) {
	if open != nil {
		if err := open.WritePending(); err != nil {
			return nil, err
		}
	}
	p, _, err := progress.Load(st.files, st.dir, k, false)
	return p, err
}

// pendAgain takes refused fragments of a segment back. Call with mu held.
func (st *stream) pendAgain(p *progress.Progress, k layout.ID, starts []time.Duration, counted bool) {
	for _, start := range starts {
		if one, ok := st.refused.Take(k, start); ok {
			if counted {
				one.Tries++
			}
			p.Undo(one)
		}
	}
}

// isGone reports whether a segment's file is not there.
func (st *stream) isGone(e catalog.Entry) bool {
	_, err := st.files.Stat(filepath.Join(st.dir, e.Name()))
	return errors.Is(err, fs.ErrNotExist)
}

// vanishedRefused is vanished for a segment with refused fragments: who looks for some to queue again finds those
// of others.
func (s *Store) vanishedRefused(st *stream, k Key) error {
	err := s.vanished(st, k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, listed := st.catalog.Find(k.id()); !listed {
		st.refused.Drop(k.id())
	}
	return err
}

// claimRequeue takes a segment, of which a finished one gets another name. Somebody else who does that is
// waited for. The stream is nil when none of the fragments is refused.
func (s *Store) claimRequeue(k Key, starts []time.Duration) (*stream, *progress.Progress, catalog.Entry, error) {
	for {
		s.mu.Lock()
		st := s.streams[k.Stream]
		if st == nil {
			s.mu.Unlock()
			return nil, nil, catalog.Entry{}, notFound(k)
		}
		i, ok := st.catalog.Find(k.id())
		if !ok {
			s.mu.Unlock()
			return nil, nil, catalog.Entry{}, notFound(k)
		}
		e := st.catalog.Entries[i]
		if !slices.ContainsFunc(st.refused.Of[k.id()], func(one progress.Refusal) bool { return slices.Contains(starts, one.Start) }) {
			s.mu.Unlock()
			return nil, nil, e, nil
		}
		a := st.use(k.id())
		if other := a.moving; other != nil {
			s.mu.Unlock()
			<-other.ended
			continue
		}
		if e.State == Uploaded {
			after := e
			after.State, after.Refused = Sealed, false
			a.begin(after.Name())
		}
		p := a.progress
		s.mu.Unlock()
		return st, p, e, nil
	}
}

// requeued lists the refusals of fragments that are to be pending again.
func (s *Store) requeued(st *stream, k layout.ID, starts []time.Duration, counted bool) (list []progress.Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range st.refused.Of[k] {
		if slices.Contains(starts, one.Start) {
			if counted {
				one.Tries++
			}
			list = append(list, one)
		}
	}
	return list
}

// loadRefused takes in which fragments of a finished segment are refused. One that a version gave up which
// blamed fragments for the line, or that was to be tried again, makes the segment pending again.
func (s *Store) loadRefused(st *stream, i int) {
	e := st.catalog.Entries[i]
	p, list, err := progress.Load(st.files, st.dir, e.ID, s.readOnly)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("cannot read which fragments of a segment were refused", zap.String("stream", st.name), zap.Error(err))
		}
		return
	}
	for _, one := range list {
		st.refused.Add(e.ID, one)
	}
	if !p.Requeued() || s.readOnly {
		return
	}
	after := e
	after.State, after.Refused = Sealed, false
	if err := st.rename(e.Name(), after.Name()); err != nil {
		s.log.Warn("cannot queue a segment again", zap.String("stream", st.name), zap.Error(err)) // the next start does
		return
	}
	st.catalog.Replace(i, after)
	st.use(e.ID).progress = p
}
