// Package state owns the file in which the stand-in keeps what it has beyond a restart. It must not know what that is:
// each service has a part of it.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// ErrClosed is the error of changes after Seal.
var ErrClosed = errors.New("the local cloud is stopped")

// Store keeps a document in cloud.json of a directory, which no other process uses at the same time.
type Store struct {
	dir  string
	lock *os.File

	mu      sync.Mutex
	doc     any           // guarded by mu
	changed chan struct{} // closed and replaced with every change of doc; guarded by mu
	sealed  bool          // guarded by mu
}

// Open locks dir, which it makes if missing, and reads the document into doc, a pointer to what JSON can render.
// Where there is none doc stays as it is, and found is false.
func Open(dir string, doc any) (s *Store, found bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, fmt.Errorf("cannot make the directory of the local cloud: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("cannot lock the directory of the local cloud: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		err = fmt.Errorf("another local cloud uses %s, stop it or choose another directory: %w", filepath.Dir(dir), err)
		return nil, false, errors.Join(err, lock.Close())
	}
	s = &Store{dir: dir, lock: lock, doc: doc, changed: make(chan struct{})}
	if found, err = s.read(); err != nil {
		return nil, false, errors.Join(err, lock.Close())
	}
	return s, found, nil
}

// Peek reads the document of a directory, which a local cloud may be using.
func Peek(dir string, doc any) (found bool, err error) { return (&Store{dir: dir, doc: doc}).read() }

// Path is where a file of the directory is.
func (s *Store) Path(name string) string { return filepath.Join(s.dir, name) }

func (s *Store) file() string { return s.Path("cloud.json") }

func (s *Store) read() (found bool, err error) {
	data, err := os.ReadFile(s.file())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, s.doc)
	}
	if err != nil {
		return false, fmt.Errorf("cannot read the state of the local cloud, repair or delete %s: %w", s.file(), err)
	}
	return true, nil
}

// Update changes the document, keeps it on disk, and wakes those who wait for a change. When
// change fails nothing may have been changed.
func (s *Store) Update(change func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed {
		return ErrClosed
	}
	if err := change(); err != nil {
		return err
	}
	close(s.changed)
	s.changed = make(chan struct{})
	data, err := json.MarshalIndent(s.doc, "", "  ")
	if err == nil {
		err = ReplaceFile(s.file(), data)
	}
	if err != nil {
		return fmt.Errorf("cannot keep the state of the local cloud: %w", err)
	}
	return nil
}

// View reads the document.
func (s *Store) View(read func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return read()
}

// Seal refuses further changes, and reports whether it was called before.
func (s *Store) Seal() (already bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	already, s.sealed = s.sealed, true
	return already
}

// Close releases the directory. Closing the file alone would not while a process that was forked at this
// moment still has it.
func (s *Store) Close() error {
	return errors.Join(syscall.Flock(int(s.lock.Fd()), syscall.LOCK_UN), s.lock.Close())
}

// Part is what one service has of the document of a Store.
type Part[P any] struct {
	store *Store
	value *P
}

// PartOf returns the part of the document that lies at value.
func PartOf[P any](s *Store, value *P) Part[P] { return Part[P]{store: s, value: value} }

// Update is Store.Update.
func (p Part[P]) Update(change func(P) error) error {
	return p.store.Update(func() error { return change(*p.value) })
}

// View is Store.View.
func (p Part[P]) View(read func(P) error) error {
	return p.store.View(func() error { return read(*p.value) })
}

// Changed returns a channel that is closed with the next change of the document.
func (p Part[P]) Changed() <-chan struct{} {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	return p.store.changed
}

// ReplaceFile writes a file that is complete at any time.
func ReplaceFile(path string, data []byte) error {
	next := path + ".new"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
