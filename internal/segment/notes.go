package segment

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
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
func (s *Store) write(st *stream, p *progress, k layout.ID, line string) error {
	s.mu.Lock()
	if line != "" {
		p.notes.pending, p.owed = append(p.notes.pending, line), true
	}
	s.mu.Unlock()
	p.writing.Lock()
	defer p.writing.Unlock()
	return s.writePending(st, p, k)
}

// writePending writes what is pending. Call with p.writing held.
func (s *Store) writePending(st *stream, p *progress, k layout.ID) error {
	s.mu.Lock()
	f, lines, torn := p.file, slices.Clone(p.notes.pending), p.notes.torn
	ended := p.ended
	s.mu.Unlock()
	if ended || len(lines) == 0 {
		return nil // the segment is uploaded or gone, or nothing is to be done
	}
	if f == nil {
		var err error
		if f, err = st.files.OpenFile(filepath.Join(st.dir, layout.ProgressName(k)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, layout.FileMode); err != nil {
			return err
		}
	}
	data := strings.Join(lines, "\n") + "\n"
	if torn {
		data = "\n" + data
	}
	_, err := f.Write([]byte(data))
	s.mu.Lock()
	defer s.mu.Unlock()
	n := &p.notes
	p.file, n.torn = f, err != nil && !errors.Is(err, os.ErrClosed)
	if err == nil {
		n.written, n.pending = append(n.written, lines...), slices.Delete(n.pending, 0, len(lines))
	}
	return err
}

// owing is a side file with lines that are not durable.
type owing struct {
	st *stream
	p  *progress
	id layout.ID
}

// owing lists them, of a stream or, when it is "", of all.
func (s *Store) owing(stream string) (list []owing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		if stream != "" && stream != st.name {
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

// NotesPending reports whether notes of a stream's fragments wait for a disk that did not take them.
func (s *Store) NotesPending(stream string) bool {
	for _, o := range s.owing(stream) {
		s.mu.Lock()
		n := len(o.p.notes.pending)
		s.mu.Unlock()
		if n > 0 {
			return true
		}
	}
	return false
}

// writeOwed writes what is pending of a stream's segments but one, so that who notes a fragment without an
// error knows that all notes are written.
func (s *Store) writeOwed(stream string, but *progress) error {
	var all error
	for _, o := range s.owing(stream) {
		if o.p != but && o.p.writing.TryLock() { // who holds it writes them
			all = errors.Join(all, diskFault(o.st.dir, s.writePending(o.st, o.p, o.id)))
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
	for _, o := range s.owing("") {
		if err := s.syncNotes(o); err != nil {
			all = errors.Join(all, diskFault(o.st.dir, err))
		}
	}
	return all
}

// syncNotes makes the notes of a segment durable. Whoever writes one just then is not waited for: it comes
// with the next sync.
func (s *Store) syncNotes(o owing) error {
	if o.p.writing.TryLock() {
		again, err := s.catchUp(o)
		o.p.writing.Unlock()
		if again || err != nil {
			return err
		}
	}
	n := &o.p.notes
	s.mu.Lock()
	f, written, named := o.p.file, len(n.written), n.named
	again := n.again
	s.mu.Unlock()
	if f == nil || again {
		return nil
	}
	err := f.Sync()
	if err == nil && !named {
		err = o.st.sync()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case o.p.file != f || errors.Is(err, os.ErrClosed):
		return nil // its segment is uploaded or gone
	case err != nil:
		n.again = true
		return err
	}
	n.named, n.written = true, slices.Delete(n.written, 0, written)
	o.p.owed = len(n.written)+len(n.pending) > 0
	return nil
}

// catchUp writes what is pending, or, after a failed sync, the file as a whole; again says so. Call with
// writing held.
func (s *Store) catchUp(o owing) (again bool, err error) {
	s.mu.Lock()
	again = o.p.notes.again
	s.mu.Unlock()
	if again {
		return true, s.rewriteNotes(o)
	}
	return false, s.writePending(o.st, o.p, o.id)
}

// rewriteNotes writes a side file of which a sync failed as a whole, in its place. Call with writing held.
func (s *Store) rewriteNotes(o owing) error {
	n := &o.p.notes
	s.mu.Lock()
	f, ended, lines, pending := o.p.file, o.p.ended, slices.Concat(n.written, n.pending), len(n.pending)
	s.mu.Unlock()
	if ended {
		return nil
	}
	path := filepath.Join(o.st.dir, layout.ProgressName(o.id))
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		data = append(data, '\n')
	}
	// What is not known to be there is written behind it: a line that is read twice says nothing new.
	if kept := []byte(strings.Join(lines, "\n") + "\n"); len(lines) > 0 && !bytes.HasSuffix(data, kept) {
		data = append(data, kept...)
	}
	err = atomicfile.Replace(o.st.files, path, data, layout.FileMode)
	if f != nil {
		_ = f.Close() // it may be the file that has lost its name
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o.p.file = nil
	if err != nil {
		return err
	}
	*n = notes{named: true, pending: slices.Delete(n.pending, 0, pending)}
	o.p.owed = len(n.pending) > 0
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
