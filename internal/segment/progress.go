package segment

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/progress"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/syncqueue"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// MarkPersisted records that the service acknowledged a fragment as persisted: it will not be sent again. The record
// survives a crash of the process at once, and a power cut after the next sync.
func (s *Store) MarkPersisted(k Key, f mkv.Fragment) error {
	return s.note(k, f, nil)
}

// MarkRefused records that the service does not accept a fragment, and why: reason begins with the error code. The fragment
// counts as done for the upload until Requeue, and its segment is kept when others are deleted after their upload.
func (s *Store) MarkRefused(k Key, f mkv.Fragment, reason string) error {
	return s.note(k, f, &progress.Refusal{
		Start: f.Start, Last: f.Last, Size: f.Size, Code: oneLine(reason), At: s.now().UnixMilli(),
	})
}

// note records that a fragment is persisted or, unless refused is nil, that it is refused.
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
	return errors.Join(err, s.writeUnsaved(k.Stream, p))
}

// remember records a fragment in memory: even when the disk fails this process does not send it twice. The progress is nil
// when the fragment was recorded before. A refusal gets its number of tries.
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

// readNotes reads side files that could not be read before.
func (s *Store) readNotes(ctx context.Context) (failed error) {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.streams))
	s.mu.Unlock()
	for _, st := range all {
		present := func() error { return s.streamPresent(st) }
		failed = errors.Join(failed, st.ReadNotes(ctx, &s.mu, present, s.log))
	}
	return failed
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Done reports whether a fragment need not be sent: it is persisted, or refused.
func (s *Store) Done(k Key, fragmentStart time.Duration) bool {
	return of(s, k.Stream, func(st *streams.Stream) bool {
		if i, ok := st.Catalog.Find(k.ID()); ok && st.Catalog.Entries[i].State == Uploaded {
			return true
		}
		a := st.Active[k.ID()]
		return a != nil && a.Progress != nil && a.Progress.Done(fragmentStart)
	})
}

// MarkUploaded moves a sealed segment to uploaded. A part that cannot be read counts as refused: the segment is moved all
// the same, and the error is ErrDamaged. It fails with ErrIncomplete when a fragment is neither persisted nor refused.
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
	notes := s.notes(k)
	done, err := s.uploaded(r.stream, k)
	if err != nil || (!done && notes == nil) {
		return err
	}
	if err := s.settle(r.stream, k, notes); err != nil || !damaged {
		return err
	}
	return fmt.Errorf("segment %s of stream %s: %w", k.ID(), k.Stream, ErrDamaged)
}

// settle makes the name of an uploaded segment durable and removes the side file, or leaves both to the next beat.
func (s *Store) settle(st *streams.Stream, k Key, notes *progress.Progress) error {
	end := func(err error) error {
		if err != nil {
			return volume.Fault(st.Dir, err)
		}
		return s.endProgress(st, k, notes)
	}
	if !s.syncs.Running() {
		return end(st.Sync())
	}
	s.syncs.After(of(s, st.Name, s.disk), syncqueue.Step{Dir: st.Dir, Then: end})
	return nil
}

// notes returns the progress of a segment in use. That of an uploaded one exists until the segment's new name is durable.
func (s *Store) notes(k Key) *progress.Progress {
	return of(s, k.Stream, func(st *streams.Stream) (p *progress.Progress) {
		if a := st.Active[k.ID()]; a != nil {
			p = a.Progress
		}
		return p
	})
}

// uploaded renames the segment's file; done reports whether this call did it. Call with a lease.
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

// claimUploaded reserves a segment for its move to uploaded. If another goroutine moves it, claimUploaded waits, and nothing
// is left to do.
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
		a := st.Active[k.ID()] // exists, as the caller has a lease
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

// endProgress removes the side file of an uploaded segment, unless that has become pending again: then it has another progress. The
// segment's new name must be durable before: without both, all of it would be sent again.
func (s *Store) endProgress(st *streams.Stream, k Key, p *progress.Progress) error {
	s.mu.Lock()
	a := st.Active[k.ID()]
	ends := p != nil && a != nil && a.Progress == p
	if ends {
		a.Progress = nil
		st.Release(k.ID())
	}
	refused := len(st.Refused.Of[k.ID()]) > 0
	s.mu.Unlock()
	if !ends {
		return nil
	}
	err := p.WritePending() // lines that could not be written before
	_ = p.End()
	if refused {
		return volume.Fault(st.Dir, err) // the side file with the refusals is kept
	}
	return volume.Fault(st.Dir, p.Remove())
}

// unsavedProgress is the progress of a segment that is not durable yet. It implements syncqueue.Part.
type unsavedProgress struct {
	st *streams.Stream
	*progress.Progress
}

// Due implements syncqueue.Part.
func (o unsavedProgress) Due() (f file, dir string, due bool, err error) {
	f, dir, due, err = o.Progress.Due()
	return f, dir, due, volume.Fault(o.st.Dir, err)
}

// Synced implements syncqueue.Part.
func (o unsavedProgress) Synced(err error) error {
	return volume.Fault(o.st.Dir, o.Progress.Synced(err))
}

// unsaved returns those of the streams that which accepts; that is called with mu held.
func (s *Store) unsaved(which func(st *streams.Stream) bool) (list []unsavedProgress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		for _, a := range st.Active {
			if a.Progress != nil && a.Progress.Unsaved() && which(st) {
				list = append(list, unsavedProgress{st, a.Progress})
			}
		}
	}
	return list
}

func called(name string) func(*streams.Stream) bool {
	return func(st *streams.Stream) bool { return st.Name == name }
}

// unsavedOn returns those on a disk, for the beats.
func (s *Store) unsavedOn(disk uint64) (parts []syncqueue.Part) {
	for _, o := range s.unsaved(func(st *streams.Stream) bool { return s.disk(st) == disk }) {
		parts = append(parts, o)
	}
	return parts
}

// NotesPending reports whether progress of a stream could not be written and waits for the disk.
func (s *Store) NotesPending(stream string) bool {
	return slices.ContainsFunc(s.unsaved(called(stream)), func(o unsavedProgress) bool { return o.Pending() })
}

// writeUnsaved writes what is pending for all segments of a stream except one, so that when recording a fragment succeeds, all
// earlier records are written too.
func (s *Store) writeUnsaved(stream string, but *progress.Progress) error {
	var all error
	for _, o := range s.unsaved(called(stream)) {
		if o.Progress != but {
			all = errors.Join(all, volume.Fault(o.st.Dir, o.TryWritePending()))
		}
	}
	return all
}

// SyncProgress makes the records of MarkPersisted and MarkRefused durable now, also those that could not be written before.
// Only the caller waits for the disk.
func (s *Store) SyncProgress() error {
	var all error
	for _, o := range s.unsaved(func(*streams.Stream) bool { return true }) {
		if err := o.Sync(); err != nil {
			all = errors.Join(all, volume.Fault(o.st.Dir, err))
		}
	}
	return all
}
