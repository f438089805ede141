package writeback

import (
	"slices"
	"sort"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise/rows"
)

const (
	// chunkSpan is how long a chunk of the cloud's media is at most.
	chunkSpan = 10 * time.Minute
	// maxChunks bounds what is known of a stream: with chunks of normal length it is more than 100 days.
	maxChunks = 20_000
)

// chunk is media in the cloud.
type chunk struct {
	rows.Chunk
	acked int64 // Unix s of its last acknowledgement
}

// book has the media of a stream that is in the cloud, by From; chunks do not overlap.
type book struct {
	chunks []chunk
	alone  []chunk // of the trickle, as long as nothing is beside it, by From
	loaded bool    // the receipts of earlier runs are in it
	late   int64   // Unix ms of the earliest fragment that was added since the last pass; 0 for none
}

// chunkOf is the chunk of one fragment.
func chunkOf(r receipt.Receipt) chunk {
	from, to := r.Producer.UnixMilli(), r.Producer.Add(r.Length).UnixMilli()
	return chunk{rows.Chunk{From: from, To: to, Fragments: 1, Longest: to - from}, r.Acked.Unix()}
}

// take takes the receipt of a fragment.
func (b *book) take(r receipt.Receipt, trickle bool) {
	if trickle {
		b.takeAlone(chunkOf(r))
		return
	}
	b.add(chunkOf(r))
}

// add adds a fragment that the service has persisted. One that is in the book changes nothing.
func (b *book) add(f chunk) {
	from, to, length := f.From, f.To, f.Longest
	i := b.behind(from)
	if i < len(b.chunks) {
		to = min(to, b.chunks[i].From)
	}
	if i > 0 {
		c := &b.chunks[i-1]
		switch {
		case to <= c.To:
			c.acked = max(c.acked, f.acked)
			return
		case joins(*c, f) && c.Fragments < rows.ChunkFragments && to-c.From <= chunkSpan.Milliseconds():
			c.To, c.Longest, c.acked = to, max(c.Longest, length), max(c.acked, f.acked)
			c.Fragments++
			return
		}
		from = max(from, c.To)
	}
	b.chunks = slices.Insert(b.chunks, i, chunk{rows.Chunk{From: from, To: to, Fragments: 1, Longest: length}, f.acked})
	if len(b.chunks) > maxChunks {
		b.chunks = slices.Delete(b.chunks, 0, len(b.chunks)-maxChunks)
	}
}

// behind returns the index of the first chunk that begins after a time.
func (b *book) behind(from int64) int {
	return sort.Search(len(b.chunks), func(i int) bool { return b.chunks[i].From > from })
}

// joins reports whether there is no gap between two chunks, of which the first begins first.
func joins(a, c chunk) bool {
	return c.From-a.To <= max(leastGap.Milliseconds(), 2*max(a.Longest, c.Longest))
}

// takeAlone adds a fragment of the trickle, which counts once there is other media beside it.
func (b *book) takeAlone(f chunk) {
	i := sort.Search(len(b.alone), func(i int) bool { return b.alone[i].From >= f.From })
	if i < len(b.alone) && b.alone[i].From == f.From {
		b.alone[i].To, b.alone[i].Longest = max(b.alone[i].To, f.To), max(b.alone[i].Longest, f.Longest)
		b.alone[i].acked = max(b.alone[i].acked, f.acked)
		return
	}
	if b.alone = slices.Insert(b.alone, i, f); len(b.alone) > maxChunks {
		b.alone = slices.Delete(b.alone, 0, 1)
	}
}

// settle takes in the fragments that have other media beside them by now, or that somebody has asked for since.
func (b *book) settle(trickle func(producer int64) bool) {
	take := func(f chunk) bool {
		i := b.behind(f.From)
		if !(i > 0 && joins(b.chunks[i-1], f) || i < len(b.chunks) && joins(f, b.chunks[i])) && trickle(f.From) {
			return false
		}
		b.add(f)
		return true
	}
	for again := true; again; { // what is taken in is beside the next
		before := len(b.alone)
		b.alone = slices.DeleteFunc(b.alone, take)
		slices.Reverse(b.alone)
		b.alone = slices.DeleteFunc(b.alone, take)
		slices.Reverse(b.alone)
		again = len(b.alone) < before && len(b.alone) > 0
	}
}

// restore adds what an earlier run wrote, as far as no receipt is left of it.
func (b *book) restore(r rows.Row) {
	from := r.Start * 1000
	i := sort.Search(len(b.chunks), func(i int) bool { return b.chunks[i].To > from })
	for from < r.End {
		to := r.End
		if i < len(b.chunks) {
			to = min(to, b.chunks[i].From)
		}
		longest := int64(0)
		if i < len(b.chunks) {
			longest = b.chunks[i].Longest
		}
		if to-from > max(leastGap.Milliseconds(), 2*longest) {
			b.chunks = slices.Insert(b.chunks, i, chunk{rows.Chunk{From: from, To: to}, to / 1000})
			i++
		}
		if i >= len(b.chunks) {
			return
		}
		from = max(from, b.chunks[i].To)
		i++
	}
}

// prune forgets what ended before, and of what the service no longer has that which no row needs: expired is before when the service
// deleted what it had acknowledged, and starts are those of the rows. A row of which a part is left keeps its start, as players ask
// Kinesis Video Streams for a row as a whole, which it answers as long as some of it is there, and refuse everything where it does not.
func (b *book) prune(before, expired int64, starts []int64) {
	b.alone = slices.DeleteFunc(b.alone, func(c chunk) bool { return c.To < before || c.acked < expired })
	left := slices.IndexFunc(b.chunks, func(c chunk) bool { return c.acked >= expired })
	if left < 0 {
		b.chunks = b.chunks[:0]
		return
	}
	keep := b.chunks[left].From
	i := sort.Search(len(starts), func(i int) bool { return starts[i]*1000 > keep })
	if i > 0 {
		keep = starts[i-1] * 1000
	}
	b.chunks = slices.DeleteFunc(b.chunks, func(c chunk) bool { return c.To < before || c.To <= keep && c.acked < expired })
}

// list copies the chunks.
func (b *book) list() []rows.Chunk {
	list := make([]rows.Chunk, 0, len(b.chunks))
	for _, c := range b.chunks {
		list = append(list, c.Chunk)
	}
	return list
}

// clip leaves out what is before a time, in Unix ms.
func clip(list []rows.Chunk, from int64) []rows.Chunk {
	list = slices.DeleteFunc(list, func(c rows.Chunk) bool { return c.To <= from })
	for i := range list {
		list[i].From = max(list[i].From, from)
	}
	return list
}
