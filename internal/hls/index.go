package hls

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/seek"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// index says where the keyframes of a recording are. It is never changed.
type index struct {
	played
	points   []seek.Point // keyframes, in order
	finished bool

	// Of a recording that is being written. The last of its GOPs is not complete.
	fragments int   // so many completed ones are in done
	synced    int64 // see segment.Reader.Synced
	done      []seek.Point
}

// cached is an index, and when it was used last.
type cached struct {
	*index
	used uint64
}

// cache has the indexes of the recordings that were used last.
type cache struct {
	of    map[segment.Key]cached
	uses  uint64
	count int // of points in all of them
}

// maxPoints bounds the keyframes in a cache, of 16 bytes each: those of 6 h with a GOP a second, and as many again.
const maxPoints = 2 * 6 * 3600

func newCache() cache { return cache{of: make(map[segment.Key]cached)} }

func (c *cache) get(k segment.Key) *index {
	found, ok := c.of[k]
	if !ok {
		return nil
	}
	c.uses++
	c.of[k] = cached{found.index, c.uses}
	return found.index
}

// put adds an index, in place of those that were not used for the longest time.
func (c *cache) put(k segment.Key, x *index) {
	c.remove(k)
	for len(c.of) > 0 && c.count+len(x.points) > maxPoints {
		var oldest segment.Key
		least := uint64(0)
		for k, o := range c.of {
			if least == 0 || o.used < least {
				oldest, least = k, o.used
			}
		}
		c.remove(oldest)
	}
	c.uses++
	c.of[k] = cached{x, c.uses}
	c.count += len(x.points)
}

func (c *cache) remove(k segment.Key) {
	if o, ok := c.of[k]; ok {
		c.count -= len(o.points)
		delete(c.of, k)
	}
}

// index returns where the keyframes of a recording are. It opens the file, unless it is finished and was used lately.
func (p *Player) index(ctx context.Context, info segment.Info) (*index, error) {
	p.mu.Lock()
	before := p.indexes.get(info.Key)
	p.mu.Unlock()
	if before != nil && before.finished {
		return before, nil
	}
	r, err := p.store.OpenSegmentWhile(ctx, info.Key)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	x, err := indexOf(r, info, before)
	if err != nil || x == before {
		return x, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.indexes.put(info.Key, x)
	return x, nil
}

// indexOf makes the index of a recording, from an earlier one of it where there is one.
func indexOf(r *segment.Reader, info segment.Info, before *index) (*index, error) {
	if info.State != segment.Writing {
		points, err := seek.Cues(r, info.Bytes)
		if err == nil {
			return &index{played: playedOf(r.Header().Tracks), points: points, finished: true}, nil
		}
		if !errors.Is(err, seek.ErrNoCues) {
			return nil, err
		}
	}
	synced := r.Synced() // before the fragments, of which there may be more by then
	list, finished, err := r.Fragments()
	if err != nil {
		return nil, err
	}
	finished = finished && info.State != segment.Writing
	switch {
	case before == nil:
		before = &index{played: playedOf(r.Header().Tracks)}
	case len(list) == before.fragments && synced == before.synced && !finished:
		return before, nil
	}
	x := &index{played: before.played, finished: finished, fragments: len(list), synced: synced, done: slices.Clip(before.done)}
	for _, f := range list[min(before.fragments, len(list)):] {
		x.done = keyframes(r, f, x.done)
	}
	x.points = x.done
	if open, ok := openFragment(r, list, synced); ok && !finished {
		x.points = keyframes(r, open, slices.Clip(x.done))
	}
	return x, nil
}

// openFragment returns the fragment that is being written, as far as it is durable.
func openFragment(r *segment.Reader, list []mkv.Fragment, synced int64) (f mkv.Fragment, ok bool) {
	behind := int64(0)
	if n := len(list); n > 0 {
		behind = list[n-1].Offset + list[n-1].Size
	}
	if synced <= behind {
		return f, false
	}
	f, ok, err := seek.Cluster(r, behind, synced)
	return f, ok && err == nil
}

// keyframes adds the keyframes of a fragment to a list, from the heads of its blocks, as far as these can be read.
func keyframes(r *segment.Reader, f mkv.Fragment, list []seek.Point) []seek.Point {
	for p, err := range mkv.Places(r, f) {
		if err != nil {
			break // it is damaged, or being written: `verify` says more
		}
		if p.Track == 1 && p.Keyframe && (len(list) == 0 || p.Time > list[len(list)-1].Time) {
			list = append(list, seek.Point{Time: p.Time, Cluster: f.Offset})
		}
	}
	return list
}

// before returns the last keyframe at or before a time; the first one, if there is none.
func (x *index) before(at time.Duration) (i int) {
	i, found := slices.BinarySearchFunc(x.points, at, func(p seek.Point, at time.Duration) int { return int(p.Time - at) })
	if !found {
		i--
	}
	return max(i, 0)
}
