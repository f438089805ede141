package syncqueue

import (
	"errors"
	"io/fs"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// Step is a change that is to be durable before the next one: a file, or the names in a directory.
type Step struct {
	File atomicfile.File // nil: none
	Dir  string          // "": none
	// Then does what follows when that is durable, or gets the error: then the step is tried again, unless the file or
	// directory is gone.
	Then func(err error) error
}

// After has a step done by the next beat of a disk.
func (q *Queue) After(disk uint64, s Step) {
	p := &step{Step: s, q: q}
	q.mu.Lock()
	q.once[p] = true
	q.mu.Unlock()
	q.Add(p, disk)
}

// step is a Step in a queue, as a Part.
type step struct {
	Step
	q *Queue
}

// Due implements Part.
func (s *step) Due() (f atomicfile.File, dir string, due bool, err error) {
	return s.File, s.Dir, true, nil
}

// Synced implements Part.
func (s *step) Synced(err error) error {
	if err == nil || s.File != nil || errors.Is(err, fs.ErrNotExist) {
		s.q.Remove(s)
	}
	return s.Then(err)
}
