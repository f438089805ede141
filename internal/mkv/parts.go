package mkv

import (
	"errors"
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

// gopStart is a keyframe in the open fragment, and what precedes it there.
type gopStart struct {
	offset int64         // of its block in the file; 0: there is none
	time   time.Duration // since Header.Start, whole ms
	last   time.Duration // greatest time of the blocks before it
	frames int           // of video before it
}

// Moved is the result of MoveGOP. Times are since Header.Start.
type Moved struct {
	Completed Fragment      // the fragment that ended before the GOP
	Open      Fragment      // the one with the GOP, which is open, as far as it was written
	LastAudio time.Duration // in Open; 0: it has none so far
}

// NewestGOP returns how many bytes MoveGOP adds to the file at most.
func (w *Writer) NewestGOP() int64 {
	return w.Size() - w.open.newest.offset + sumSize + ClusterHeadSize
}

// MoveGOP ends the open fragment before its newest keyframe, and moves what was written since into a fragment of its own: when it
// turns out that both are too long for one. The GOP is written again behind the file and synced before the first copy is covered with
// the head of a Void element: a crash may leave both copies, of which Recover keeps one, but not take the GOP. ok is false, and nothing
// is changed, where the fragment has one GOP only, or its first GOPs last less than least, or the file cannot be read.
func (w *Writer) MoveGOP(least time.Duration) (m Moved, ok bool, err error) {
	k := w.open.newest
	from, readable := w.file.(io.ReaderAt)
	if w.err != nil || !w.open.exists || k.offset == 0 || k.time-w.open.Start < least || !readable {
		return m, false, w.err
	}
	if err := w.Flush(); err != nil {
		return m, false, err
	}
	whole, end := w.open, w.size
	m.Completed = whole.Fragment
	m.Completed.Size, m.Completed.Last, m.Completed.Frames = k.offset-whole.Offset, k.last, k.frames
	var gop Cut
	if m.Open, m.LastAudio, err = gop.loadGOP(from, whole.Fragment, end, k); err == nil {
		m.Open.Offset, err = w.writeGOP(&gop, m.Open)
	}
	if err == nil {
		err = w.coverGOP(from, m.Completed, end)
	}
	if err != nil {
		w.err = err
		return m, false, err
	}
	w.fragments = append(w.fragments, m.Completed)
	if n := len(w.inner); n > 0 && w.inner[n-1] == (keyframe{whole.Offset, k.time}) {
		w.inner = w.inner[:n-1] // it begins a cluster now
	}
	return m, true, nil
}

// loadGOP loads the blocks from a keyframe to the end of the file, as a fragment whose times are all later than what precedes it,
// also where a camera dated the keyframe earlier. lastAudio is 0 where it has none.
func (c *Cut) loadGOP(r io.ReaderAt, f Fragment, end int64, k gopStart) (gop Fragment, lastAudio time.Duration, err error) {
	f.Size = end - f.Offset
	c.rewind(r, f)
	least := k.last.Truncate(time.Millisecond) + time.Millisecond
	start := max(k.time, least)
	gop = Fragment{Start: start, Last: start, Keyframe: true}
	for offset := k.offset; offset < end; {
		b, err := c.block(offset, f.Start.Truncate(time.Millisecond))
		if err != nil {
			return gop, 0, err
		}
		if offset = b.to; b.track == 0 {
			continue
		}
		if b.time < least {
			b.time, least = least, least+time.Millisecond
		}
		if gop.Last = max(gop.Last, b.time); b.track == 1 {
			gop.Frames++
		} else {
			lastAudio = max(lastAudio, b.time)
		}
		c.keep(b.from, b.to)
		c.patches = append(c.patches, timePatch(b, start))
	}
	return gop, lastAudio, nil
}

// writeGOP writes a GOP behind the file as the open fragment, and syncs it. It returns its offset.
func (w *Writer) writeGOP(data *Cut, gop Fragment) (offset int64, err error) {
	w.open = openFragment{}
	if err := w.BeginFragment(gop.Start, true); err != nil {
		return 0, err
	}
	for {
		from := len(w.buffer)
		w.buffer = slices.Grow(w.buffer, w.limit)
		n, err := data.Read(w.buffer[from:min(cap(w.buffer), from+w.limit)])
		w.buffer = w.buffer[:from+n]
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		ended := err != nil
		if err := w.Flush(); err != nil || ended {
			w.open.Last, w.open.Frames = gop.Last, gop.Frames
			if synced, ok := w.file.(interface{ Sync() error }); ok && err == nil {
				_ = synced.Sync() // the store puts a file in doubt of which a sync failed, and no frame is lost for it
			}
			return w.open.Offset, err
		}
	}
}

// coverGOP completes a fragment, and covers the first copy of the GOP behind it.
func (w *Writer) coverGOP(from io.ReaderAt, f Fragment, end int64) error {
	sum, err := sumOf(from, f)
	if at := f.Offset + f.Size; err == nil {
		_, err = w.file.WriteAt(voidHead(end-at), at)
	}
	if err == nil {
		err = w.complete(f, sum)
	}
	return err
}

// newestGOP returns the newest keyframe of a fragment, but for its first frame.
func newestGOP(r io.ReaderAt, f Fragment) (k gopStart, err error) {
	var c Cut
	c.rewind(r, f)
	before := gopStart{last: f.Start}
	for offset := f.Offset + ClusterHeadSize; offset < c.scan.size; {
		b, err := c.block(offset, f.Start)
		if err != nil {
			return gopStart{}, ofDisk(err) // a damaged fragment has none
		}
		if b.track == 1 && b.keyframe && before.frames > 0 {
			before.offset, before.time = b.from, b.time
			k = before
		}
		if offset, before.last = b.to, max(before.last, b.time); b.track == 1 {
			before.frames++
		}
	}
	return k, nil
}
