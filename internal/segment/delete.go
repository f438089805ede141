package segment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Delete removes a segment. It fails with ErrBusy while the segment is being written or read, and with ErrNotFound
// when there is no such segment, also where somebody deleted its file: it is listed no longer then.
func (s *Store) Delete(k Key) error {
	s.mu.Lock()
	st := s.streams[k.Stream]
	s.mu.Unlock()
	if st == nil {
		return notFound(k)
	}
	if err := s.rememberEnd(st, k.id()); err != nil {
		return err
	}
	err := s.discard(st, k)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return cmp.Or(s.removeGarbage(st), err)
}

// Deleted is how many bytes of media were deleted from the disk of the recording directory since Open, for whatever
// reason.
func (s *Store) Deleted() int64 { return s.deleted.Load() }

// rememberEnd makes durable how far the stream's time has come, when nothing else would remember
// it after the deletion of a segment.
func (s *Store) rememberEnd(st *stream, k layout.ID) error {
	s.mu.Lock()
	i, ok := st.catalog.Find(k)
	if !ok || k.Epoch != st.catalog.Epoch || i < len(st.catalog.Entries)-1 {
		s.mu.Unlock()
		return nil
	}
	highest := st.catalog.Newest()
	st.catalog.Highest = highest
	known := st.catalog.Marked == highest
	s.mu.Unlock()
	if known {
		return nil
	}
	if err := layout.WriteStreamFile(st.files, st.dir, st.name, k.Epoch, highest); err != nil {
		if errors.Is(err, fs.ErrNotExist) && s.streamPresent(st) == nil {
			return nil // somebody removed the directory: who makes it again writes the marker from memory
		}
		return diskFault(st.dir, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.Epoch == st.catalog.Epoch {
		st.catalog.Marked = highest
	}
	return nil
}

// discard gives a segment's file the name of garbage and takes it out of the index. The name goes
// first, so that a crash while a large file is being freed leaves garbage and not a segment
// without its data. Of a file that somebody deleted nothing is booked, as its deletion here frees nothing.
// Call it after rememberEnd.
func (s *Store) discard(st *stream, k Key) error {
	e, err := s.claim(st, k)
	if err != nil {
		return err
	}
	garbage := garbageName(e)
	err = st.rename(e.Name(), garbage)
	var missing bool
	if errors.Is(err, fs.ErrNotExist) {
		missing = !s.exists(filepath.Join(st.dir, garbage)) // a renaming that failed may have been done
		err = s.streamPresent(st)                           // the file is not gone when its disk is
	}
	s.mu.Lock()
	a := st.active[e.ID]
	a.end()
	var notes *progress
	if err == nil {
		notes = st.forget(e.ID)
		st.garbage = append(st.garbage, layout.ProgressName(e.ID))
		if !missing {
			s.book(st, e)
			st.garbage = append(st.garbage, garbage)
		}
	}
	st.unuse(e.ID)
	st.changed()
	s.mu.Unlock()
	if notes != nil {
		_ = s.endNotes(notes) // its file goes as well
	}
	if err == nil && missing {
		s.logVanished(k)
		return notFound(k)
	}
	return diskFault(st.dir, err)
}

// book accounts for a segment whose disk will be free again. Call with mu held.
func (s *Store) book(st *stream, e catalog.Entry) {
	st.trash += e.Bytes
	st.freeing += e.Bytes
	if s.onDisk(st) {
		s.deleted.Add(e.Bytes)
	}
}

// forget takes a segment out of the index, with all that is known of it. The caller ends its notes, if there are
// any. Call with mu held.
func (st *stream) forget(k layout.ID) (notes *progress) {
	if a := st.active[k]; a != nil {
		notes, a.progress = a.progress, nil
	}
	if i, ok := st.catalog.Find(k); ok {
		st.catalog.Remove(i)
	}
	delete(st.gaps.of, k)
	st.refused.drop(k)
	return notes
}

// claim takes a segment that nobody uses for its deletion: who opens it from now on finds it gone.
func (s *Store) claim(st *stream, k Key) (catalog.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := st.catalog.Find(k.id())
	if !ok {
		return catalog.Entry{}, notFound(k)
	}
	e := st.catalog.Entries[i]
	a := st.active[e.ID]
	if e.State == Writing || (a != nil && (a.leases > 0 || a.writer != nil || a.moving != nil)) {
		return catalog.Entry{}, fmt.Errorf("segment %s of stream %s: %w", e.ID, st.name, ErrBusy)
	}
	st.use(e.ID).begin(garbageName(e))
	return e, nil
}

func garbageName(e catalog.Entry) string {
	return layout.FinishedName(e.ID, int64(e.Length), layout.GarbageSuffix)
}

// removeGarbage frees the disk of what was discarded. That takes long for large files, so nobody
// waits for it but the caller.
func (s *Store) removeGarbage(st *stream) error {
	s.mu.Lock()
	garbage, bytes := st.garbage, st.trash
	st.garbage, st.trash = nil, 0
	s.mu.Unlock()
	for i, name := range garbage {
		if err := st.files.Remove(filepath.Join(st.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.mu.Lock()
			st.garbage = append(st.garbage, garbage[i:]...)
			st.trash += bytes
			s.mu.Unlock()
			return diskFault(st.dir, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.freeing -= bytes
	st.recheck()
	return nil
}

// DeleteStream removes all media of a stream and its directory. Segments that are being read are
// waited for; nothing may write to the stream any more. When it fails it can be called again.
func (s *Store) DeleteStream(ctx context.Context, name string) error {
	changes, stop := s.Changes(name)
	defer stop()
	s.mu.Lock()
	st := s.stream(name)
	if err := s.unreadOf(name); err != nil {
		s.mu.Unlock()
		return err
	}
	st.deleting = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		st.deleting = false
		s.mu.Unlock()
	}()
	for {
		left, err := s.deleteFree(ctx, st)
		if err != nil {
			return err
		}
		if left == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d segments of stream %s are still in use: %w", left, name, ctx.Err())
		case <-changes:
		}
	}
	if err := s.streamPresent(st); err != nil {
		return err
	}
	s.mu.Lock()
	placed := st.device != 0
	s.mu.Unlock()
	if placed { // what has the name otherwise is something else's
		if err := s.removePlace(st); err != nil { // nobody else touches it: deleting is set
			return err
		}
	}
	s.mu.Lock()
	delete(s.streams, name)
	s.mu.Unlock()
	if err := s.files.SyncDir(s.dir); err != nil {
		return diskFault(s.dir, err)
	}
	return nil
}

// deleteFree deletes all that is not in use and gives the number of those that are. Others get
// their turn between two segments.
func (s *Store) deleteFree(ctx context.Context, st *stream) (left int, err error) {
	before := layout.ID{Epoch: math.MaxUint32, Start: math.MaxInt64}
	for {
		if err := ctx.Err(); err != nil {
			return left, fmt.Errorf("the deletion of stream %s was broken off: %w", st.name, err)
		}
		s.mu.Lock()
		i := st.catalog.At(before) - 1
		if i < 0 {
			if st.creating {
				left++
			}
			s.mu.Unlock()
			return left, nil
		}
		before = st.catalog.Entries[i].ID
		s.mu.Unlock()
		switch err := s.Delete(Key{Stream: st.name, Epoch: before.Epoch, Start: before.Start}); {
		case errors.Is(err, ErrBusy):
			left++
		case err != nil && !errors.Is(err, ErrNotFound):
			return left, err
		}
	}
}
