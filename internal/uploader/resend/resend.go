// Package resend owns how fragments are sent that were persisted once and that the cloud lost: for an uploader they are the only ones
// that are pending. It must not know how they are sent.
package resend

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/refused"
)

// Under is the recording directory; see segment.Store.
type Under interface {
	queue.Store
	refused.Store
	Segments(stream string, from, to time.Time) []segment.Info
	LastRecorded(stream string) time.Time
	Changes(stream string) (changes <-chan struct{}, stop func())
}

// Total is how far a list of fragments is.
type Total struct {
	Fragments, Done, Refused int // of Done: the service does not accept them now
	Bytes, DoneBytes         int64
}

// fragmentsOf returns the fragments of a segment.
func fragmentsOf(s Under, k segment.Key) ([]mkv.Fragment, error) {
	reader, err := s.OpenSegment(k)
	if err != nil {
		return nil, err
	}
	defer func() { _ = reader.Close() }() // was only read
	list, _, err := reader.Fragments()
	return list, err
}

// Store is a store in which exactly some fragments are pending, whatever they are in the one that it is made of. Nothing is written.
type Store struct {
	Under
	keys []segment.Key // in order

	mu      sync.Mutex
	pending map[queue.ID]int64 // their sizes, as far as they are known; guarded by mu, as all below
	total   Total
}

// New returns a store in which the fragments of a list are pending that can be read.
func New(s Under, list []queue.ID) *Store {
	r := &Store{Under: s, pending: make(map[queue.ID]int64)}
	bySegment := make(map[segment.Key][]queue.ID)
	for _, id := range list {
		bySegment[id.Segment] = append(bySegment[id.Segment], id)
	}
	for key, ids := range bySegment {
		fragments, err := fragmentsOf(s, key)
		if err != nil {
			continue // deleted, or it cannot be read
		}
		for _, f := range fragments {
			if slices.Contains(ids, queue.ID{Segment: key, Fragment: f.Start}) {
				r.pending[queue.ID{Segment: key, Fragment: f.Start}] = f.Size
				r.total.Fragments++
				r.total.Bytes += f.Size
			}
		}
		r.keys = append(r.keys, key)
	}
	slices.SortFunc(r.keys, segment.Key.Compare)
	return r
}

// NextPending implements queue.Store.
func (r *Store) NextPending(after segment.Key, _, _ time.Time) (segment.Key, bool) {
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
func (r *Store) pends(key segment.Key) bool {
	for id := range r.pending {
		if id.Segment == key {
			return true
		}
	}
	return false
}

// OpenSegment implements queue.Store. A segment that was deleted is not asked for again.
func (r *Store) OpenSegment(k segment.Key) (*segment.Reader, error) {
	reader, err := r.Under.OpenSegment(k)
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
func (r *Store) Done(k segment.Key, start time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, pending := r.pending[queue.ID{Segment: k, Fragment: start}]
	return !pending
}

// MarkPersisted records that a fragment is in the cloud again.
func (r *Store) MarkPersisted(k segment.Key, f mkv.Fragment) error {
	r.finish(queue.ID{Segment: k, Fragment: f.Start}, false)
	return nil
}

// MarkRefused records that the service does not accept it now.
func (r *Store) MarkRefused(k segment.Key, f mkv.Fragment, _ string) error {
	r.finish(queue.ID{Segment: k, Fragment: f.Start}, true)
	return nil
}

func (r *Store) finish(id queue.ID, refused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	size, pending := r.pending[id]
	if !pending {
		return
	}
	delete(r.pending, id)
	r.total.Done++
	r.total.DoneBytes += size
	if refused {
		r.total.Refused++
	}
}

// Total returns how far the list is.
func (r *Store) Total() Total {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// MarkUploaded implements queue.Store: the segments are.
func (r *Store) MarkUploaded(segment.Key) error { return nil }

// Refused implements refused.Store: what was refused before is not sent now.
func (r *Store) Refused(string) []segment.Refused { return nil }

// Requeued implements refused.Store.
func (r *Store) Requeued(string) []segment.Refused { return nil }

// RefuseAgain implements refused.Store.
func (r *Store) RefuseAgain(segment.Key, []time.Duration) error { return nil }

// RefusedBefore implements refused.Store.
func (r *Store) RefusedBefore(segment.Key, time.Duration) (string, bool) { return "", false }

// NotesPending implements store: nothing is written.
func (r *Store) NotesPending(string) bool { return false }

// Usage implements refused.Store, without what was refused.
func (r *Store) Usage(stream string) segment.Usage {
	u := r.Under.Usage(stream)
	u.RefusedFragments, u.RefusedBytes = 0, 0
	return u
}
