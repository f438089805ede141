// Package catalog owns the order of a stream's segments by epoch and time: which exist, which contain a moment or a range,
// and what is known about errors of their times. It must not know files, nor what is done with a segment.
package catalog

import (
	"math"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Catalog is the index of a stream's segments in memory: which exist, and when they were recorded.
type Catalog struct {
	Index
	Clock   []layout.ClockNote
	times   calendar    // of clock
	Epoch   uint32      // of new segments
	highest int64       // newest producer time of the epoch ever, also of deleted media; math.MinInt64 when none
	kept    int64       // highest as stored in the stream file
	Broken  []layout.ID // segments that could not be finished yet: they are not in the index
	held    []Held      // times whose media nothing deletes, in order, neither overlapping nor touching
}

// NewCatalog returns a catalog without segments.
func NewCatalog() Catalog { return Catalog{highest: math.MinInt64, kept: math.MinInt64} }

// SetClock sets the notes about times. Call it again when segments were loaded.
func (c *Catalog) SetClock(notes []layout.ClockNote) {
	c.Clock = notes
	c.times = newCalendar(notes, &c.Index)
	c.mark()
}

// Newest returns the newest producer time of the epoch ever, or math.MinInt64.
func (c *Catalog) Newest() int64 { return max(c.highest, c.lastEnd(c.Epoch)) }

// Remember keeps the epoch's newest time when an entry is removed.
func (c *Catalog) Remember(e Entry) {
	if e.Epoch == c.Epoch {
		c.highest = max(c.highest, e.End())
	}
}

// SeeEpoch records that an epoch exists.
func (c *Catalog) SeeEpoch(epoch uint32) {
	if epoch > c.Epoch && epoch <= layout.MaxEpoch {
		c.Epoch, c.highest, c.kept = epoch, math.MinInt64, math.MinInt64
	}
}

// Detach removes a segment from the index until it is repaired.
func (c *Catalog) Detach(i int) {
	e := c.Entries[i]
	c.Remember(e) // nothing may overlap it when it is inserted again
	c.Remove(i)
	c.Broken = append(c.Broken, e.ID)
}

// Unsaved returns the newest producer time of the epoch, and whether it must be stored before a segment goes: a power cut would
// leave neither a newer segment nor a stream file that has it. media reports of a segment that is being written whether it has a
// fragment, and whether one is synced.
func (c *Catalog) Unsaved(without layout.ID, media func(layout.ID) (some, synced bool)) (highest int64, unsaved bool) {
	kept := c.kept
	for _, e := range slices.Backward(c.Entries) {
		if e.Epoch != c.Epoch {
			break
		}
		some, synced := true, true
		if e.State == layout.Writing {
			some, synced = media(e.ID)
		}
		if some {
			c.highest = max(c.highest, e.End())
		}
		if synced && e.ID != without {
			kept = max(kept, e.End())
			break // older ones end before
		}
	}
	return c.highest, c.highest > kept
}

// Keep records that the stream file has the newest producer time of an epoch.
func (c *Catalog) Keep(epoch uint32, highest int64) {
	if epoch == c.Epoch {
		c.highest, c.kept = max(c.highest, highest), highest
	}
}
