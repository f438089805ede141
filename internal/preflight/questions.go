package preflight

import (
	"slices"
	"sync"
)

// questions are those that have no answer yet. Safe for concurrent use.
type questions struct {
	note func(what string) (done func()) // of Options, or nil

	mu   sync.Mutex
	list []string // guarded by mu: the oldest first
}

// begin notes that an answer is awaited, until done is called.
func (q *questions) begin(what string) (done func()) {
	noted := func() {}
	if q.note != nil {
		noted = q.note(what)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.list = append(q.list, what)
	return func() {
		noted()
		q.mu.Lock()
		defer q.mu.Unlock()
		if i := slices.Index(q.list, what); i >= 0 {
			q.list = slices.Delete(q.list, i, i+1)
		}
	}
}

// last is the question that was asked last and has no answer yet.
func (q *questions) last(otherwise string) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.list) == 0 {
		return otherwise
	}
	return q.list[len(q.list)-1]
}
