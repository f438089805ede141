package catalog

import (
	"math"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// TimesAhead is how far the times of recorded media may be ahead of a right clock.
const TimesAhead = 1500 * time.Millisecond

// maxClockNotes bounds the side file; the newest are kept. One is added when a clock was set or corrected.
const maxClockNotes = 256

// Noted returns the notes that still apply, together with new ones.
func (c *Catalog) Noted(added ...layout.ClockNote) []layout.ClockNote {
	var notes []layout.ClockNote
	for _, n := range c.Clock {
		if c.matters(n) {
			notes = append(notes, n)
		}
	}
	for _, n := range added {
		if !slices.Contains(notes, n) { // what could not be written is added again
			notes = append(notes, n)
		}
	}
	for i := 0; len(notes) > maxClockNotes && i < len(notes); {
		if notes[i].Begin != 0 && notes[i].Epoch >= c.Epoch {
			i++ // nothing else records that this epoch exists
			continue
		}
		notes = slices.Delete(notes, i, i+1)
	}
	return notes
}

// matters reports whether a note applies to media that still exists.
func (c *Catalog) matters(n layout.ClockNote) bool {
	x := &c.Index
	switch {
	case n.Epoch >= c.Epoch || len(c.Broken) > 0:
		return true
	case n.Begin != 0:
		return len(x.Entries) > 0 && x.Entries[0].Epoch < n.Epoch
	}
	r := x.of(n.Epoch)
	i := x.endingFrom(r, n.From)
	return i < r.To && x.Entries[i].Start <= n.Last()
}

// Ending returns the epoch that begins at a time, and the notes including its start.
func (c *Catalog) Ending(from, until time.Time, add time.Duration, at time.Time) (epoch uint32, notes []layout.ClockNote) {
	begin := layout.ClockNote{Epoch: c.Epoch, Begin: at.UnixMilli()}
	newest := c.Newest()
	if newest == math.MinInt64 {
		if c.Epoch == 0 {
			return 0, c.Clock
		}
		notes = slices.DeleteFunc(c.Noted(), func(n layout.ClockNote) bool { return n.Begin != 0 && n.Epoch == c.Epoch })
		return c.Epoch, append(notes, begin)
	}
	begin.Epoch++
	wrong := layout.ClockNote{Epoch: c.Epoch, From: at.Add(TimesAhead).UnixMilli() + 1, AddMS: add.Milliseconds(), Ahead: true}
	if !from.IsZero() {
		wrong.From = from.UnixMilli()
	}
	if !until.IsZero() {
		wrong.Until = until.UnixMilli()
	}
	if !wrong.Known() {
		wrong.GuessMS = min(0, begin.Begin-newest)
	}
	return begin.Epoch, c.Noted(wrong, begin)
}
