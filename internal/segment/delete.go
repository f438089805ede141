package segment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"

	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/progress"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// Delete removes a segment. It fails with ErrBusy while the segment is being written or read, with hold.ErrHeld while a hold holds it,
// and with ErrNotFound when there is no such segment. A segment whose file somebody deleted is then no longer listed, nor is one of which
// ErrLeft says that its file is left.
func (s *Store) Delete(k Key) error {
	s.mu.Lock()
	st := s.streams[k.Stream]
	s.mu.Unlock()
	if st == nil {
		return notFound(k)
	}
	if err := s.rememberEnd(st, k.ID()); err != nil {
		return err
	}
	return cmp.Or(s.discard(st, k), volume.Fault(st.Dir, st.RemoveGarbage(&s.mu, false)))
}

// Deleted returns how many bytes of media were deleted from the disk of the recording directory since Open, for any reason.
func (s *Store) Deleted() int64 { return s.deleted.Load() }

// rememberEnd saves the newest producer time of the stream, when nothing else would keep it once a segment is gone.
func (s *Store) rememberEnd(st *streams.Stream, k layout.ID) error {
	err := st.SaveEnd(&s.mu, k)
	if errors.Is(err, fs.ErrNotExist) && s.streamPresent(st) == nil {
		return nil // somebody removed the directory: the code that creates it again writes the stream file from memory
	}
	return volume.Fault(st.Dir, err)
}

// discard renames a segment's file to garbage and removes it from the index. The rename comes first, so that a crash while a
// large file is being freed leaves garbage and not a segment without its data. A file that somebody deleted is not counted,
// as its deletion here frees nothing. Call it after rememberEnd.
func (s *Store) discard(st *streams.Stream, k Key) error {
	e, garbage, err := s.claim(st, k)
	if err != nil {
		return err
	}
	err = st.Rename(e.Name(), garbage)
	var missing bool
	if errors.Is(err, fs.ErrNotExist) {
		missing = !st.Exists(garbage) // a rename that returned an error may have been done
		err = s.streamPresent(st)     // the file is not deleted when its disk is gone
	}
	s.mu.Lock()
	a := st.Active[e.ID]
	a.End()
	var notes *progress.Progress
	if err == nil {
		notes = st.Forget(e.ID)
		st.Discard(0, layout.ProgressName(e.ID))
		if !missing {
			s.book(st, e, garbage)
		}
	}
	st.Release(e.ID)
	st.Watchers.Notify()
	s.mu.Unlock()
	if notes != nil {
		_ = notes.End() // its file is deleted as well
	}
	if err == nil && missing {
		s.logVanished(k)
		return notFound(k)
	}
	return volume.Fault(st.Dir, err)
}

// book records that a segment's bytes are freed once its file of that name is removed. Call with mu held.
func (s *Store) book(st *streams.Stream, e catalog.Entry, name string) {
	st.Discard(e.Bytes, name)
	if s.onDisk(st) {
		s.deleted.Add(e.Bytes)
	}
}

// claim reserves a segment that nobody uses and no hold holds for its deletion: from now on it cannot be opened. garbage is the name
// that its file gets.
func (s *Store) claim(st *streams.Stream, k Key) (e catalog.Entry, garbage string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := st.Catalog.Find(k.ID())
	if !ok {
		return e, "", notFound(k)
	}
	e = st.Catalog.Entries[i]
	a := st.Active[e.ID]
	if e.State == Writing || a.InUse() {
		a.Await()
		return e, "", fmt.Errorf("segment %s of stream %s: %w", e.ID, st.Name, ErrBusy)
	}
	if garbage, err = st.Catalog.Release(i); err != nil {
		return e, "", fmt.Errorf("segment %s of stream %s: %w", e.ID, st.Name, err)
	}
	st.Use(e.ID).BeginDeletion(garbage)
	return e, garbage, nil
}

// RemoveGarbage tries again to remove the files of which ErrLeft said that they are left.
func (s *Store) RemoveGarbage(stream string) error {
	s.mu.Lock()
	st := s.streams[stream]
	s.mu.Unlock()
	if st == nil {
		return nil
	}
	return volume.Fault(st.Dir, st.RemoveGarbage(&s.mu, true))
}

// DeleteStream removes all media of a stream and its directory. It waits for segments that are being read; nothing may write
// to the stream any more. When it fails it can be called again. What holds hold stays, with the directory, and then the error is a
// *health.Fault that wraps hold.ErrHeld.
func (s *Store) DeleteStream(ctx context.Context, name string) error {
	changes, stop := s.Changes(name)
	defer stop()
	s.mu.Lock()
	st := s.stream(name)
	if err := s.volume.Unread.Of(name); err != nil {
		s.mu.Unlock()
		return err
	}
	st.Deleting = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		st.Deleting = false
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
	if err := cmp.Or(s.streamPresent(st), s.holds.Refusal(st)); err != nil {
		return err
	}
	s.mu.Lock()
	placed := st.Device != 0
	s.mu.Unlock()
	if placed { // otherwise the directory of that name is not the stream's
		if err := s.volume.RemoveDirectory(st.Name, st.Dir); err != nil { // nobody else touches it: deleting is set
			return err
		}
	}
	s.mu.Lock()
	delete(s.streams, name)
	s.mu.Unlock()
	if err := s.files.SyncDir(s.dir); err != nil {
		return volume.Fault(s.dir, err)
	}
	return nil
}

// deleteFree deletes all segments that are neither in use nor held and returns how many are in use. Other goroutines can take the
// lock between two segments.
func (s *Store) deleteFree(ctx context.Context, st *streams.Stream) (left int, err error) {
	before := layout.ID{Epoch: math.MaxUint32, Start: math.MaxInt64}
	for {
		if err := ctx.Err(); err != nil {
			return left, fmt.Errorf("the deletion of stream %s was broken off: %w", st.Name, err)
		}
		s.mu.Lock()
		i := st.Catalog.At(before) - 1
		if i < 0 {
			if st.Creating {
				left++
			}
			s.mu.Unlock()
			return left, nil
		}
		before = st.Catalog.Entries[i].ID
		s.mu.Unlock()
		switch err := s.Delete(Key{Stream: st.Name, Epoch: before.Epoch, Start: before.Start}); {
		case errors.Is(err, ErrBusy):
			left++
		case errors.Is(err, hold.ErrHeld), errors.Is(err, ErrLeft): // what is left goes with the directory
		case err != nil && !errors.Is(err, ErrNotFound):
			return left, err
		}
	}
}
