package segment

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/progress"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// MarkPersisted notes that the service acknowledged a fragment as persisted: it will not be sent
// again. The note survives the end of the process at once, and a power cut after the next sync.
func (s *Store) MarkPersisted(k Key, f mkv.Fragment) error {
	return s.note(k, f, nil)
}

// MarkRefused notes that the service does not take a fragment, and why: reason begins with its code. The
// fragment counts as done for the upload until Requeue, and its segment is kept when others are deleted after
// their upload.
func (s *Store) MarkRefused(k Key, f mkv.Fragment, reason string) error {
	return s.note(k, f, &progress.Refusal{
		Start: f.Start, Last: f.Last, Size: f.Size, Code: oneLine(reason), At: s.now().UnixMilli(),
	})
}

// note notes that a fragment is persisted or, unless refused is nil, that it is refused.
func (s *Store) note(k Key, f mkv.Fragment, refused *progress.Refusal) error {
	st, p, err := s.remember(k, f, refused)
	if err != nil {
		return err
	}
	switch {
	case p == nil:
	case refused != nil:
		err = volume.Fault(st.Dir, p.WriteRefused(*refused))
	default:
		err = volume.Fault(st.Dir, p.WritePersisted(f))
	}
	return errors.Join(err, s.writeOwed(k.Stream, p))
}

