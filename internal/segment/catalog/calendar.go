package catalog

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// calendar converts the times of a stream's files to the times of recording. The zero calendar makes no corrections.
type calendar struct {
	corrections map[uint32][]correction // by epoch: the times that are wrong, in order and not overlapping
	starts      []epochStart            // in order
}

// correction is a range of an epoch's times that are all wrong by the same amount.
type correction struct {
	from, until int64 // first and last, Unix ms
	note        layout.ClockNote
}

// add is what has to be added to wrong times to obtain the times of recording, as far as is known.
func (p correction) add() int64 {
	if p.note.Known() {
		return p.note.AddMS
	}
	return p.note.GuessMS
}

// epochStart is when an epoch began, or the start of a later epoch if that is earlier: nothing before the epoch was recorded
// later.
type epochStart struct {
	epoch uint32
	at    int64 // Unix ms
}

// newCalendar returns the calendar of a stream.
func newCalendar(notes []layout.ClockNote, x *Index) calendar {
	var c calendar
	begins := make(map[uint32]int64)
	of := make(map[uint32][]layout.ClockNote)
	for r := range x.epochs { // epochs whose notes were lost
		if e := x.Entries[r.From]; e.Epoch > 0 {
			begins[e.Epoch] = e.Start
		}
	}
	for _, n := range notes {
		if n.Begin != 0 {
			begins[n.Epoch] = n.Begin
			continue
		}
		if i := x.containing(n.Epoch, n.From); i >= 0 && hubclock.Unset(time.UnixMilli(x.Entries[i].Start)) {
			n.From = x.Entries[i].Start // the first frames are noted late
		}
		of[n.Epoch] = append(of[n.Epoch], n)
	}
	for epoch, at := range begins {
		c.starts = append(c.starts, epochStart{epoch, at})
	}
	slices.SortFunc(c.starts, func(a, b epochStart) int { return cmp.Compare(a.epoch, b.epoch) })
	for i := len(c.starts) - 2; i >= 0; i-- {
		c.starts[i].at = min(c.starts[i].at, c.starts[i+1].at)
	}
	for r := range x.epochs {
		epoch := x.Entries[r.From].Epoch
		if bound := c.latest(epoch); bound < math.MaxInt64 { // media dated later is wrong, whatever the notes say
			of[epoch] = append([]layout.ClockNote{{Epoch: epoch, From: bound + TimesAhead.Milliseconds() + 1, Ahead: true}}, of[epoch]...)
		}
	}
	for epoch, list := range of {
		if c.corrections == nil {
			c.corrections = make(map[uint32][]correction)
		}
		c.corrections[epoch] = correctionsOf(list)
	}
	return c
}

// correctionsOf returns the corrections that an epoch's notes contain. A later note takes precedence over an earlier one,
// and a note whose error is known over one whose error is not.
func correctionsOf(notes []layout.ClockNote) (list []correction) {
	var borders []int64
	for _, n := range notes {
		borders = append(borders, n.From, n.Last()+1)
	}
	slices.Sort(borders)
	borders = slices.Compact(borders)
	for i := range max(0, len(borders)-1) {
		from, until := borders[i], borders[i+1]-1
		best := -1
		for j, n := range notes {
			if n.From <= from && n.Last() >= until && (best < 0 || n.Known() || !notes[best].Known()) {
				best = j
			}
		}
		switch n := len(list); {
		case best < 0:
		case n > 0 && list[n-1].until == from-1 && list[n-1].note == notes[best]:
			list[n-1].until = until
		default:
			list = append(list, correction{from, until, notes[best]})
		}
	}
	return list
}

// latest returns the latest time at which media of an epoch can have been recorded, math.MaxInt64 for the current one.
func (c *calendar) latest(epoch uint32) int64 {
	i := sort.Search(len(c.starts), func(i int) bool { return c.starts[i].epoch > epoch })
	if i == len(c.starts) {
		return math.MaxInt64
	}
	return c.starts[i].at
}

// began returns when an epoch began; ok is false for the first.
func (c *calendar) began(epoch uint32) (at int64, ok bool) {
	i := sort.Search(len(c.starts), func(i int) bool { return c.starts[i].epoch >= epoch })
	if i == len(c.starts) || c.starts[i].epoch != epoch {
		return 0, false
	}
	return c.starts[i].at, true
}

// after returns the corrections of an epoch that end at t or later.
func (c *calendar) after(epoch uint32, t int64) []correction {
	list := c.corrections[epoch]
	return list[sort.Search(len(list), func(i int) bool { return list[i].until >= t }):]
}

// correction returns the correction for time t.
func (c *calendar) correction(epoch uint32, t int64) (p correction, ok bool) {
	if list := c.after(epoch, t); len(list) > 0 && list[0].from <= t {
		return list[0], true
	}
	return p, false
}

// recorded returns when a frame that is dated t was recorded.
func (c *calendar) recorded(epoch uint32, t int64) int64 {
	if len(c.corrections) == 0 && len(c.starts) == 0 {
		return t // nearly always
	}
	p, _ := c.correction(epoch, t)
	return min(t+p.add(), c.latest(epoch))
}

// span returns when a segment was recorded.
func (c *calendar) span(e Entry) (from, to int64) {
	from = c.recorded(e.Epoch, e.Start)
	return from, max(from, c.recorded(e.Epoch, e.End()))
}

// even splits the range of an epoch where a correction begins, so that all but the last segment of each part are recorded in
// the order of their times.
func (c *calendar) even(x *Index, r Range) iter.Seq[Range] {
	return func(yield func(Range) bool) {
		if r.From == r.To {
			return
		}
		for _, p := range c.corrections[x.Entries[r.From].Epoch] {
			for _, border := range []int64{p.from, p.until + 1} {
				at := r.search(func(i int) bool { return x.Entries[i].Start >= border })
				if r.From < at && !yield(Range{r.From, at}) {
					return
				}
				r.From = at
			}
		}
		if r.From < r.To {
			yield(r)
		}
	}
}
