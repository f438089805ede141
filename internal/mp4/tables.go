package mp4

import "math"

// The tables of a track's samples, each with one row for a sample, a run of samples or a chunk (14496-12, 8.6 to 8.8). They are computed
// from the chunks in order, once to count their entries and once to write them, so that none is held in memory.

// table computes the entries of a table and passes them to put.
type table interface {
	add(offset uint64, samples []Sample)
	end()
}

// row is an entry, of which a table uses the first numbers.
type row [3]uint32

type put func(row)

// tableKind is a kind of table.
type tableKind struct {
	kind  string
	entry int // bytes
	open  func(put) table
}

var tableKinds = []tableKind{
	{"stts", 8, func(p put) table { return &durations{runs: runs{put: p}} }},
	{"ctts", 8, func(p put) table { return &presentations{runs{put: p}} }},
	{"stsc", 12, func(p put) table { return &chunkLengths{put: p} }},
	{"stsz", 4, func(p put) table { return &sizes{p} }},
	{"stss", 4, func(p put) table { return &syncs{put: p} }},
	{"stco", 4, func(p put) table { return &offsets{put: p} }},
	{"co64", 8, func(p put) table { return &offsets{put: p, wide: true} }},
}

// runs joins equal values.
type runs struct {
	put          put
	count, value uint32
}

func (r *runs) add(value uint32) {
	if r.count > 0 && value == r.value {
		r.count++
		return
	}
	r.end()
	r.count, r.value = 1, value
}

func (r *runs) end() {
	if r.count > 0 {
		r.put(row{r.count, r.value})
	}
}

// durations: a sample lasts until the next one, however long nothing was recorded.
type durations struct {
	runs
	last    Sample
	pending bool
}

func (d *durations) add(_ uint64, samples []Sample) {
	for _, s := range samples {
		if d.pending {
			d.runs.add(uint32(min(s.Time-min(s.Time, d.last.Time), math.MaxUint32)))
		}
		d.last, d.pending = s, true
	}
}

func (d *durations) end() {
	if d.pending {
		d.runs.add(d.last.Duration)
	}
	d.runs.end()
}

type presentations struct{ runs }

func (p *presentations) add(_ uint64, samples []Sample) {
	for _, s := range samples {
		p.runs.add(uint32(s.Offset))
	}
}

type chunkLengths struct {
	put    put
	chunks uint32
	length int
}

func (c *chunkLengths) add(_ uint64, samples []Sample) {
	const description = 1
	if c.chunks++; len(samples) != c.length {
		c.length = len(samples)
		c.put(row{c.chunks, uint32(c.length), description})
	}
}

func (*chunkLengths) end() {}

type sizes struct{ put put }

func (z *sizes) add(_ uint64, samples []Sample) {
	for _, s := range samples {
		z.put(row{s.Size})
	}
}

func (*sizes) end() {}

type syncs struct {
	put    put
	number uint32
}

func (y *syncs) add(_ uint64, samples []Sample) {
	for _, s := range samples {
		if y.number++; s.Sync {
			y.put(row{y.number})
		}
	}
}

func (*syncs) end() {}

type offsets struct {
	put  put
	wide bool
}

func (o *offsets) add(offset uint64, _ []Sample) {
	if o.wide {
		o.put(row{uint32(offset >> 32), uint32(offset)})
		return
	}
	o.put(row{uint32(offset)})
}

func (*offsets) end() {}

// count has the number of entries in each of tableKinds, and everything else that the index says of a track's samples.
type count struct {
	tables   []table
	entries  []uint32
	samples  uint32
	first    uint64 // time of the first sample
	last     Sample
	reorders bool // presentation differs from decoding
	negative bool // some are presented before they are decoded
	others   bool // not all are sync samples
}

func newCount() *count {
	c := &count{entries: make([]uint32, len(tableKinds))}
	for i, k := range tableKinds {
		c.tables = append(c.tables, k.open(func(row) { c.entries[i]++ }))
	}
	return c
}

func (c *count) add(offset uint64, samples []Sample) {
	for _, t := range c.tables {
		t.add(offset, samples)
	}
	for _, s := range samples {
		if c.samples == 0 {
			c.first = s.Time
		}
		c.samples++
		c.reorders = c.reorders || s.Offset != 0
		c.negative = c.negative || s.Offset < 0
		c.others = c.others || !s.Sync
		c.last = s
	}
}

func (c *count) end() {
	for _, t := range c.tables {
		t.end()
	}
	c.tables = nil
}

// duration is that of all samples, with the times between them.
func (c *count) duration() uint64 { return c.last.Time + uint64(c.last.Duration) - c.first }

// needed reports whether a file has a table; wide: offsets take more than 32 bits.
func (c *count) needed(k tableKind, wide bool) bool {
	switch k.kind {
	case "ctts":
		return c.reorders
	case "stss":
		return c.others
	case "stco":
		return !wide
	case "co64":
		return wide
	}
	return true
}

// version returns the version of a table: only one of them has negative numbers, and older readers know the other.
func (c *count) version(k tableKind) byte {
	if k.kind == "ctts" && c.negative {
		return 1
	}
	return 0
}

// size is that of the tables of a file, in bytes.
func (c *count) size(wide bool) (n int64) {
	for i, k := range tableKinds {
		if c.needed(k, wide) {
			n += k.size(c.entries[i])
		}
	}
	return n
}

// size is that of the table, in bytes.
func (k tableKind) size(entries uint32) int64 {
	size := tableHead + int64(k.entry)*int64(entries)
	if k.kind == "stsz" {
		size += 4 // the size of all samples
	}
	return size
}

// IndexSize computes how long the index of a file will be, from its fragments.
type IndexSize struct{ tracks map[uint32]*count }

// Add adds the chunks of a fragment.
func (x *IndexSize) Add(chunks []Chunk) {
	if x.tracks == nil {
		x.tracks = make(map[uint32]*count)
	}
	for _, c := range chunks {
		if x.tracks[c.Track.ID] == nil {
			x.tracks[c.Track.ID] = newCount()
		}
		x.tracks[c.Track.ID].add(0, c.Samples)
	}
}

// slackBytes is for what may become longer while a file is written: a time without media is an entry more.
const slackBytes = 4 << 10

// Bytes returns the most that the index of the movie will have, in bytes.
func (x *IndexSize) Bytes(m Movie) int64 {
	n := int64(len(AppendHeader(nil, m))) + slackBytes
	for _, c := range x.tracks {
		c.end()
		n += editSize + c.size(true)
	}
	return n
}
