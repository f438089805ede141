package catalog

import (
	"iter"
	"math"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// NextPending returns the oldest segment that is not uploaded, comes after `after` and has media recorded in [from, to); a
// zero time is unbounded.
func (c *Catalog) NextPending(after layout.ID, from, to time.Time) (Entry, bool) {
	found := 0 // no pending entry is before it, in the entries read so far
	for r := range c.Overlapping(from, to) {
		i := max(r.From, found, c.At(after.Next()))
		if i >= r.To {
			continue
		}
		found = len(c.Entries)
		for _, k := range []Kind{KindSealed, KindWriting} {
			if n, ok := c.Next(k, c.Entries[i].ID); ok {
				found = min(found, n)
			}
		}
		if found < r.To {
			return c.Entries[found], true
		}
	}
	return Entry{}, false
}

// NewestBefore returns when the newest media recorded before t was recorded, zero when there is none.
func (c *Catalog) NewestBefore(t time.Time) (newest time.Time) {
	for r := range c.Overlapping(time.Time{}, t) {
		_, to := c.times.span(c.Entries[r.To-1])
		if last := time.UnixMilli(min(to, t.UnixMilli())).UTC(); last.After(newest) {
			newest = last
		}
	}
	return newest
}

// LastRecorded returns when the newest media ever was recorded. Zero when there was none.
func (c *Catalog) LastRecorded() time.Time {
	last := c.NewestRecorded()
	if newest := c.Newest(); newest != math.MinInt64 {
		last = max(last, c.times.recorded(c.Epoch, newest))
	} else if began, ok := c.times.began(c.Epoch); ok { // earlier media is deleted
		last = max(last, began)
	}
	if last == math.MinInt64 {
		return time.Time{}
	}
	return time.UnixMilli(last).UTC()
}

// LastUploaded returns when the newest completely uploaded segment was recorded, zero when there is none.
func (c *Catalog) LastUploaded() time.Time {
	if c.Number(KindUploaded) == 0 {
		return time.Time{}
	}
	for i := len(c.Entries) - 1; i >= 0; i-- {
		if e := c.Entries[i]; e.Kind() == KindUploaded {
			_, to := c.times.span(e)
			return time.UnixMilli(to).UTC()
		}
	}
	return time.Time{}
}

// Head is the position of a walk in one kind.
type Head struct {
	Kind Kind
	Free bool // only segments that are not held
	From layout.ID
	done bool
}

// Step returns the oldest of the heads and advances that one.
func (c *Catalog) Step(heads []Head) (Entry, bool) {
	oldest, at := -1, 0
	for n := range heads {
		h := &heads[n]
		if h.done {
			continue
		}
		next := c.Next
		if h.Free {
			next = c.NextFree
		}
		i, ok := next(h.Kind, h.From)
		if !ok {
			h.done = true
			continue
		}
		h.From = c.Entries[i].ID
		if oldest < 0 || i < at {
			oldest, at = n, i
		}
	}
	if oldest < 0 {
		return Entry{}, false
	}
	heads[oldest].From = heads[oldest].From.Next()
	return c.Entries[at], true
}

// OldestRecorded returns when the oldest media was recorded. Call it only when there is media.
func (c *Catalog) OldestRecorded() int64 {
	oldest := int64(math.MaxInt64)
	for r := range c.epochs {
		from, _ := c.times.span(c.Entries[r.From])
		oldest = min(oldest, from)
	}
	return oldest
}

// NewestRecorded returns when the newest media was recorded. Call it only when there is media.
func (c *Catalog) NewestRecorded() int64 {
	newest := int64(math.MinInt64)
	for r := range c.epochs {
		_, to := c.times.span(c.Entries[r.To-1])
		newest = max(newest, to)
	}
	return newest
}

// Overlapping iterates over the segments with media recorded in [begin, end), in order; a zero time is unbounded.
func (c *Catalog) Overlapping(begin, end time.Time) iter.Seq[Range] {
	return func(yield func(Range) bool) {
		for r := range c.epochs {
			for part := range c.times.even(&c.Index, r) {
				if part = c.within(part, begin, end); part.From < part.To && !yield(part) {
					return
				}
			}
		}
	}
}

// within narrows a part to the segments recorded in [begin, end). Most parts are outside, which their ends show.
func (c *Catalog) within(r Range, begin, end time.Time) Range {
	x, times := &c.Index, &c.times
	if !end.IsZero() {
		began := func(i int) bool { from, _ := times.span(x.Entries[i]); return from >= end.UnixMilli() }
		if began(r.From) {
			return Range{r.From, r.From}
		}
		r.To = r.search(began)
	}
	if !begin.IsZero() {
		ended := func(i int) bool { _, to := times.span(x.Entries[i]); return to >= begin.UnixMilli() }
		last := r.To - 1 // the only one that may end in the next part
		if !ended(last) {
			return Range{r.To, r.To}
		}
		r.From = Range{r.From, last}.search(ended)
	}
	return r
}
