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

// Recording is what others see of a segment that is being written. Safe for concurrent use.
type Recording struct {
	Header mkv.Header

	final   atomic.Int64 // what the file will have once it is finished
	allowed atomic.Int64 // what final may be, before the limit is looked at again

	mu        sync.Mutex
	fragments []mkv.Fragment // completed
	done      bool           // no longer being written, and under its last name: fragments is final
	finder    gaps.Finder
}

// NewRecording returns one without a fragment.
func NewRecording(h mkv.Header) *Recording { return &Recording{Header: h} }

// Grow says what the file will have once it is finished.
func (r *Recording) Grow(final int64) { r.final.Store(final) }

// Fits reports whether the file may have that many bytes, as far as that was asked for before.
func (r *Recording) Fits(final int64) bool { return final <= r.allowed.Load() }

// Frame takes in the time of a frame of video.
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

// Finish says that the segment is no longer being written, and has its last name.
func (r *Recording) Finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = true
}

// Finished reports whether it was said so.
func (r *Recording) Finished() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done
}

// Completed copies the list of completed fragments; finished says that it is final.
func (r *Recording) Completed() (list []mkv.Fragment, finished bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.fragments), r.done
}

// SoFar is the list of completed fragments, of which the items do not change.
func (r *Recording) SoFar() []mkv.Fragment {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fragments // is only appended to
}

// Gaps lists the gaps so far.
func (r *Recording) Gaps() []layout.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.finder.All()
}
