package segment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// Reader reads one segment, and keeps it from being deleted until Close. Safe for concurrent use.
type Reader struct {
	store  *Store
	stream *streams.Stream
	key    Key
	shown  *streams.Recording // nil when the segment was already finished
	file   file
	header mkv.Header

	once  sync.Once // loads fragments of a finished segment
	list  []mkv.Fragment
	err   error
	close sync.Once
}

// OpenSegment opens a segment for reading, also one that is being written: then Fragments returns the fragments completed so
// far.
func (s *Store) OpenSegment(k Key) (*Reader, error) {
	return s.OpenSegmentWhile(context.Background(), k)
}

// OpenSegmentWhile is OpenSegment for long reads: once ctx ends nothing more is read, and all calls fail with its error.
func (s *Store) OpenSegmentWhile(ctx context.Context, k Key) (*Reader, error) {
	r, err := s.lease(k)
	if err != nil {
		return nil, err
	}
	if err = r.open(); err == nil {
		r.file = atomicfile.While(ctx, r.file)
		err = ctx.Err()
	}
	if err == nil && r.shown == nil {
		err = r.readHeader()
	}
	if err != nil {
		_ = r.Close()
		return nil, s.reading(err)
	}
	return r, nil
}

// lease keeps a segment from being deleted.
func (s *Store) lease(k Key) (*Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[k.Stream]
	if st == nil || st.Deleting {
		return nil, notFound(k)
	}
	if _, ok := st.Catalog.Find(k.ID()); !ok {
		return nil, notFound(k)
	}
	r := &Reader{store: s, stream: st, key: k}
	if a := st.Active[k.ID()]; a != nil {
		if a.Moving != nil && a.Moving.Deletes {
			return nil, notFound(k)
		}
		if r.shown = a.Recording; r.shown != nil {
			r.header = r.shown.Header
		}
	}
	st.Use(k.ID()).Leases++
	return r, nil
}

// open opens the file, without the store's mu, so that on a slow disk only the caller waits. Meanwhile the file may be
// renamed.
func (r *Reader) open() error {
	s, st := r.store, r.stream
	var before []string
	for {
		s.mu.Lock()
		names := st.FileNames(r.key.ID())
		s.mu.Unlock()
		for _, name := range names {
			file, err := st.Files.OpenFile(filepath.Join(st.Dir, name), os.O_RDONLY, 0)
			if err == nil {
				r.file = file
				return nil
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return volume.Fault(st.Dir, err)
			}
		}
		if slices.Equal(names, before) && (!s.readOnly || !s.relocate(st, r.key.ID())) {
			return s.vanished(st, r.key)
		}
		before = names
	}
}

// vanished returns the error of a segment whose file somebody deleted. The segment is no longer listed, unless its disk is
// gone.
func (s *Store) vanished(st *streams.Stream, k Key) error {
	gone := fmt.Errorf("the file is gone: %w", notFound(k))
	if s.readOnly {
		return gone
	}
	if err := s.streamPresent(st); err != nil {
		return err
	}
	s.mu.Lock()
	i, ok := st.Catalog.Find(k.ID())
	if a := st.Active[k.ID()]; !ok || a != nil && (a.Recording != nil || a.Moving != nil) {
		s.mu.Unlock()
		return gone
	}
	st.Catalog.Remember(st.Catalog.Entries[i])
	notes := st.Forget(k.ID())
	st.Release(k.ID())
	st.Recheck()
	st.Watchers.Notify()
	s.mu.Unlock()
	if notes != nil {
		_ = notes.End() // nobody uses them any more
	}
	s.logVanished(k)
	return gone
}

func (s *Store) logVanished(k Key) {
	logevent.SegmentVanished.Log(s.log, zap.String("stream", k.Stream), zap.String("segment", k.ID().String()))
}

// relocate searches for a segment whose state was changed by the running agent.
func (s *Store) relocate(st *streams.Stream, k layout.ID) bool {
	e, found := st.FindFile(k)
	if !found {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := st.Catalog.Find(k)
	if e.Held = ok && st.Catalog.Entries[i].Held; !ok || st.Catalog.Entries[i] == e {
		return false
	}
	st.Catalog.Replace(i, e)
	return true
}

func (r *Reader) readHeader() error {
	m, err := r.container()
	if err != nil {
		return fmt.Errorf("segment %s of stream %s: %w", r.key.ID(), r.key.Stream, err)
	}
	r.header = m.Header()
	return nil
}

func (r *Reader) container() (*mkv.Reader, error) {
	info, err := r.file.Stat()
	if err != nil {
		return nil, err
	}
	return mkv.Open(r.file, info.Size())
}

// Key identifies the segment.
func (r *Reader) Key() Key { return r.key }

// RecordedAt returns when a time since the segment's start was recorded.
func (r *Reader) RecordedAt(d time.Duration) time.Time {
	_, recorded := r.store.Offsets(r.key, d)
	return r.key.StartTime().Add(d + recorded)
}

// Header returns the segment's header.
func (r *Reader) Header() mkv.Header { return r.header }

// Fragments returns the completed fragments. While finished is false, more may be added.
func (r *Reader) Fragments() (list []mkv.Fragment, finished bool, err error) {
	if r.shown != nil {
		list, finished = r.shown.Completed()
		return list, finished, nil
	}
	r.once.Do(func() {
		m, err := r.container()
		if err == nil {
			r.list, err = m.Fragments()
		}
		r.err = err
	})
	return r.list, true, r.err
}

// Synced returns up to which byte a file that is being written may be read beyond its completed fragments: what a power cut leaves.
func (r *Reader) Synced() int64 {
	if r.shown == nil {
		return 0
	}
	return r.shown.Synced()
}

// ReadAt reads bytes of the file.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) { return r.file.ReadAt(p, off) }

// Close ends the lease.
func (r *Reader) Close() error {
	var err error
	r.close.Do(func() {
		if r.file != nil {
			err = r.file.Close()
		}
		r.store.mu.Lock()
		defer r.store.mu.Unlock()
		awaited := r.stream.Deleting
		if a := r.stream.Active[r.key.ID()]; a != nil {
			awaited = a.EndLease() || awaited
		}
		r.stream.Release(r.key.ID())
		if awaited { // else nothing changed, and an upload that looks with every change would look for ever
			r.stream.Watchers.Notify()
		}
	})
	return err
}
