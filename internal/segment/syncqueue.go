package segment

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// syncQueue has the segments that are being written, and when they are to be synced. Safe for concurrent use.
type syncQueue struct {
	interval atomic.Int64  // nanoseconds that written data is left unsynced
	paced    signal.Signal // interval was changed
	asked    signal.Signal // a writer requests a sync

	mu      sync.Mutex
	writers map[*Writer]bool // guarded by mu
}

func newSyncQueue(interval time.Duration) *syncQueue {
	q := &syncQueue{paced: signal.New(), asked: signal.New(), writers: make(map[*Writer]bool)}
	q.interval.Store(int64(interval))
	return q
}

func (q *syncQueue) pause() time.Duration { return time.Duration(q.interval.Load()) }

func (q *syncQueue) setPause(interval time.Duration) {
	q.interval.Store(int64(interval))
	q.paced.Set()
}

func (q *syncQueue) add(w *Writer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writers[w] = true
}

func (q *syncQueue) remove(w *Writer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.writers, w)
}

// run syncs the open segments in turn, so that they never wait for the disk at the same time.
func (q *syncQueue) run(ctx context.Context) error {
	q.mu.Lock()
	writers := slices.Collect(maps.Keys(q.writers))
	q.mu.Unlock()
	var all error
	for _, w := range writers {
		if ctx.Err() != nil {
			break
		}
		if err := w.sync(q.pause()); err != nil {
			all = errors.Join(all, volume.Fault(w.stream.Dir, err))
		}
	}
	return all
}

// InDoubt reports whether a sync of the file failed, so that data written to it may be lost and has to be written again,
// which Seal begins: new media should be recorded to a new segment.
func (w *Writer) InDoubt() bool { return w.file.InDoubt() }

// sync makes written data durable when it is due: a flush at once, everything else after interval at the latest. A file of
// which a sync failed is not synced again, as that would prove nothing.
func (w *Writer) sync(interval time.Duration) error {
	w.mu.Lock()
	due := w.unsynced && (w.urgent || time.Since(w.synced) >= interval)
	if w.shown.Finished() || !due || w.InDoubt() {
		w.mu.Unlock()
		return nil
	}
	w.unsynced, w.urgent = false, false
	w.synced = time.Now()
	w.mu.Unlock()
	err := w.file.Sync()
	if errors.Is(err, os.ErrClosed) {
		return nil // sealed meanwhile, and thereby synced
	}
	if err != nil {
		w.stream.Doubts.Add(w.key.ID())
	}
	return err
}
