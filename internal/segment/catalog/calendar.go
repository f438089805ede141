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

// calendar knows when what a stream's files date was recorded. The zero calendar believes the files.
type calendar struct {
	corrections map[uint32][]correction // by epoch: the times that are wrong, in order and apart
	starts      []epochStart            // in order
}

// correction is a part of an epoch's times that are all wrong by the same.
type correction struct {
	from, until int64 // first and last, Unix ms
	note        layout.ClockNote
}

// add is what makes wrong times those at which was recorded, as far as is known.
func (p correction) add() int64 {
	if p.note.Known() {
		return p.note.AddMS
	}
	return p.note.GuessMS
}

// epochStart is when an epoch began, or a later one if that was earlier: nothing before the epoch was
// recorded later.
type epochStart struct {
	epoch uint32
	at    int64 // Unix ms
}

// newCalendar makes the calendar of a stream.
func newCalendar(notes []layout.ClockNote, x *Index) calendar {
	var c calendar
	begins := make(map[uint32]int64)
	of := make(map[uint32][]layout.ClockNote)
	for r := range x.epochs { // what a lost note would say
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
		if bound := c.latest(epoch); bound < math.MaxInt64 { // what is dated later is wrong, whatever the notes say
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

// correctionsOf returns what an epoch's notes make of its times. A later note counts before an earlier one,
// and one that knows what is to be added before one that does not.
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

// latest is the latest that media of an epoch was recorded, math.MaxInt64 for the present one.
func (c *calendar) latest(epoch uint32) int64 {
	i := sort.Search(len(c.starts), func(i int) bool { return c.starts[i].epoch > epoch })
	if i == len(c.starts) {
		return math.MaxInt64
	}
	return c.starts[i].at
}

// began is when an epoch began; ok is false for the first.
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

// correction returns the one that t is in.
func (c *calendar) correction(epoch uint32, t int64) (p correction, ok bool) {
	if list := c.after(epoch, t); len(list) > 0 && list[0].from <= t {
		return list[0], true
	}
	return p, false
}

// recorded is when a frame was recorded that is dated t.
func (c *calendar) recorded(epoch uint32, t int64) int64 {
	if len(c.corrections) == 0 && len(c.starts) == 0 {
		return t // nearly always
	}
	p, _ := c.correction(epoch, t)
	return min(t+p.add(), c.latest(epoch))
}

// span is when a segment was recorded.
func (c *calendar) span(e Entry) (from, to int64) {
	from = c.recorded(e.Epoch, e.Start)
	return from, max(from, c.recorded(e.Epoch, e.End()))
}

// even cuts the run of an epoch where another piece begins, so that all but the last of a part are
// recorded in the order of their times.
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
