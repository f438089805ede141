package catalog

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
)

// Held is a time of recording whose media nothing deletes: [From, To), Unix ms.
type Held struct{ From, To int64 }

// everything is held where it is not known what is.
var everything = []Held{{math.MinInt64, math.MaxInt64}}

// Hold sets which times of recording are held; with whole everything is.
func (c *Catalog) Hold(list []Held, whole bool) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Held) int { return cmp.Compare(a.From, b.From) })
	merged := list[:0]
	for _, h := range list {
		if n := len(merged); n > 0 && h.From <= merged[n-1].To {
			merged[n-1].To = max(merged[n-1].To, h.To)
			continue
		}
		merged = append(merged, h)
	}
	if c.held = merged; whole {
		c.held = everything
	}
	c.mark()
}

// Release returns the name that a segment's file gets before it is removed. It fails with
// hold.ErrHeld when the segment is held. It is the only source of such a name: whatever deletes media has to ask here.
func (c *Catalog) Release(i int) (garbage string, err error) {
	e := c.Entries[i]
	if e.Held || c.keeps(e) {
		return "", hold.ErrHeld
	}
	return e.garbageName(), nil
}

// Insert inserts an entry in order.
func (c *Catalog) Insert(e Entry) {
	e.Held = c.keeps(e)
	c.Index.Insert(e)
}

// Replace changes the entry at i.
func (c *Catalog) Replace(i int, e Entry) {
	e.Held = c.keeps(e)
	c.Index.Replace(i, e)
}

// mark updates which segments are held.
func (c *Catalog) mark() {
	for i, e := range c.Entries {
		if held := c.keeps(e); held != e.Held {
			e.Held = held
			c.Index.Replace(i, e)
		}
	}
}

// keeps reports whether a segment has media of a held time.
func (c *Catalog) keeps(e Entry) bool { return len(c.held) > 0 && c.reaches(c.held, e) }

// Reaches reports whether a segment has media that was recorded in a time.
func (c *Catalog) Reaches(h Held, e Entry) bool { return c.reaches([]Held{h}, e) }

// reaches reports whether a segment has media of one of some times, which are in order. In doubt it has: where its times were corrected,
// the file's times count as well; where it is not known by how much they were ahead, all times between count; and where
// nothing is known, as the clock was not set, all times do.
func (c *Catalog) reaches(list []Held, e Entry) bool {
	d := c.Dating(e)
	switch {
	case d.Offset != 0 || !d.Unset && !d.Ahead:
		return overlaps(list, d.From, d.To) || overlaps(list, e.Start, e.End())
	case d.Unset:
		return true
	default:
		return overlaps(list, min(d.From, e.Start), max(d.To, e.End()))
	}
}

// overlaps reports whether one of the times has a moment of [from, to].
func overlaps(list []Held, from, to int64) bool {
	i := sort.Search(len(list), func(i int) bool { return list[i].To > from })
	return i < len(list) && list[i].From <= to
}

// Reached sums up the segments with media of a time: all of them, and those that are not held.
func (c *Catalog) Reached(h Held) (segments int, bytes, free int64) {
	for _, e := range c.Entries {
		if !c.Reaches(h, e) {
			continue
		}
		segments++
		if bytes += e.Bytes; !e.Held {
			free += e.Bytes
		}
	}
	return segments, bytes, free
}
