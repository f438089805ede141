package streams

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/gaps"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Recording is the readers' view of a segment that is being written. Safe for concurrent use.
type Recording struct {
	Header mkv.Header

	final   atomic.Int64 // the file's size once it is finished
	allowed atomic.Int64 // what final may be before the limit is checked again
	flushed atomic.Int64 // bytes of the file that were written at the last flush
	synced  atomic.Int64 // bytes of the file, from its start, that a power cut leaves

	mu        sync.Mutex
	fragments []mkv.Fragment // completed
	done      bool           // no longer being written, and under its last name: fragments is final
	finder    gaps.Finder
}

// NewRecording returns a Recording without a fragment.
func NewRecording(h mkv.Header) *Recording { return &Recording{Header: h} }

// Grow sets the size of the file once it is finished.
func (r *Recording) Grow(final int64) { r.final.Store(final) }

// Fits reports whether the file may have that many bytes, according to the last check of the limit.
func (r *Recording) Fits(final int64) bool { return final <= r.allowed.Load() }

// Flush records that all bytes up to size are in the file.
func (r *Recording) Flush(size int64) { r.flushed.Store(size) }

// Flushed returns how many bytes of the file a sync that begins now makes durable at least.
func (r *Recording) Flushed() int64 { return r.flushed.Load() }

// Sync records how many bytes are durable.
func (r *Recording) Sync(flushed int64) { r.synced.Store(max(flushed, r.synced.Load())) }

// Synced returns how many bytes are durable at least.
func (r *Recording) Synced() int64 { return r.synced.Load() }

// Frame adds the time of a video frame.
func (r *Recording) Frame(t time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finder.Frame(t)
}

// Complete adds a fragment.
func (r *Recording) Complete(f mkv.Fragment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fragments = append(r.fragments, f)
}

// Finish records that the segment is no longer being written, and has its last name.
func (r *Recording) Finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = true
}

// Finished reports whether Finish was called.
func (r *Recording) Finished() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done
}

// Completed returns a copy of the list of completed fragments; finished reports whether it is final.
func (r *Recording) Completed() (list []mkv.Fragment, finished bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.fragments), r.done
}

// SoFar returns the list of completed fragments, whose items do not change.
func (r *Recording) SoFar() []mkv.Fragment {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fragments // is only appended to
}

// Gaps returns the gaps so far.
func (r *Recording) Gaps() []layout.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.finder.All()
}
