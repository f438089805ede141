package segment

import (
	"cmp"
	"iter"
	"math"
	"sort"
	"time"
)

// maxLength in ms is what an entry holds: 49 days, when segments end within an hour or two.
const maxLength = math.MaxUint32

// id tells a stream's segments apart. They are in order by epoch, and within one by start.
type id struct {
	start int64 // Unix ms
	epoch uint32
}

// first is before all segments.
var first = id{start: math.MinInt64}

func (k id) compare(other id) int {
	return cmp.Or(cmp.Compare(k.epoch, other.epoch), cmp.Compare(k.start, other.start))
}

func (k id) before(other id) bool { return k.compare(other) < 0 }

// next is the least that comes after k.
func (k id) next() id {
	if k.start == math.MaxInt64 {
		return id{epoch: k.epoch + 1, start: math.MinInt64}
	}
	return id{epoch: k.epoch, start: k.start + 1}
}

// entry is a segment in memory: 32 bytes, so that a million of them fit a small hub.
type entry struct {
	id
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

// index holds a stream's segments by epoch and start. Segments of an epoch never overlap, so it is
// ordered by end as well; those of different epochs may. What is asked often is kept as sums, and for each kind a segment before which
// there is none of it: so neither a sum nor the oldest of a kind costs a look at all the others.
type index struct {
	entries []entry
	bytes   int64 // of all
	kinds   [kinds]struct {
		count int
		from  id // none of the kind comes before
	}
	pendingBytes  int64 // of those that pend
	pendingMillis int64
}

// find gives the position of a segment.
func (x *index) find(k id) (int, bool) {
	i := x.at(k)
	return i, i < len(x.entries) && x.entries[i].id == k
}

// at gives the position of k, or else of the first segment after it.
func (x *index) at(k id) int {
	if n := len(x.entries); n == 0 || x.entries[n-1].before(k) {
		return n // nearly always
	}
	return sort.Search(len(x.entries), func(i int) bool { return !x.entries[i].before(k) })
}

// insert puts an entry in its place; almost always that is the end.
func (x *index) insert(e entry) {
	i := x.at(e.id)
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
	if sign > 0 && (k.count == 0 || e.before(k.from)) {
		k.from = e.id
	}
	k.count += sign
	if e.pends() {
		x.pendingBytes += int64(sign) * e.bytes
		x.pendingMillis += int64(sign) * int64(e.length)
	}
}

// next gives the position of the first segment of a kind that is at or after.
func (x *index) next(k kind, at id) (int, bool) {
	of := &x.kinds[k]
	if of.count == 0 {
		return 0, false
	}
	all := !of.from.before(at)
	if all {
		at = of.from
	}
	for i := x.at(at); i < len(x.entries); i++ {
		if x.entries[i].kind() == k {
			if all {
				of.from = x.entries[i].id // what was passed over now is not looked at again
			}
			return i, true
		}
	}
	return 0, false
}

// run is the positions [from, to) of segments that follow each other in one epoch.
type run struct{ from, to int }

// epochs visits the epochs that have segments, in order. O(log n) for each.
func (x *index) epochs(yield func(run) bool) {
	for from := 0; from < len(x.entries); {
		epoch := x.entries[from].epoch
		to := len(x.entries)
		if x.entries[to-1].epoch != epoch {
			to = x.at(id{epoch: epoch + 1, start: math.MinInt64})
		}
		if !yield(run{from, to}) {
			return
		}
		from = to
	}
}

// overlapping visits the segments of each epoch with media in [begin, end); a zero time is unbounded.
func (x *index) overlapping(begin, end time.Time) iter.Seq[run] {
	return func(yield func(run) bool) {
		for r := range x.epochs {
			if !begin.IsZero() {
				r.from = x.endingFrom(r, begin.UnixMilli())
			}
			if !end.IsZero() {
				e := end.UnixMilli()
				r.to = r.search(func(i int) bool { return x.entries[i].start >= e })
			}
			if r.from < r.to && !yield(r) {
				return
			}
		}
	}
}

// search gives the first position of a run from which on is true.
func (r run) search(is func(i int) bool) int {
	return r.from + sort.Search(r.to-r.from, func(i int) bool { return is(r.from + i) })
}

// endingFrom gives the position of the first segment of a run that ends at t or later.
func (x *index) endingFrom(r run, t int64) int {
	return r.search(func(i int) bool { return x.entries[i].end() >= t })
}

// lastEnd is the newest producer time of an epoch, or math.MinInt64 when it has none.
func (x *index) lastEnd(epoch uint32) int64 {
	i := x.at(id{epoch: epoch + 1, start: math.MinInt64}) - 1
	if i < 0 || x.entries[i].epoch != epoch {
		return math.MinInt64
	}
	return x.entries[i].end()
}

// newest is the newest producer time of all epochs, or math.MinInt64 when there is none.
func (x *index) newest() int64 {
	newest := int64(math.MinInt64)
	for r := range x.epochs {
		newest = max(newest, x.entries[r.to-1].end())
	}
	return newest
}

// oldest is the oldest producer time of all epochs, or math.MaxInt64 when there is none.
func (x *index) oldest() int64 {
	oldest := int64(math.MaxInt64)
	for r := range x.epochs {
		oldest = min(oldest, x.entries[r.from].start)
	}
	return oldest
}
