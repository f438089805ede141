package segment

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

// calendar knows when what a stream's files date was recorded. The zero calendar believes the files.
type calendar struct {
	pieces map[uint32][]piece // by epoch: the times that are wrong, in order and apart
	begins []epochBegin       // in order
}

// piece is a part of an epoch's times that are all wrong by the same.
type piece struct {
	from, until int64 // first and last, Unix ms
	note        clockNote
}

// add is what makes times of the piece those at which was recorded, as far as is known.
func (p piece) add() int64 {
	if p.note.known() {
		return p.note.AddMS
	}
	return p.note.GuessMS
}

// epochBegin is when an epoch began, or a later one if that was earlier: nothing before the epoch was
// recorded later.
type epochBegin struct {
	epoch uint32
	at    int64 // Unix ms
}

// newCalendar makes the calendar of a stream.
func newCalendar(notes []clockNote, x *index) calendar {
	var c calendar
	begins := make(map[uint32]int64)
	of := make(map[uint32][]clockNote)
	for r := range x.epochs { // what a lost note would say
		if e := x.entries[r.from]; e.epoch > 0 {
			begins[e.epoch] = e.start
		}
	}
	for _, n := range notes {
		if n.Begin != 0 {
			begins[n.Epoch] = n.Begin
			continue
		}
		if i := x.containing(n.Epoch, n.From); i >= 0 && hubclock.Unset(time.UnixMilli(x.entries[i].start)) {
			n.From = x.entries[i].start // the first frames are noted late
		}
		of[n.Epoch] = append(of[n.Epoch], n)
	}
	for epoch, at := range begins {
		c.begins = append(c.begins, epochBegin{epoch, at})
	}
	slices.SortFunc(c.begins, func(a, b epochBegin) int { return cmp.Compare(a.epoch, b.epoch) })
	for i := len(c.begins) - 2; i >= 0; i-- {
		c.begins[i].at = min(c.begins[i].at, c.begins[i+1].at)
	}
	for r := range x.epochs {
		epoch := x.entries[r.from].epoch
		if bound := c.bound(epoch); bound < math.MaxInt64 { // what is dated later is wrong, whatever the notes say
			of[epoch] = append([]clockNote{{Epoch: epoch, From: bound + timesAhead.Milliseconds() + 1, Ahead: true}}, of[epoch]...)
		}
	}
	for epoch, list := range of {
		if c.pieces == nil {
			c.pieces = make(map[uint32][]piece)
		}
		c.pieces[epoch] = cut(list)
	}
	return c
}

// cut gives the pieces that an epoch's notes make of its times. A later note counts before an earlier one,
// and one that knows what is to be added before one that does not.
func cut(notes []clockNote) (pieces []piece) {
	var borders []int64
	for _, n := range notes {
		borders = append(borders, n.From, n.last()+1)
	}
	slices.Sort(borders)
	borders = slices.Compact(borders)
	for i := range max(0, len(borders)-1) {
		from, until := borders[i], borders[i+1]-1
		best := -1
		for j, n := range notes {
			if n.From <= from && n.last() >= until && (best < 0 || n.known() || !notes[best].known()) {
				best = j
			}
		}
		switch n := len(pieces); {
		case best < 0:
		case n > 0 && pieces[n-1].until == from-1 && pieces[n-1].note == notes[best]:
			pieces[n-1].until = until
		default:
			pieces = append(pieces, piece{from, until, notes[best]})
		}
	}
	return pieces
}

// bound is the latest that media of an epoch was recorded, math.MaxInt64 for the present one.
func (c *calendar) bound(epoch uint32) int64 {
	i := sort.Search(len(c.begins), func(i int) bool { return c.begins[i].epoch > epoch })
	if i == len(c.begins) {
		return math.MaxInt64
	}
	return c.begins[i].at
}

// began is when an epoch began; ok is false for the first.
func (c *calendar) began(epoch uint32) (at int64, ok bool) {
	i := sort.Search(len(c.begins), func(i int) bool { return c.begins[i].epoch >= epoch })
	if i == len(c.begins) || c.begins[i].epoch != epoch {
		return 0, false
	}
	return c.begins[i].at, true
}

// after gives the pieces of an epoch that end at t or later.
func (c *calendar) after(epoch uint32, t int64) []piece {
	list := c.pieces[epoch]
	return list[sort.Search(len(list), func(i int) bool { return list[i].until >= t }):]
}

// piece gives that which t is in.
func (c *calendar) piece(epoch uint32, t int64) (p piece, ok bool) {
	if list := c.after(epoch, t); len(list) > 0 && list[0].from <= t {
		return list[0], true
	}
	return p, false
}

// recorded gives when a frame was recorded that is dated t.
func (c *calendar) recorded(epoch uint32, t int64) int64 {
	if len(c.pieces) == 0 && len(c.begins) == 0 {
		return t // nearly always
	}
	p, _ := c.piece(epoch, t)
	return min(t+p.add(), c.bound(epoch))
}

