package mkv

import (
	"encoding/binary"
	"io"
	"math"
	"slices"
	"time"
)

// Part is what of a fragment goes as a fragment of its own: the blocks of a span of time, beginning with
// a keyframe of track 1.
type Part struct {
	Start time.Duration // its cluster's timestamp since Header.Start, whole ms
	Last  time.Duration // greatest block time since Header.Start
	Size  int64         // of the whole element with its head, in bytes
	from  time.Duration // blocks of an earlier time belong to the part before
	until time.Duration // and those from here on to the part behind
}

// wholeOf is a fragment as one part.
func wholeOf(f Fragment) Part {
	return Part{Start: f.Start, Last: f.Last, Size: f.Size, from: math.MinInt64, until: math.MaxInt64}
}

func (p Part) has(t time.Duration) bool { return p.from <= t && t < p.until }

// Parts splits a fragment at its keyframes into as many parts as possible. Each lasts least or longer, has
// a frame of every selected track, and ends before the next begins, also in the times of frames that are
// shown before their keyframe. One part means that the fragment cannot be split.
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
		joint := min(i+1, len(starts)-1) // with the part behind it, and at the end with the one before
		starts = slices.Delete(starts, joint, joint+1)
		parts, i = partsAt(f, blocks, starts), 0
	}
	list := make([]Part, len(parts))
	for i, p := range parts {
		list[i] = p.Part
	}
	return list, nil
}

// blocksOf lists the blocks of the selected tracks.
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

// splitPoints gives the times at which parts may begin: of the keyframes of video before which no frame is
// shown later, and behind which none is shown earlier than those that come with it.
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

// splitPart is a part that is being put together.
type splitPart struct {
	Part
	seen [maxTracks + 1]bool
}

func (p splitPart) complete(s Selection) bool {
	return !slices.ContainsFunc(s.Header.Tracks, func(t Track) bool { return !p.seen[t.Number] })
}

// partsAt puts the blocks into parts with these starts.
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

// patch is a block's time in place of the one that the file has.
type patch struct {
	at   int64 // in the file
	time [2]byte
}

// timePatch makes a block's time count from start.
func timePatch(b cutBlock, start time.Duration) patch {
	p := patch{at: b.head + 1}
	binary.BigEndian.PutUint16(p.time[:], uint16(int16((b.time - start).Milliseconds())))
	return p
}

// patch puts the new times into bytes that were read of the file at offset from.
func (c *Cut) patch(data []byte, from int64) {
	end := from + int64(len(data))
	for c.patched < len(c.patches) {
		p := c.patches[c.patched]
		if p.at >= end {
			return
		}
		for i, b := range p.time {
			if at := p.at + int64(i) - from; at >= 0 && at < int64(len(data)) {
				data[at] = b
			}
		}
		if p.at+int64(len(p.time)) > end {
			return // its second byte comes with the next read
		}
		c.patched++
	}
}
