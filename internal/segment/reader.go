package segment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// Reader reads one segment, and keeps it from being deleted until Close. Safe for concurrent use.
type Reader struct {
	store  *Store
	stream *stream
	key    Key
	writer *Writer // nil when the segment was finished already
	file   *os.File
	header mkv.Header

	once  sync.Once // loads fragments of a finished segment
	list  []mkv.Fragment
	err   error
	close sync.Once
}

// OpenSegment opens a segment for reading, also one that is being written: then Fragments lists
// what is completed so far.
func (s *Store) OpenSegment(k Key) (*Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[k.Stream]
	if st == nil || st.deleting {
		return nil, notFound(k)
	}
	i, ok := st.index.find(k.Start)
	if !ok {
		return nil, notFound(k)
	}
	r := &Reader{store: s, stream: st, key: k}
	if a := st.active[k.Start]; a != nil {
		r.writer = a.writer
	}
	file, err := os.Open(filepath.Join(st.dir, st.index.entries[i].name()))
	if errors.Is(err, fs.ErrNotExist) && s.readOnly && st.relocate(i) {
		file, err = os.Open(filepath.Join(st.dir, st.index.entries[i].name()))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the file is gone: %w", notFound(k))
	case err != nil:
		return nil, diskFault(st.dir, err)
	}
	r.file = file
	if r.writer != nil {
		r.header = r.writer.header
	} else if err := r.readHeader(); err != nil {
		_ = file.Close()
		return nil, err
	}
	st.use(k.Start).leases++
	return r, nil
}

// relocate looks for a segment whose state the agent beside which we read has changed. Call with
// mu held.
func (st *stream) relocate(i int) bool {
	e := st.index.entries[i]
	names, _ := filepath.Glob(filepath.Join(globEscape.Replace(st.dir), stamp(e.start)+"*.mkv"))
	for _, path := range names {
		p, ok := parseName(filepath.Base(path))
		info, err := os.Stat(path)
		if !ok || p.kind == garbageSuffix || err != nil {
			continue
		}
		st.index.replace(i, entry{start: e.start, bytes: info.Size(), length: uint32(p.length), state: p.state, refused: p.refused})
		return true
	}
	return false
}

// globEscape keeps a directory's own name from being taken for a pattern.
var globEscape = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`)

func (r *Reader) readHeader() error {
	m, err := r.container()
	if err != nil {
		return fmt.Errorf("segment %s of stream %s: %w", stamp(r.key.Start), r.key.Stream, err)
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
		err = r.file.Close()
		r.store.mu.Lock()
		defer r.store.mu.Unlock()
		if a := r.stream.active[r.key.Start]; a != nil {
			a.leases--
		}
		r.stream.unuse(r.key.Start)
		r.stream.changed()
	})
	return err
}
