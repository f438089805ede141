// Package syncqueue owns which segments are to be synced, and when: the open ones, in turn. It must not know what a sync does.
package syncqueue

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// Queue has the writers of the open segments, and when these are to be synced. Safe for concurrent use.
type Queue[W comparable] struct {
	interval atomic.Int64  // nanoseconds that written data is left unsynced
	paced    signal.Signal // interval was changed
	asked    signal.Signal // a writer requests a sync

	longest atomic.Int64 // nanoseconds that a Run took since Longest was called

	mu      sync.Mutex
	writers map[W]bool // guarded by mu
}

// New returns a queue without writers.
func New[W comparable](interval time.Duration) *Queue[W] {
	q := &Queue[W]{paced: signal.New(), asked: signal.New(), writers: make(map[W]bool)}
	q.interval.Store(int64(interval))
	return q
}

// Pause returns how long written data is left unsynced.
func (q *Queue[W]) Pause() time.Duration { return time.Duration(q.interval.Load()) }

// SetPause changes that.
func (q *Queue[W]) SetPause(interval time.Duration) {
	q.interval.Store(int64(interval))
	q.paced.Set()
}

// Paced receives after SetPause.
func (q *Queue[W]) Paced() <-chan struct{} { return q.paced.C() }

// Ask requests a sync soon.
func (q *Queue[W]) Ask() { q.asked.Set() }

// Asked receives after Ask.
func (q *Queue[W]) Asked() <-chan struct{} { return q.asked.C() }

// Add adds a writer.
func (q *Queue[W]) Add(w W) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writers[w] = true
}

// Remove removes a writer.
func (q *Queue[W]) Remove(w W) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.writers, w)
}

// Run syncs the open segments in turn, so that they never wait for the disk at the same time. sync makes data of one durable that was
// written longer ago than pause.
func (q *Queue[W]) Run(ctx context.Context, sync func(w W, pause time.Duration) error) error {
	began := time.Now()
	defer func() { q.Took(time.Since(began)) }()
	q.mu.Lock()
	writers := slices.Collect(maps.Keys(q.writers))
	q.mu.Unlock()
	var all error
	for _, w := range writers {
		if ctx.Err() != nil {
			break
		}
		if err := sync(w, q.Pause()); err != nil {
			all = errors.Join(all, err)
		}
	}
	return all
}

// Took notes how long it took to sync what was due.
func (q *Queue[W]) Took(d time.Duration) {
	for {
		longest := q.longest.Load()
		if int64(d) <= longest || q.longest.CompareAndSwap(longest, int64(d)) {
			return
		}
	}
}

// Longest returns the longest time that was noted since it was last called.
func (q *Queue[W]) Longest() time.Duration { return time.Duration(q.longest.Swap(0)) }
