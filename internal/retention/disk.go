package retention

import (
	"cmp"
	"context"
	"iter"
	"math"
	"slices"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// guardDisk keeps MinFree of the disk, at the cost of all streams, fairly.
func (k *Keeper) guardDisk(ctx context.Context, streams []string) {
	part := k.o.Health.Part("", health.JobRetention)
	var g *giving
	for ctx.Err() == nil {
		free, total, err := k.o.Store.DiskFree()
		if err != nil { // not knowing is no reason to delete
			if fault := health.FaultOf(err, segment.CodeDisk); part.Report(health.ScopeDisk, health.Degraded, fault) {
				k.o.Log.Error("cannot watch the disk", zap.Error(fault), zap.NamedError("cause", fault.Err))
			}
			return
		}
		part.OK(health.ScopeDisk)
		need := k.o.MinFree(total)
		if free >= need {
			for _, stream := range streams {
				k.resume(stream, codeLow)
			}
			part.OK(pauseScope(codeLow))
			return
		}
		if g == nil {
			g = k.newGiving(streams, int64(min(need-free, math.MaxInt64)), k.held,
				func(s segment.Info) outcome { return k.delete(s, "the disk runs low") })
			defer g.stop()
		}
		switch g.one() {
		case gone:
		case diskFails:
			return // said already
		default:
			why := health.SystemFault(codeLow, nil,
				"The disk has %d MB left, %d MB must stay free, and nothing may be deleted: free some space, or lower the streams' limits.", free>>20, need>>20)
			part.Report(pauseScope(codeLow), health.Failed, why)
			for _, stream := range streams {
				k.pause(stream, why)
			}
			return
		}
	}
}

// giving is the deletion of segments for the sake of the disk, in one pass; or what it would be.
type giving struct {
	held    func(stream string) int64
	delete  func(segment.Info) outcome
	streams []giver
}

// giver is a stream that may have to give.
type giver struct {
	name  string
	share int64
	next  [2]func() (segment.Info, bool) // by deletionOrder; nil when there is no more
	stop  []func()
}

// newGiving works out each stream's share of what all may hold when the disk has need bytes more.
func (k *Keeper) newGiving(streams []string, need int64, held func(string) int64, del func(segment.Info) outcome) *giving {
	g := &giving{held: held, delete: del}
	room := -need
	limits := make([]int64, len(streams))
	for i, name := range streams {
		room += held(name)
		limits[i] = k.policy(name).MaxBytes
	}
	shares := shares(max(room, 0), limits)
	for i, name := range streams {
		s := giver{name: name, share: shares[i]}
		for order, which := range deletionOrder {
			if which == segment.NotUploaded && k.policy(name).OnFull == DenyNew {
				continue // a stream that denies new media is never robbed of what is not uploaded
			}
			next, stop := iter.Pull(k.o.Store.Walk(name, which))
			s.next[order], s.stop = next, append(s.stop, stop)
		}
		g.streams = append(g.streams, s)
	}
	return g
}

// held is how much there is of a stream.
func (k *Keeper) held(stream string) int64 { return k.o.Store.Usage(stream).Bytes }

func (g *giving) stop() {
	for _, s := range g.streams {
		for _, stop := range s.stop {
			stop()
		}
	}
}

// one deletes one segment: an uploaded one as long as any stream has one, since nothing is lost
// with it; and of the stream that holds the most beyond its share. It gives inUse when there is none.
func (g *giving) one() outcome {
	for order := range deletionOrder {
		for {
			s := g.most(order)
			if s == nil {
				break
			}
			info, ok := s.next[order]()
			if !ok {
				s.next[order] = nil
				continue
			}
			if result := g.delete(info); result != inUse {
				return result
			}
		}
	}
	return inUse
}

// most gives the stream that holds the most beyond its share, of those that may have something to
// give.
func (g *giving) most(order int) *giver {
	var most *giver
	var beyond int64
	for i := range g.streams {
		s := &g.streams[i]
		if s.next[order] == nil {
			continue
		}
		if b := g.held(s.name) - s.share; most == nil || b > beyond {
			most, beyond = s, b
		}
	}
	return most
}

// shares divides room evenly; nobody gets more than its limit (0: none), and what it leaves is
// for the others.
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
