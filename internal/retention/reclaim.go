package retention

import (
	"cmp"
	"iter"
	"math"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// reclaim determines the order in which segments are deleted for the space of the disk, in one pass.
type reclaim struct {
	held    func(stream string) int64
	streams []candidate
}

// candidate is a stream whose segments may have to be deleted.
type candidate struct {
	name  string
	share int64
	next  [2]func() (segment.Info, bool) // by deletionOrder; nil when there are no others
	stop  []func()
}

// newReclaim computes each stream's share of the total room when the disk needs that many bytes more. Without all, only
// completely uploaded segments are deleted.
func (k *Keeper) newReclaim(streams []string, need int64, all bool, held func(string) int64) *reclaim {
	r := &reclaim{held: held}
	room := -need
	limits := make([]int64, len(streams))
	for i, name := range streams {
		room += held(name)
		limits[i] = k.policy(name).MaxBytes
	}
	shares := shares(max(room, 0), limits)
	for i, name := range streams {
		s := candidate{name: name, share: shares[i]}
		for order, which := range deletionOrder {
			if which&segment.UploadedWhole == 0 && !(all && k.mayLose(name)) {
				continue
			}
			next, stop := iter.Pull(k.o.Store.Walk(name, which))
			s.next[order], s.stop = next, append(s.stop, stop)
		}
		r.streams = append(r.streams, s)
	}
	return r
}

// mayLose reports whether a stream may lose media before its upload for the space of the disk: never one that denies new
// media, nor one whose policy is not known.
func (k *Keeper) mayLose(stream string) bool {
	return k.policy(stream).OnFull != DenyNew && k.decided(stream)
}

// held returns how many bytes a stream has that no hold holds.
func (k *Keeper) held(stream string) int64 {
	u := k.o.Store.Usage(stream)
	return u.Bytes - u.HeldBytes
}

func (r *reclaim) stop() {
	for _, s := range r.streams {
		for _, stop := range s.stop {
			stop()
		}
	}
}

// next returns the segment to be deleted next: an uploaded one as long as any stream has one, since that loses nothing; and
// of the stream that exceeds its share the most.
func (r *reclaim) next() (segment.Info, bool) {
	for order := range deletionOrder {
		for s := r.pick(order); s != nil; s = r.pick(order) {
			if info, ok := s.next[order](); ok {
				return info, true
			}
			s.next[order] = nil
		}
	}
	return segment.Info{}, false
}

// drop stops the deletion of a stream's segments.
func (r *reclaim) drop(stream string) {
	for i := range r.streams {
		if r.streams[i].name == stream {
			clear(r.streams[i].next[:])
		}
	}
}

// pick returns the stream that exceeds its share the most, of the streams that may have segments left to delete.
func (r *reclaim) pick(order int) *candidate {
	var most *candidate
	var beyond int64
	for i := range r.streams {
		s := &r.streams[i]
		if s.next[order] == nil {
			continue
		}
		if b := r.held(s.name) - s.share; most == nil || b > beyond {
			most, beyond = s, b
		}
	}
	return most
}

// shares divides room evenly; no stream gets more than its limit (0: none), and the rest is divided among the others.
func shares(room int64, limits []int64) []int64 {
	order := make([]int, len(limits))
	for i := range order {
		order[i] = i
	}
	limit := func(i int) int64 {
		if limits[i] <= 0 {
			return math.MaxInt64
		}
		return limits[i]
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(limit(a), limit(b)) })
	parts := make([]int64, len(limits))
	for n, i := range order {
		parts[i] = min(limit(i), room/int64(len(order)-n))
		room -= parts[i]
	}
	return parts
}
