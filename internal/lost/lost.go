// Package lost owns the times of which the media of a stream was deleted before it was uploaded. It must not know why media is deleted,
// nor who shows that.
package lost

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// MaxRanges is how many ranges are kept of a stream: the last ones. Media is mostly deleted in its order, so that one range is a whole
// outage; and who keeps them writes all of them while more is lost.
const MaxRanges = 32

// Range is a time range of which the media was deleted before it was uploaded, in the times of recording.
type Range struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Reason string    `json:"reason"` // completes "deleted because"
}

// Times has what each stream lost, at first nothing. Safe for concurrent use.
type Times struct {
	mu       sync.Mutex
	byStream map[string][]Range // in the order of the deletions; a list is not changed once it is here
}

// Add adds a range, or lengthens the last one that it follows, and returns all of the stream.
func (t *Times) Add(stream string, r Range) []Range {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := slices.Clone(t.byStream[stream])
	if n := len(list); n > 0 && list[n-1].meets(r) {
		list[n-1].From, list[n-1].To = earlier(list[n-1].From, r.From), later(list[n-1].To, r.To)
	} else {
		list = append(list, r)
	}
	t.keep(stream, list)
	return t.byStream[stream]
}

// keep keeps the last ones of a list. mu is held.
func (t *Times) keep(stream string, list []Range) {
	if t.byStream == nil {
		t.byStream = make(map[string][]Range)
	}
	t.byStream[stream] = list[max(0, len(list)-MaxRanges):]
}

// Set replaces the ranges of a stream; none: it is forgotten.
func (t *Times) Set(stream string, list []Range) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(list) == 0 {
		delete(t.byStream, stream)
		return
	}
	t.keep(stream, list)
}

// Within returns the ranges that reach into a time range, in the order of their times; a zero time is unbounded.
func (t *Times) Within(stream string, from, to time.Time) (list []Range) {
	t.mu.Lock()
	all := t.byStream[stream]
	t.mu.Unlock()
	for _, r := range all {
		if r.To.After(from) && (to.IsZero() || r.From.Before(to)) {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b Range) int { return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To)) })
	return list
}

// Share is how much of a time range was lost, and why the last of it.
func Share(list []Range, from, to time.Time) (length time.Duration, reason string) {
	for _, r := range list {
		if part := earlier(to, r.To).Sub(later(from, r.From)); part > 0 {
			length += part
			reason = r.Reason
		}
	}
	return length, reason
}

// meets reports whether two ranges were lost for the same reason with no more between them than frames are apart.
func (r Range) meets(other Range) bool {
	return r.Reason == other.Reason && !other.From.After(r.To.Add(segment.GapAfter)) && !r.From.After(other.To.Add(segment.GapAfter))
}

func earlier(a, b time.Time) time.Time { return slices.MinFunc([]time.Time{a, b}, time.Time.Compare) }

func later(a, b time.Time) time.Time { return slices.MaxFunc([]time.Time{a, b}, time.Time.Compare) }
