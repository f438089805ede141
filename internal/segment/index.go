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

// kind tells entries apart by what may be done with them.
type kind uint8

const (
	kindWriting kind = iota
	kindSealed
	kindUploaded
	kindRefused
	kinds
)

func (e entry) kind() kind {
	switch {
	case e.state == Writing:
		return kindWriting
	case e.state == Sealed:
		return kindSealed
	case e.refused:
		return kindRefused
	default:
		return kindUploaded
	}
}

// pends reports whether an entry has media that waits for its upload.
func (e entry) pends() bool {
	return e.state == Sealed || (e.state == Writing && e.length > 0)
}

// index holds a stream's segments by start. Segments of a stream never overlap, so it is ordered
// by end as well. What is asked often is kept as sums, and for each kind a start before which
// there is none of it: so neither a sum nor the oldest of a kind costs a look at all the others.
type index struct {
	entries []entry
	bytes   int64 // of all
	kinds   [kinds]struct {
		count int
		from  int64 // none of the kind starts before
	}
	pendingBytes  int64 // of those that pend
	pendingMillis int64
}

// find gives the position of the segment that starts at start.
func (x *index) find(start int64) (int, bool) {
	i := x.at(start)
	return i, i < len(x.entries) && x.entries[i].start == start
}

// at gives the position of the first segment that starts at start or later.
func (x *index) at(start int64) int {
	if n := len(x.entries); n == 0 || x.entries[n-1].start < start {
		return n // nearly always
	}
	return sort.Search(len(x.entries), func(i int) bool { return x.entries[i].start >= start })
}

// insert puts an entry in its place; almost always that is the end.
func (x *index) insert(e entry) {
	i := x.at(e.start)
	x.entries = append(x.entries, entry{})
	copy(x.entries[i+1:], x.entries[i:])
	x.entries[i] = e
	x.count(e, 1)
}

// remove takes the entry at i away. The shorter side moves: deletion is mostly of old ones.
func (x *index) remove(i int) {
	x.count(x.entries[i], -1)
	if i < len(x.entries)/2 {
		copy(x.entries[1:i+1], x.entries[:i])
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
	k := &x.kinds[e.kind()]
	if sign > 0 && (k.count == 0 || e.start < k.from) {
		k.from = e.start
	}
	k.count += sign
	if e.pends() {
		x.pendingBytes += int64(sign) * e.bytes
		x.pendingMillis += int64(sign) * int64(e.length)
	}
}

// next gives the position of the first segment of a kind that starts at start or later.
func (x *index) next(k kind, start int64) (int, bool) {
	of := &x.kinds[k]
	if of.count == 0 {
		return 0, false
	}
	first := start <= of.from
	for i := x.at(max(start, of.from)); i < len(x.entries); i++ {
		if x.entries[i].kind() == k {
			if first {
				of.from = x.entries[i].start // what was passed over now is not looked at again
			}
			return i, true
		}
	}
	return 0, false
}

// overlapping gives the positions [from, to) of the segments with media in [begin, end); a zero
// time is unbounded.
func (x *index) overlapping(begin, end time.Time) (from, to int) {
	to = len(x.entries)
	if !begin.IsZero() {
		from = x.endingFrom(begin.UnixMilli())
	}
	if !end.IsZero() {
		e := end.UnixMilli()
		to = sort.Search(len(x.entries), func(i int) bool { return x.entries[i].start >= e })
	}
	return from, max(from, to)
}

// endingFrom gives the position of the first segment that ends at t or later.
func (x *index) endingFrom(t int64) int {
	return sort.Search(len(x.entries), func(i int) bool { return x.entries[i].end() >= t })
}

// lastEnd is the newest producer time, or math.MinInt64 when there is none.
func (x *index) lastEnd() int64 {
	if len(x.entries) == 0 {
		return math.MinInt64
	}
	return x.entries[len(x.entries)-1].end()
}
