// Package catalog owns the order of a stream's segments by epoch and time: which there are, which hold a moment or a
// range, and what is known of the error of their times. It must not know files, nor what becomes of a segment.
package catalog

import (
	"math"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Catalog is what is known of a stream's segments, in memory: which there are, and when they were recorded.
type Catalog struct {
	Index
	Clock   []layout.ClockNote
	times   calendar    // of clock
	Epoch   uint32      // in which new segments begin
	highest int64       // newest producer time of the epoch ever, also of media that is gone; math.MinInt64 when none
	kept    int64       // highest as the stream's file has it
	Broken  []layout.ID // segments that could not be finished yet: they are not in the index
}

// NewCatalog returns one without segments.
func NewCatalog() Catalog { return Catalog{highest: math.MinInt64, kept: math.MinInt64} }

// SetClock takes in notes. Call it again when segments were loaded.
func (c *Catalog) SetClock(notes []layout.ClockNote) {
	c.Clock = notes
	c.times = newCalendar(notes, &c.Index)
}

// Newest is the newest producer time of the epoch ever, or math.MinInt64.
func (c *Catalog) Newest() int64 { return max(c.highest, c.lastEnd(c.Epoch)) }

// Remember has the epoch's newest time outlive an entry.
func (c *Catalog) Remember(e Entry) {
	if e.Epoch == c.Epoch {
		c.highest = max(c.highest, e.End())
	}
}

// SeeEpoch takes in that there is an epoch.
func (c *Catalog) SeeEpoch(epoch uint32) {
	if epoch > c.Epoch && epoch <= layout.MaxEpoch {
		c.Epoch, c.highest, c.kept = epoch, math.MinInt64, math.MinInt64
	}
}

// Detach takes a segment out of sight until it is repaired.
func (c *Catalog) Detach(i int) {
	e := c.Entries[i]
	c.Remember(e) // nothing may overlap it when it comes back
	c.Remove(i)
	c.Broken = append(c.Broken, e.ID)
}

// EndWithout is the newest producer time of the epoch that must outlive a segment, once that is deleted; known says that
// it does so anyway.
func (c *Catalog) EndWithout(k layout.ID) (highest int64, known bool) {
	i, ok := c.Find(k)
	if !ok || k.Epoch != c.Epoch || i < len(c.Entries)-1 {
		return 0, true
	}
	c.highest = c.Newest()
	return c.highest, c.kept == c.highest
}

// Keep says that the stream's file has the newest producer time of an epoch.
func (c *Catalog) Keep(epoch uint32, highest int64) {
	if epoch == c.Epoch {
		c.highest, c.kept = max(c.highest, highest), highest
	}
}
