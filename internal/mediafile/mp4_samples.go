package mediafile

import "encoding/binary"

// sample is the position of a frame and its presentation time, in its track's ticks.
type sample struct {
	offset int64
	size   uint32
	pts    int64
}

// sampleTable iterates over the tables of a track (ISO/IEC 14496-12, 8.6 and 8.7), which are not
// converted: those of a day have millions of entries.
type sampleTable struct {
	durations, shifts, chunkRuns, sizes, chunks []byte // without their counts
	wide                                        bool   // chunks have 64 bits
	size                                        uint32 // of each sample; 0: see sizes
	count                                       uint32

	index                    uint32
	dts                      int64 // of the next sample
	durationLeft, shiftLeft  uint32
	duration                 uint32
	shift                    int32
	chunk, perChunk, inChunk uint32 // number of the open chunk from 1, samples in it, and read from it
	offset                   int64
}

// read handles one of the boxes that form the table.
func (t *sampleTable) read(kind string, data []byte) error {
	entry := 8
	var table *[]byte
	switch kind {
	case "stts":
		table = &t.durations
	case "ctts":
		table = &t.shifts
	case "stsc":
		table, entry = &t.chunkRuns, 12
	case "stco":
		table, entry = &t.chunks, 4
	case "co64":
		table, t.wide = &t.chunks, true
	case "stsz":
		c := cursor{data: data}
		c.skip(4)
		t.size, t.count = c.u32(), c.u32()
		if t.sizes = c.data; t.size == 0 {
			t.count = min(t.count, uint32(len(t.sizes)/4))
		}
		return nil
	default:
		return nil
	}
	c := cursor{data: data}
	c.skip(4)
	n := min(uint64(c.u32()), uint64(len(c.data)/entry)) // it may be truncated
	*table = c.data[:n*uint64(entry)]
	return nil
}

func (t *sampleTable) more() bool { return t.index < t.count }

func (t *sampleTable) next() (s sample, err error) {
	for t.durationLeft == 0 {
		if len(t.durations) == 0 {
			return s, broken("frames without a time")
		}
		t.durationLeft, t.duration = binary.BigEndian.Uint32(t.durations), binary.BigEndian.Uint32(t.durations[4:])
		t.durations = t.durations[8:]
	}
	for t.shiftLeft == 0 && len(t.shifts) > 0 {
		t.shiftLeft, t.shift = binary.BigEndian.Uint32(t.shifts), int32(binary.BigEndian.Uint32(t.shifts[4:]))
		t.shifts = t.shifts[8:]
	}
	if t.shiftLeft == 0 { // frames without one are shown when they are decoded
		t.shift, t.shiftLeft = 0, 1
	}
	if err := t.openChunk(); err != nil {
		return s, err
	}
	if s = (sample{offset: t.offset, size: t.size, pts: t.dts + int64(t.shift)}); s.size == 0 {
		s.size = binary.BigEndian.Uint32(t.sizes[4*t.index:])
	}
	t.offset += int64(s.size)
	t.dts += int64(t.duration)
	t.index++
	t.inChunk++
	t.durationLeft--
	t.shiftLeft--
	return s, nil
}

// openChunk opens the chunk that the next sample is in.
func (t *sampleTable) openChunk() error {
	if t.inChunk < t.perChunk {
		return nil
	}
	t.chunk++
	t.inChunk = 0
	if len(t.chunkRuns) >= 12 && binary.BigEndian.Uint32(t.chunkRuns) <= t.chunk {
		t.perChunk = binary.BigEndian.Uint32(t.chunkRuns[4:])
		t.chunkRuns = t.chunkRuns[12:]
	}
	if t.perChunk == 0 || len(t.chunks) < 4 || t.wide && len(t.chunks) < 8 {
		return broken("frames without an offset")
	}
	if t.wide {
		t.offset = int64(binary.BigEndian.Uint64(t.chunks))
		t.chunks = t.chunks[8:]
	} else {
		t.offset = int64(binary.BigEndian.Uint32(t.chunks))
		t.chunks = t.chunks[4:]
	}
	return nil
}
