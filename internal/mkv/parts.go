package mkv

import (
	"io"
	"math"
	"slices"
	"time"
)

// Parts splits a fragment at its keyframes into as many parts as possible. Each lasts at least least, has a frame of every
// selected track, and ends before the next begins, also in the times of frames that are presented before their keyframe. One
// part means that the fragment cannot be split.
func Parts(r io.ReaderAt, f Fragment, s Selection, least time.Duration) ([]Part, error) {
	blocks, err := blocksOf(r, f, s)
	if err != nil {
		return nil, err
	}
	// A frame lasts as long as frames of the fragment do.
	end := f.Last
	if f.Frames > 1 {
		end += (f.Last - f.Start) / time.Duration(f.Frames-1)
	}
	starts := []time.Duration{f.Start}
	for _, at := range splitPoints(blocks) {
		if at-starts[len(starts)-1] >= least && end-at >= least {
			starts = append(starts, at)
		}
	}
	parts := partsAt(f, blocks, starts)
	for i := 0; len(parts) > 1 && i < len(parts); {
		if parts[i].complete(s) {
			i++
			continue
		}
		joint := min(i+1, len(starts)-1) // with the next part, and at the end with the previous one
		starts = slices.Delete(starts, joint, joint+1)
		parts, i = partsAt(f, blocks, starts), 0
	}
	list := make([]Part, len(parts))
	for i, p := range parts {
		list[i] = p.Part
	}
	return list, nil
}

// blocksOf returns the blocks of the selected tracks.
func blocksOf(r io.ReaderAt, f Fragment, s Selection) ([]cutBlock, error) {
	var c Cut
	var list []cutBlock
	c.rewind(r, f)
	for offset := f.Offset + ClusterHeadSize; offset < c.scan.size; {
		b, err := c.block(offset, f.Start)
		if err != nil {
			return nil, err
		}
		if s.kept[b.track] {
			list = append(list, b)
		}
		offset = b.to
	}
	return list, nil
}

// splitPoints returns the times at which parts may begin: of the keyframes of video such that no earlier frame is presented
// later, and no later frame earlier, except those that belong to the keyframe.
func splitPoints(blocks []cutBlock) []time.Duration {
	earliest := make([]time.Duration, len(blocks)+1) // of video from there on
	earliest[len(blocks)] = math.MaxInt64
	for i := len(blocks) - 1; i >= 0; i-- {
		earliest[i] = earliest[i+1]
		if blocks[i].track == 1 {
			earliest[i] = min(earliest[i], blocks[i].time)
		}
	}
	var points []time.Duration
	latest := time.Duration(math.MinInt64) // of video so far
	for i, b := range blocks {
		if b.track != 1 {
			continue
		}
		if b.keyframe && latest > math.MinInt64 && latest < earliest[i] {
			points = append(points, earliest[i])
		}
		latest = max(latest, b.time)
	}
	return points
}

// splitPart is a part under construction.
type splitPart struct {
	Part
	seen [maxTracks + 1]bool
}

func (p splitPart) complete(s Selection) bool {
	return !slices.ContainsFunc(s.Header.Tracks, func(t Track) bool { return !p.seen[t.Number] })
}

// partsAt distributes the blocks to parts with these starts.
func partsAt(f Fragment, blocks []cutBlock, starts []time.Duration) []splitPart {
	parts := make([]splitPart, len(starts))
	for i, at := range starts {
		p := &parts[i]
		p.Part = Part{Start: at, Last: at, Size: ClusterHeadSize, from: at, until: math.MaxInt64}
		if i > 0 {
			parts[i-1].until = at
		}
	}
	parts[0].from = math.MinInt64
	for _, b := range blocks {
		i := len(parts) - 1
		for !parts[i].has(b.time) {
			i--
		}
		p := &parts[i]
		p.Last, p.Size = max(p.Last, b.time), p.Size+b.to-b.from
		p.seen[b.track] = true
	}
	return parts
}
