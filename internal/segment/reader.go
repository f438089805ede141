package segment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Reader reads one segment, and keeps it from being deleted until Close. Safe for concurrent use.
type Reader struct {
	store  *Store
	stream *stream
	key    Key
	writer *Writer // nil when the segment was finished already
	file   file
	header mkv.Header

	once  sync.Once // loads fragments of a finished segment
	list  []mkv.Fragment
	err   error
	close sync.Once
}

// OpenSegment opens a segment for reading, also one that is being written: then Fragments lists
// what is completed so far.
func (s *Store) OpenSegment(k Key) (*Reader, error) {
	r, err := s.lease(k)
	if err != nil {
		return nil, err
	}
	if err = r.open(); err == nil && r.writer == nil {
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
	if st == nil || st.deleting {
		return nil, notFound(k)
	}
	i, ok := st.catalog.Find(k.id())
	if !ok {
		return nil, notFound(k)
	}
	r := &Reader{store: s, stream: st, key: k}
	if a := st.active[k.id()]; a != nil {
		if a.moving != nil && a.moving.to == garbageName(st.catalog.Entries[i]) {
			return nil, notFound(k)
		}
		if r.writer = a.writer; r.writer != nil {
			r.header = r.writer.header
		}
	}
	st.use(k.id()).leases++
	return r, nil
}

// open opens the file, without the store's mu: on a slow disk nobody else waits for it. Meanwhile
// the file may get another name.
func (r *Reader) open() error {
	s, st := r.store, r.stream
	var before []string
	for {
		names := s.namesOf(st, r.key.id())
		for _, name := range names {
			file, err := st.files.OpenFile(filepath.Join(st.dir, name), os.O_RDONLY, 0)
			if err == nil {
				r.file = file
				return nil
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return diskFault(st.dir, err)
			}
		}
		if slices.Equal(names, before) && (!s.readOnly || !s.relocate(st, r.key.id())) {
			return s.vanished(st, r.key)
		}
		before = names
	}
}

// vanished is the error of a segment whose file somebody deleted. It is listed no longer, unless its disk is gone.
func (s *Store) vanished(st *stream, k Key) error {
	gone := fmt.Errorf("the file is gone: %w", notFound(k))
	if s.readOnly {
		return gone
	}
	if err := s.streamPresent(st); err != nil {
		return err
	}
	s.mu.Lock()
	i, ok := st.catalog.Find(k.id())
	if a := st.active[k.id()]; !ok || a != nil && (a.writer != nil || a.moving != nil) {
		s.mu.Unlock()
		return gone
	}
	st.catalog.Remember(st.catalog.Entries[i])
	notes := st.forget(k.id())
	st.unuse(k.id())
	st.recheck()
	st.changed()
	s.mu.Unlock()
	if notes != nil {
		_ = s.endNotes(notes) // nobody reads them any more
	}
	s.logVanished(k)
	return gone
}

func (s *Store) logVanished(k Key) {
	s.log.Error("somebody deleted the file of a segment: it is listed no longer",
		zap.String("stream", k.Stream), zap.String("segment", k.id().String()))
}

// namesOf gives the name of a segment's file, and the one that it gets now, if it does.
func (s *Store) namesOf(st *stream, k layout.ID) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := st.catalog.Find(k)
	if !ok {
		return nil
	}
	names := []string{st.catalog.Entries[i].Name()}
	if a := st.active[k]; a.moving != nil {
		names = append(names, a.moving.to)
	}
	return names
}

// relocate looks for a segment whose state the agent beside which we read has changed.
func (s *Store) relocate(st *stream, k layout.ID) bool {
	names, _ := filepath.Glob(filepath.Join(globEscape.Replace(st.dir), k.String()+"*.mkv"))
	for _, path := range names {
		p, ok := layout.ParseName(filepath.Base(path))
		info, err := st.files.Stat(path)
		if !ok || p.ID != k || p.Suffix == layout.GarbageSuffix || err != nil {
			continue
		}
		e := catalog.Entry{ID: k, Bytes: info.Size(), Length: uint32(p.Length), State: p.State, Refused: p.Refused}
		s.mu.Lock()
		defer s.mu.Unlock()
		i, ok := st.catalog.Find(k)
		if !ok || st.catalog.Entries[i] == e {
			return false
		}
		st.catalog.Replace(i, e)
		return true
	}
	return false
}

// globEscape keeps a directory's own name from being taken for a pattern.
var globEscape = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`)

func (r *Reader) readHeader() error {
	m, err := r.container()
	if err != nil {
		return fmt.Errorf("segment %s of stream %s: %w", r.key.id(), r.key.Stream, err)
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

// at gives when a time since the segment's start was recorded.
func (r *Reader) at(d time.Duration) time.Time {
	_, recorded := r.store.Offsets(r.key, d)
	return r.key.StartTime().Add(d + recorded)
}

// Header gives the segment's header.
func (r *Reader) Header() mkv.Header { return r.header }

// Fragments lists the completed fragments. While finished is false, more may come.
func (r *Reader) Fragments() (list []mkv.Fragment, finished bool, err error) {
	if r.writer != nil {
		list, finished = r.writer.completed()
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
		if a := r.stream.active[r.key.id()]; a != nil {
			a.leases--
		}
		r.stream.unuse(r.key.id())
		if r.file != nil || r.stream.deleting {
			r.stream.changed() // or who tries again with every change would try for ever
		}
	})
	return err
}
