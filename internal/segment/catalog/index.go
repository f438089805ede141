package catalog

import (
	"math"
	"sort"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Entry is a segment in memory: 32 bytes, so that a million of them fit a small hub.
type Entry struct {
	layout.ID
	Bytes   int64
	Length  uint32 // ms to the last frame
	State   layout.State
	Refused bool
	Held    bool // by a hold: see Catalog.Release
}

// End returns the producer time of the last frame, Unix ms.
func (e Entry) End() int64 { return e.Start + int64(e.Length) }

// Name returns the name of its file.
func (e Entry) Name() string {
	switch {
	case e.State == layout.Writing:
		return layout.WritingName(e.ID)
	case e.State == layout.Sealed:
		return layout.FinishedName(e.ID, int64(e.Length), layout.SealedSuffix)
	case e.Refused:
		return layout.FinishedName(e.ID, int64(e.Length), layout.RefusedSuffix)
	default:
		return layout.FinishedName(e.ID, int64(e.Length), layout.UploadedSuffix)
	}
}

// garbageName returns the name of its file between deletion and removal. Only Catalog.Release returns it, so that no held segment is
// deleted.
func (e Entry) garbageName() string {
	return layout.FinishedName(e.ID, int64(e.Length), layout.GarbageSuffix)
}

// Kind divides entries by what may be done with them.
type Kind uint8

// The kinds.
const (
	KindWriting Kind = iota
	KindSealed
	KindUploaded
	KindRefused
	kinds
)

// Kind returns the kind of an entry.
func (e Entry) Kind() Kind {
	switch {
	case e.State == layout.Writing:
		return KindWriting
	case e.State == layout.Sealed:
		return KindSealed
	case e.Refused:
		return KindRefused
	default:
		return KindUploaded
	}
}

// Pends reports whether an entry has media that waits for its upload.
func (e Entry) Pends() bool {
	return e.State == layout.Sealed || (e.State == layout.Writing && e.Length > 0)
}

// Index holds a stream's segments by epoch and start. Segments of an epoch never overlap, so it is ordered by end as well;
// those of different epochs may. Frequently used numbers are kept as sums, and for each kind a segment before which no
// entry is of that kind: so neither a sum nor the oldest of a kind needs a scan of all entries.
type Index struct {
	Entries []Entry
	Bytes   int64 // of all
	kinds   [kinds]number
	free    [kinds]number // of those that are not held

	PendingBytes  int64 // of those that pend
	PendingMillis int64
	HeldBytes     int64 // of those that are held
}

// number is how many entries there are of some sort.
type number struct {
	count int
	from  layout.ID // none of the sort comes before
}

// Find returns the position of a segment.
func (x *Index) Find(k layout.ID) (int, bool) {
	i := x.At(k)
	return i, i < len(x.Entries) && x.Entries[i].ID == k
}

// At returns the position of k, or else of the first segment after it.
func (x *Index) At(k layout.ID) int {
	if n := len(x.Entries); n == 0 || x.Entries[n-1].Before(k) {
		return n // nearly always
	}
	return sort.Search(len(x.Entries), func(i int) bool { return !x.Entries[i].Before(k) })
}

// Insert inserts an entry in order; almost always at the end.
func (x *Index) Insert(e Entry) {
	i := x.At(e.ID)
	x.Entries = append(x.Entries, Entry{})
	copy(x.Entries[i+1:], x.Entries[i:])
	x.Entries[i] = e
	x.count(e, 1)
}

// Remove removes the entry at i. The shorter side is moved: mostly old entries are deleted.
func (x *Index) Remove(i int) {
	x.count(x.Entries[i], -1)
	if i < len(x.Entries)/2 {
		copy(x.Entries[1:i+1], x.Entries[:i])
		x.Entries = x.Entries[1:]
		return
	}
	x.Entries = append(x.Entries[:i], x.Entries[i+1:]...)
}

// Replace changes the entry at i.
func (x *Index) Replace(i int, e Entry) {
	x.count(x.Entries[i], -1)
	x.Entries[i] = e
	x.count(e, 1)
}

func (x *Index) count(e Entry, sign int) {
	x.Bytes += int64(sign) * e.Bytes
	x.kinds[e.Kind()].add(e.ID, sign)
	if e.Held {
		x.HeldBytes += int64(sign) * e.Bytes
	} else {
		x.free[e.Kind()].add(e.ID, sign)
	}
	if e.Pends() {
		x.PendingBytes += int64(sign) * e.Bytes
		x.PendingMillis += int64(sign) * int64(e.Length)
	}
}

func (n *number) add(k layout.ID, sign int) {
	if sign > 0 && (n.count == 0 || k.Before(n.from)) {
		n.from = k
	}
	n.count += sign
}

// Next returns the position of the first segment of a kind that is at or after.
func (x *Index) Next(k Kind, at layout.ID) (int, bool) { return x.next(&x.kinds[k], at, k, false) }

// NextFree is Next for segments that are not held.
func (x *Index) NextFree(k Kind, at layout.ID) (int, bool) { return x.next(&x.free[k], at, k, true) }

func (x *Index) next(of *number, at layout.ID, k Kind, free bool) (int, bool) {
	if of.count == 0 {
		return 0, false
	}
	all := !of.from.Before(at)
	if all {
		at = of.from
	}
	for i := x.At(at); i < len(x.Entries); i++ {
		if e := x.Entries[i]; e.Kind() == k && !(free && e.Held) {
			if all {
				of.from = e.ID // entries passed over now are not read again
			}
			return i, true
		}
	}
	return 0, false
}

// Number returns how many segments of a kind there are.
func (x *Index) Number(k Kind) int { return x.kinds[k].count }

// NumberHeld returns how many segments are held.
func (x *Index) NumberHeld() (n int) {
	for k := range kinds {
		n += x.kinds[k].count - x.free[k].count
	}
	return n
}

// Range is the positions [from, to) of segments that follow each other in one epoch.
type Range struct{ From, To int }

// epochs iterates over the epochs that have segments, in order. O(log n) for each.
func (x *Index) epochs(yield func(Range) bool) {
	for from := 0; from < len(x.Entries); {
		epoch := x.Entries[from].Epoch
		to := len(x.Entries)
		if x.Entries[to-1].Epoch != epoch {
			to = x.At(layout.ID{Epoch: epoch + 1, Start: math.MinInt64})
		}
		if !yield(Range{from, to}) {
			return
		}
		from = to
	}
}

// of returns the segments of an epoch.
func (x *Index) of(epoch uint32) Range {
	return Range{x.At(layout.ID{Epoch: epoch, Start: math.MinInt64}), x.At(layout.ID{Epoch: epoch + 1, Start: math.MinInt64})}
}

// containing returns the position of the epoch's segment that contains time t, -1 when there is none.
func (x *Index) containing(epoch uint32, t int64) int {
	i := x.At(layout.ID{Epoch: epoch, Start: t + 1}) - 1
	if i < 0 || x.Entries[i].Epoch != epoch || x.Entries[i].End() < t && x.Entries[i].State != layout.Writing {
		return -1
	}
	return i
}

// search returns the first position of a range from which on the predicate is true.
func (r Range) search(is func(i int) bool) int {
	return r.From + sort.Search(r.To-r.From, func(i int) bool { return is(r.From + i) })
}

// endingFrom returns the position of the first segment of a range that ends at t or later.
func (x *Index) endingFrom(r Range, t int64) int {
	return r.search(func(i int) bool { return x.Entries[i].End() >= t })
}

// lastEnd returns the newest producer time of an epoch, or math.MinInt64 when it has none.
func (x *Index) lastEnd(epoch uint32) int64 {
	i := x.At(layout.ID{Epoch: epoch + 1, Start: math.MinInt64}) - 1
	if i < 0 || x.Entries[i].Epoch != epoch {
		return math.MinInt64
	}
	return x.Entries[i].End()
}
