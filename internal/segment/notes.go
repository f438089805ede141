package segment

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/durable"
)

// notes is how far the lines of a side file have come: from pending, what a disk did not take yet, to
// written and to synced. A line of pending or written is never forgotten: what a failed sync leaves of a
// file nobody knows, and the sync after it says nothing of what was written before.
type notes struct {
	pending []string
	written []string // since the last sync that succeeded
	torn    bool     // the last line in the file may be half there
	named   bool     // the file's name is durable
	again   bool     // a sync failed: the file has to be written as a whole
}

// write appends a line, if there is one, and all that is pending to a side file. On a slow disk nobody
// waits for it but who notes the segment's fragments.
func (s *Store) write(st *stream, p *progress, k id, line string) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	if line != "" {
		p.notes.pending = append(p.notes.pending, line)
	}
	return s.writePending(st, p, k)
}

// writePending writes what is pending. Call with p.writing held.
func (s *Store) writePending(st *stream, p *progress, k id) error {
	s.mu.Lock()
	f, ended := p.file, p.ended
	s.mu.Unlock()
	n := &p.notes
	if ended || len(n.pending) == 0 {
		return nil // the segment is uploaded or gone, or nothing is to be done
	}
	var err error
	if f == nil {
		f, err = st.files.OpenFile(filepath.Join(st.dir, progressName(k)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, fileMode)
	}
	if err == nil {
		data := strings.Join(n.pending, "\n") + "\n"
		if n.torn {
			data = "\n" + data
		}
		_, err = f.Write([]byte(data))
		n.torn = err != nil && !errors.Is(err, os.ErrClosed)
	} else {
		f = nil
	}
	if err == nil {
		n.written, n.pending = append(n.written, n.pending...), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.file, p.owed = f, true
	return err
}

// owing is a side file with lines that are not durable.
type owing struct {
	st *stream
	p  *progress
	id id
}

// owing lists them, of a stream or, when it is nil, of all.
func (s *Store) owing(of *stream) (list []owing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		if of != nil && of != st {
			continue
		}
		for k, a := range st.active {
			if a.progress != nil && a.progress.owed {
				list = append(list, owing{st, a.progress, k})
			}
		}
	}
	return list
}

// writeOwed writes what is pending of a stream's other segments, so that who notes a fragment without an
// error knows that all notes are written.
func (s *Store) writeOwed(st *stream, but *progress) error {
	var all error
	for _, o := range s.owing(st) {
		if o.p != but && o.p.writing.TryLock() { // who holds it writes them
			all = errors.Join(all, s.writePending(o.st, o.p, o.id))
			o.p.writing.Unlock()
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
	for _, o := range s.owing(nil) {
		if err := s.syncNotes(o); err != nil {
			all = errors.Join(all, diskFault(o.st.dir, err))
		}
	}
	return all
}

// syncNotes makes the notes of a segment durable.
func (s *Store) syncNotes(o owing) error {
	o.p.writing.Lock()
	if o.p.notes.again {
		defer o.p.writing.Unlock()
		return s.rewriteNotes(o)
	}
	err := s.writePending(o.st, o.p, o.id)
	written, named := len(o.p.notes.written), o.p.notes.named
	o.p.writing.Unlock()
	s.mu.Lock()
	f := o.p.file
	s.mu.Unlock()
	if err != nil || f == nil {
		return err
	}
	if err = f.Sync(); err == nil && !named {
		err = o.st.sync()
	}
	o.p.writing.Lock()
	defer o.p.writing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	n := &o.p.notes
	switch {
	case o.p.file != f || errors.Is(err, os.ErrClosed):
		return nil // its segment is uploaded or gone, or somebody else was faster
	case err != nil:
		n.again = true
		return err
	}
	n.named, n.written = true, slices.Delete(n.written, 0, min(written, len(n.written)))
	o.p.owed = len(n.written)+len(n.pending) > 0
	return nil
}

// rewriteNotes writes a side file of which a sync failed as a whole, in its place. Call with p.writing held.
func (s *Store) rewriteNotes(o owing) error {
	s.mu.Lock()
	f, ended := o.p.file, o.p.ended
	s.mu.Unlock()
	if ended {
		return nil
	}
	path := filepath.Join(o.st.dir, progressName(o.id))
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		data = append(data, '\n')
	}
	n := &o.p.notes
	for _, line := range slices.Concat(n.written, n.pending) {
		if line += "\n"; !bytes.Contains(data, []byte(line)) {
			data = append(data, line...)
		}
	}
	if err := durable.Replace(o.st.files, path, data, fileMode); err != nil {
		return err
	}
	if f != nil {
		_ = f.Close()
	}
	*n = notes{named: true}
	s.mu.Lock()
	defer s.mu.Unlock()
	o.p.file, o.p.owed = nil, false
	return nil
}

// endNotes ends the side file. Who is writing a line is waited for, so that the file is not made
// anew after its removal.
func (s *Store) endNotes(p *progress) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	s.mu.Lock()
	f := p.file
	p.ended, p.file, p.owed = true, nil, false
	s.mu.Unlock()
	if f == nil {
		return nil
	}
	return f.Close()
}