// remember notes a fragment in memory: even when the disk fails it is not sent twice by this
// process. The progress is nil when that is known already. A refusal gets its number of tries.
func (s *Store) remember(k Key, f mkv.Fragment, refused *progress.Refusal) (*streams.Stream, *progress.Progress, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[k.Stream]
	if st == nil {
		return nil, nil, notFound(k)
	}
	switch i, ok := st.Catalog.Find(k.ID()); {
	case !ok && !slices.Contains(st.Catalog.Broken, k.ID()):
		return nil, nil, notFound(k)
	case ok && st.Catalog.Entries[i].State == Uploaded:
		return nil, nil, nil
	}
	a := st.Use(k.ID())
	if a.Progress == nil {
		a.Progress = progress.New(st.Files, st.Dir, k.ID())
	}
	p := a.Progress
	if p.Done(f.Start) {
		return nil, nil, nil
	}
	before, _ := p.RefusedBefore(f.Start)
	if p.Add(f); refused != nil {
		refused.Tries = before.Tries
		st.Refused.Add(k.ID(), *refused)
	}
	return st, p, nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Done reports whether a fragment need not be sent: it is persisted, or refused.
func (s *Store) Done(k Key, fragmentStart time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[k.Stream]
	if st == nil {
		return false
	}
	if i, ok := st.Catalog.Find(k.ID()); ok && st.Catalog.Entries[i].State == Uploaded {
		return true
	}
	a := st.Active[k.ID()]
	return a != nil && a.Progress != nil && a.Progress.Done(fragmentStart)
}

// MarkUploaded moves a sealed segment to uploaded. Where a part of it cannot be read, that counts as refused: the segment
// is uploaded but for it, and the error is ErrDamaged. It fails with ErrIncomplete when a fragment is
// neither persisted nor refused.
func (s *Store) MarkUploaded(k Key) error {
	r, err := s.OpenSegment(k)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	fragments, finished, err := r.Fragments()
	if err != nil {
		return err
	}
	if !finished {
		return fmt.Errorf("segment %s of stream %s is still being written: %w", k.ID(), k.Stream, ErrIncomplete)
	}
	for _, f := range fragments {
		if !s.Done(k, f.Start) {
			return fmt.Errorf("segment %s of stream %s: %w", k.ID(), k.Stream, ErrIncomplete)
		}
	}
	damaged, err := s.noteDamaged(r)
	if err != nil {
		return err
	}
	done, err := s.uploaded(r.stream, k)
	if err != nil || (!done && !s.hasNotes(r.stream, k)) {
		return err
	}
	if err := r.stream.Sync(); err != nil {
		return volume.Fault(r.stream.Dir, err)
	}
	if err := s.endProgress(r.stream, k); err != nil || !damaged {
		return err
	}
	return fmt.Errorf("segment %s of stream %s: %w", k.ID(), k.Stream, ErrDamaged)
}

// hasNotes reports whether the side file of an uploaded segment is still there, because its name could not
// be made durable before.
func (s *Store) hasNotes(st *streams.Stream, k Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := st.Active[k.ID()]
	return a != nil && a.Progress != nil
}

// uploaded renames the segment's file; done says that it was not so before. Call with a lease.
func (s *Store) uploaded(st *streams.Stream, k Key) (done bool, err error) {
	before, after, err := s.claimUploaded(st, k)
	if err != nil || before.State == Uploaded {
		return false, err
	}
	err = st.Rename(before.Name(), after.Name())
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Active[k.ID()].End()
	if err != nil {
		return false, volume.Fault(st.Dir, err)
	}
	i, _ := st.Catalog.Find(k.ID())
	st.Catalog.Replace(i, after)
	st.Watchers.Notify()
	return true, nil
}

// claimUploaded takes a segment for its way to uploaded. Somebody else who does the same is waited
// for, and then there is nothing left to do.
func (s *Store) claimUploaded(st *streams.Stream, k Key) (before, after catalog.Entry, err error) {
	for {
		s.mu.Lock()
		i, ok := st.Catalog.Find(k.ID())
		if !ok {
			s.mu.Unlock()
			return before, after, notFound(k)
		}
		before = st.Catalog.Entries[i]
		after = before
		a := st.Active[k.ID()] // there, for the lease
		if other := a.Moving; other != nil {
			s.mu.Unlock()
			<-other.Ended
			continue
		}
		if before.State != Uploaded {
			after.State = Uploaded
			after.Refused = len(st.Refused.Of[k.ID()]) > 0
			a.Begin(after.Name())
		}
		s.mu.Unlock()
		return before, after, nil
	}
}

// endProgress removes the side file of an uploaded segment. Its new name must be durable before:
// without both, all of it would be sent again.
func (s *Store) endProgress(st *streams.Stream, k Key) error {
	s.mu.Lock()
	var p *progress.Progress
	if a := st.Active[k.ID()]; a != nil {
		p, a.Progress = a.Progress, nil
		st.Release(k.ID())
	}
	refused := len(st.Refused.Of[k.ID()]) > 0
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	err := p.WritePending() // what is owed
	_ = p.End()
	if refused {
		return volume.Fault(st.Dir, err) // the reasons stay
	}
	return volume.Fault(st.Dir, p.Remove())
}

// owing is progress that is not durable.
type owing struct {
	st *streams.Stream
	p  *progress.Progress
}

// owing lists it, of a stream or, when that is "", of all.
func (s *Store) owing(stream string) (list []owing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		if stream != "" && stream != st.Name {
			continue
		}
		for _, a := range st.Active {
			if a.Progress != nil && a.Progress.Owed() {
				list = append(list, owing{st, a.Progress})
			}
		}
	}
	return list
}

// NotesPending reports whether notes of a stream's fragments wait for a disk that did not take them.
func (s *Store) NotesPending(stream string) bool {
	return slices.ContainsFunc(s.owing(stream), func(o owing) bool { return o.p.Pending() })
}

// writeOwed writes what is pending of a stream's segments but one, so that who notes a fragment without an
// error knows that all notes are written.
func (s *Store) writeOwed(stream string, but *progress.Progress) error {
	var all error
	for _, o := range s.owing(stream) {
		if o.p != but {
			all = errors.Join(all, volume.Fault(o.st.Dir, o.p.TryWritePending()))
		}
	}
	return all
}

// SyncProgress makes the notes of MarkPersisted durable now, also those that could not be written before.
// Nobody waits for the disk meanwhile but the caller.
func (s *Store) SyncProgress() error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	var all error
	for _, o := range s.owing("") {
		if err := o.p.Sync(); err != nil {
			all = errors.Join(all, volume.Fault(o.st.Dir, err))
		}
	}
	return all
}
