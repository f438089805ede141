package segment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Delete removes a segment. It fails with ErrBusy while the segment is being written or read.
func (s *Store) Delete(k Key) error {
	s.mu.Lock()
	st := s.streams[k.Stream]
	var err error
	if st == nil {
		err = notFound(k)
	} else if i, ok := st.index.find(k.Start); !ok {
		err = notFound(k)
	} else {
		err = s.discard(st, i)
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.removeGarbage(st)
}

// discard takes a segment out of the index and gives its file the name of garbage. The name goes
// first, so that a crash while a large file is being freed leaves garbage and not a segment
// without its data. Call with mu held.
func (s *Store) discard(st *stream, i int) error {
	e := st.index.entries[i]
	a := st.active[e.start]
	if e.state == Writing || (a != nil && (a.leases > 0 || a.writer != nil)) {
		return fmt.Errorf("segment %s of stream %s: %w", stamp(e.start), st.name, ErrBusy)
	}
	if i == len(st.index.entries)-1 && e.end() > st.highest {
		// Nothing else would remember how far the stream's time has come.
		st.highest = e.end()
		if err := st.writeMarker(); err != nil {
			return diskFault(st.dir, err)
		}
	}
	garbage := finishedName(e.start, int64(e.length), garbageSuffix)
	if err := st.rename(e.name(), garbage); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diskFault(st.dir, err)
	}
	st.index.remove(i)
	st.garbage = append(st.garbage, garbage, progressName(e.start))
	if a != nil && a.progress != nil {
		_ = a.progress.close()
		a.progress = nil
		st.unuse(e.start)
	}
	st.changed()
	return nil
}

// removeGarbage frees the disk of what was discarded. That takes long for large files, so nobody
// waits for it but the caller.
func (s *Store) removeGarbage(st *stream) error {
	s.mu.Lock()
	garbage := st.garbage
	st.garbage = nil
	s.mu.Unlock()
	for i, name := range garbage {
		if err := st.files.Remove(filepath.Join(st.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.mu.Lock()
			st.garbage = append(st.garbage, garbage[i:]...)
			s.mu.Unlock()
			return diskFault(st.dir, err)
		}
	}
	return nil
}

// DeleteStream removes all media of a stream and its directory. Segments that are being read are
// waited for; nothing may write to the stream any more. When it fails it can be called again.
func (s *Store) DeleteStream(ctx context.Context, name string) error {
	changes, stop := s.Changes(name)
	defer stop()
	s.mu.Lock()
	st := s.stream(name)
	st.deleting = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		st.deleting = false
		s.mu.Unlock()
	}()
	for {
		left, err := s.deleteFree(st)
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.files.RemoveAll(st.dir); err != nil {
		return diskFault(st.dir, err)
	}
	delete(s.streams, name)
	if err := s.files.SyncDir(s.dir); err != nil {
		return diskFault(s.dir, err)
	}
	return nil
}

// deleteFree deletes all that is not in use and gives the number of those that are.
func (s *Store) deleteFree(st *stream) (left int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(st.index.entries) - 1; i >= 0; i-- {
		err := s.discard(st, i)
		switch {
		case errors.Is(err, ErrBusy):
			left++
		case err != nil:
			return left, err
		}
	}
	if st.creating {
		left++
	}
	return left, nil
}
