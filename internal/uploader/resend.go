package uploader

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

// noteReceipt keeps the number that the service gave a fragment.
func (u *Uploader) noteReceipt(f queue.Fragment, number string, bytes int64) {
	if u.o.Receipts == nil || number == "" {
		return
	}
	u.o.Receipts(receipt.Receipt{
		Number: number, Producer: time.UnixMilli(f.At()).UTC(), Acked: u.o.Now(), Bytes: bytes,
		Length: time.Duration(f.End()-f.At()) * time.Millisecond,
	})
}

// Resend sends fragments once more that were persisted and that the cloud no longer has, now and before everything else, and calls
// each with the progress. Those whose segments are deleted meanwhile, or cannot be read, are left out of Done. What is recorded of
// their upload does not change: when Resend ends early, an audit finds the rest again. It returns as Range does.
func (u *Uploader) Resend(ctx context.Context, list []queue.ID, each func(Progress)) error {
	lost := newResent(u.o.Store, u.o.Stream, list)
	o := u.o
	o.Store = lost
	again := New(o)
	defer u.lock.request()()
	if err := u.lock.lock(ctx); err != nil {
		return err
	}
	defer u.lock.unlock()
	again.tags, again.pace, again.accepted = u.tags, u.pace, u.accepted // guarded by the lock
	return onDemand{
		u: again, each: each, mode: mode{},
		prepare: func(*mode) error { return nil },
		count:   func() (Progress, bool) { return lost.progress(), true },
	}.run(ctx)
}

// resent is a store in which exactly some fragments are pending, whatever they are in the one that it is made of.
type resent struct {
	store
	stream string
	keys   []segment.Key // in order

	mu      sync.Mutex
	pending map[queue.ID]int64 // their sizes, as far as they are known; guarded by mu, as all below
	total   Progress
}

func newResent(s store, stream string, list []queue.ID) *resent {
	r := &resent{store: s, stream: stream, pending: make(map[queue.ID]int64)}
	bySegment := make(map[segment.Key][]queue.ID)
	for _, id := range list {
		bySegment[id.Segment] = append(bySegment[id.Segment], id)
	}
	for key, ids := range bySegment {
		fragments, err := listFragments(s, key)
		if err != nil {
			continue // deleted, or it cannot be read
		}
		for _, f := range fragments {
			if slices.Contains(ids, queue.ID{Segment: key, Fragment: f.Start}) {
				r.pending[queue.ID{Segment: key, Fragment: f.Start}] = f.Size
				r.total.Total++
				r.total.TotalBytes += f.Size
			}
		}
		r.keys = append(r.keys, key)
	}
	slices.SortFunc(r.keys, segment.Key.Compare)
	return r
}

// NextPending implements queue.Store.
func (r *resent) NextPending(after segment.Key, _, _ time.Time) (segment.Key, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range r.keys {
		if key.Compare(after) > 0 && r.pends(key) {
			return key, true
		}
	}
	return segment.Key{}, false
}

// pends reports whether a fragment of a segment is pending. Call with mu held.
func (r *resent) pends(key segment.Key) bool {
	for id := range r.pending {
		if id.Segment == key {
			return true
		}
	}
	return false
}

// OpenSegment implements queue.Store. A segment that was deleted is not asked for again.
func (r *resent) OpenSegment(k segment.Key) (*segment.Reader, error) {
	reader, err := r.store.OpenSegment(k)
	if errors.Is(err, segment.ErrNotFound) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for id := range r.pending {
			if id.Segment == k {
				delete(r.pending, id)
			}
		}
	}
	return reader, err
}

// Done implements queue.Store.
func (r *resent) Done(k segment.Key, start time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, pending := r.pending[queue.ID{Segment: k, Fragment: start}]
	return !pending
}

// MarkPersisted records that a fragment is in the cloud again.
func (r *resent) MarkPersisted(k segment.Key, f mkv.Fragment) error {
	r.finish(queue.ID{Segment: k, Fragment: f.Start}, false)
	return nil
}

// MarkRefused records that the service does not accept it now.
func (r *resent) MarkRefused(k segment.Key, f mkv.Fragment, _ string) error {
	r.finish(queue.ID{Segment: k, Fragment: f.Start}, true)
	return nil
}

func (r *resent) finish(id queue.ID, refused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	size, pending := r.pending[id]
	if !pending {
		return
	}
	delete(r.pending, id)
	r.total.Done++
	r.total.Bytes += size
	if refused {
		r.total.Refused++
	}
}

func (r *resent) progress() Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// MarkUploaded implements queue.Store: the segments are.
func (r *resent) MarkUploaded(segment.Key) error { return nil }

// Refused implements refused.Store: what was refused before is not sent now.
func (r *resent) Refused(string) []segment.Refused { return nil }

// RefusedBefore implements refused.Store.
func (r *resent) RefusedBefore(segment.Key, time.Duration) (string, bool) { return "", false }

// NotesPending implements store: nothing is written.
func (r *resent) NotesPending(string) bool { return false }

// Usage implements refused.Store, without what was refused.
func (r *resent) Usage(stream string) segment.Usage {
	u := r.store.Usage(stream)
	u.RefusedFragments, u.RefusedBytes = 0, 0
	return u
}
