package segment

import (
	"math"
	"sort"
	"time"
)

// maxLength in ms is what an entry holds: 49 days, when segments end within an hour or two.
const maxLength = math.MaxUint32

// entry is a segment in memory: 24 bytes, so that a million of them fit a small hub.
type entry struct {
	start   int64 // Unix ms
	bytes   int64
	length  uint32 // ms to the last frame
	state   State
	refused bool
}

func (e entry) end() int64 { return e.start + int64(e.length) }

// index holds a stream's segments by start. Segments of a stream never overlap, so it is ordered
// by end as well.
type index struct {
	entries []entry
	bytes   int64 // of all
	pending int   // entries that are not uploaded
}

// find gives the position of the segment that starts at start.
func (x *index) find(start int64) (int, bool) {
	i := sort.Search(len(x.entries), func(i int) bool { return x.entries[i].start >= start })
	return i, i < len(x.entries) && x.entries[i].start == start
}

// insert puts an entry in its place; almost always that is the end.
func (x *index) insert(e entry) {
	i, _ := x.find(e.start)
	x.entries = append(x.entries, entry{})
	copy(x.entries[i+1:], x.entries[i:])
	x.entries[i] = e
	x.count(e, 1)
}

// remove takes the entry at i away. Deletion is mostly of the oldest, whose removal costs nothing
// but the slice's head.
func (x *index) remove(i int) {
	x.count(x.entries[i], -1)
	if i == 0 {
		x.entries = x.entries[1:]
		return
	}
	x.entries = append(x.entries[:i], x.entries[i+1:]...)
}

// replace changes the entry at i.
func (x *index) replace(i int, e entry) {
	x.count(x.entries[i], -1)
	x.entries[i] = e
	x.count(e, 1)
}

func (x *index) count(e entry, sign int) {
	x.bytes += int64(sign) * e.bytes
	if e.state != Uploaded {
		x.pending += sign
	}
}

// overlapping gives the positions [from, to) of the segments with media in [begin, end); a zero
// time is unbounded.
func (x *index) overlapping(begin, end time.Time) (from, to int) {
	to = len(x.entries)
	if !begin.IsZero() {
		b := begin.UnixMilli()
		from = sort.Search(len(x.entries), func(i int) bool { return x.entries[i].end() >= b })
	}
	if !end.IsZero() {
		e := end.UnixMilli()
		to = sort.Search(len(x.entries), func(i int) bool { return x.entries[i].start >= e })
	}
	return from, max(from, to)
}

// lastEnd is the newest producer time, or math.MinInt64 when there is none.
func (x *index) lastEnd() int64 {
	if len(x.entries) == 0 {
		return math.MinInt64
	}
	return x.entries[len(x.entries)-1].end()
}
