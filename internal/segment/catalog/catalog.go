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
	Highest int64       // newest producer time of the epoch ever, also of media that is gone; math.MinInt64 when none
	Marked  int64       // highest as the stream's file has it
	Broken  []layout.ID // segments that could not be finished yet: they are not in the index
}

// NewCatalog returns one without segments.
func NewCatalog() Catalog { return Catalog{Highest: math.MinInt64, Marked: math.MinInt64} }

// SetClock takes in notes. Call it again when segments were loaded.
func (c *Catalog) SetClock(notes []layout.ClockNote) {
	c.Clock = notes
	c.times = newCalendar(notes, &c.Index)
}

// Newest is the newest producer time of the epoch ever, or math.MinInt64.
func (c *Catalog) Newest() int64 { return max(c.Highest, c.lastEnd(c.Epoch)) }

// Remember has the epoch's newest time outlive an entry.
func (c *Catalog) Remember(e Entry) {
	if e.Epoch == c.Epoch {
		c.Highest = max(c.Highest, e.End())
	}
}

// SeeEpoch takes in that there is an epoch.
func (c *Catalog) SeeEpoch(epoch uint32) {
	if epoch > c.Epoch && epoch <= layout.MaxEpoch {
		c.Epoch, c.Highest, c.Marked = epoch, math.MinInt64, math.MinInt64
	}
}

// Detach takes a segment out of sight until it is repaired.
func (c *Catalog) Detach(i int) {
	e := c.Entries[i]
	c.Remember(e) // nothing may overlap it when it comes back
	c.Remove(i)
	c.Broken = append(c.Broken, e.ID)
}