// span gives when a segment was recorded.
func (c *calendar) span(e entry) (from, to int64) {
	from = c.recorded(e.epoch, e.start)
	return from, max(from, c.recorded(e.epoch, e.end()))
}

// even cuts the run of an epoch where another piece begins, so that all but the last of a part are
// recorded in the order of their times.
func (c *calendar) even(x *index, r run) iter.Seq[run] {
	return func(yield func(run) bool) {
		if r.from == r.to {
			return
		}
		for _, p := range c.pieces[x.entries[r.from].epoch] {
			for _, border := range []int64{p.from, p.until + 1} {
				at := r.search(func(i int) bool { return x.entries[i].start >= border })
				if r.from < at && !yield(run{r.from, at}) {
					return
				}
				r.from = at
			}
		}
		if r.from < r.to {
			yield(r)
		}
	}
}

// overlapping visits the segments with media recorded in [begin, end), in order; a zero time is unbounded.
func (st *stream) overlapping(begin, end time.Time) iter.Seq[run] {
	return func(yield func(run) bool) {
		for r := range st.index.epochs {
			for part := range st.times.even(&st.index, r) {
				if part = st.within(part, begin, end); part.from < part.to && !yield(part) {
					return
				}
			}
		}
	}
}

// within narrows a part to what was recorded in [begin, end). Most parts lie outside, which their ends show.
func (st *stream) within(r run, begin, end time.Time) run {
	x, c := &st.index, &st.times
	if !end.IsZero() {
		began := func(i int) bool { from, _ := c.span(x.entries[i]); return from >= end.UnixMilli() }
		if began(r.from) {
			return run{r.from, r.from}
		}
		r.to = r.search(began)
	}
	if !begin.IsZero() {
		ended := func(i int) bool { _, to := c.span(x.entries[i]); return to >= begin.UnixMilli() }
		last := r.to - 1 // the only one that may end in another piece
		if !ended(last) {
			return run{r.to, r.to}
		}
		r.from = run{r.from, last}.search(ended)
	}
	return r
}

// placeInTime fills in what is known of the clock by which a segment was recorded, and when it was.
func (st *stream) placeInTime(info *Info) {
	c := &st.times
	from, to := c.span(entry{id: info.id(), length: uint32(info.End.UnixMilli() - info.Start)})
	info.RecordedFrom, info.RecordedTo = time.UnixMilli(from).UTC(), time.UnixMilli(to).UTC()
	info.ClockUnset = hubclock.Unset(info.StartTime())
	for _, p := range c.after(info.Epoch, info.Start) {
		if p.from > info.End.UnixMilli() {
			break
		}
		info.ClockUnset = info.ClockUnset || !p.note.Ahead
		info.ClockAhead = info.ClockAhead || p.note.Ahead
		if p.note.known() {
			info.ClockOffset = time.Duration(p.note.AddMS) * time.Millisecond
		}
	}
}

// Offsets says where the frame lies that a segment's file dates `at` after its start: wire is to be added for
// its time in the cloud, and recorded for when it was recorded. Both are 0 unless the time is wrong.
func (s *Store) Offsets(k Key, at time.Duration) (wire, recorded time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[k.Stream]
	if st == nil {
		return 0, 0
	}
	t := k.Start + at.Milliseconds()
	if p, ok := st.times.piece(k.Epoch, t); ok {
		wire = time.Duration(p.note.AddMS) * time.Millisecond
	}
	return wire, time.Duration(st.times.recorded(k.Epoch, t)-t) * time.Millisecond
}

// Misdated is media whose times are wrong.
type Misdated struct {
	From, To time.Time // of what is there, as its files have it
	// Offset is to be added, if Known; else RecordedTo is the latest that it can have been.
	Offset     time.Duration
	Known      bool
	RecordedTo time.Time
	Unset      bool // the hub's clock was not set; otherwise it was ahead
	Segments   int
}

// Misdated lists the spans of a stream whose times are wrong, in order, as long as there is media of them.
// O(log n) for each, and for each epoch.
func (s *Store) Misdated(stream string) (list []Misdated) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	if st == nil || len(st.times.pieces) == 0 {
		return nil
	}
	x := &st.index
	for r := range x.epochs {
		for _, p := range st.times.pieces[x.entries[r.from].epoch] {
			in := run{x.endingFrom(r, p.from), r.search(func(i int) bool { return x.entries[i].start > p.until })}
			if in.from >= in.to {
				continue
			}
			list = append(list, st.misdated(p, x.entries[in.from:in.to]))
		}
	}
	return list
}

func (st *stream) misdated(p piece, entries []entry) Misdated {
	last := entries[len(entries)-1]
	from, to := max(p.from, entries[0].start), min(p.until, last.end())
	return Misdated{
		From: time.UnixMilli(from).UTC(), To: time.UnixMilli(to).UTC(),
		Offset: time.Duration(p.note.AddMS) * time.Millisecond, Known: p.note.known(),
		RecordedTo: time.UnixMilli(st.times.recorded(last.epoch, to)).UTC(), Unset: !p.note.Ahead, Segments: len(entries),
	}
}
