package mpegts

import "encoding/binary"

const (
	pesFixed = 6 // bytes up to the length
	pesFlags = 9 // up to the length of the header, of those that have one
)

// pesHeader reads the header of a PES packet (2.4.3.6), which may be split across packets.
type pesHeader struct {
	data      []byte
	whole     bool
	broken    bool
	pts, dts  int64
	timed     bool
	scrambled bool
	left      int // bytes of the PES packet to follow; -1: its length is not given
}

// begin starts another one.
func (h *pesHeader) begin() { *h = pesHeader{data: h.data[:0]} }

// take reads the next bytes of the PES packet, and returns those after the header; ok is false while it is incomplete, or invalid.
func (h *pesHeader) take(data []byte) (body []byte, ok bool) {
	for !h.whole && !h.broken {
		want := h.want()
		if n := min(want-len(h.data), len(data)); n > 0 {
			h.data, data = append(h.data, data[:n]...), data[n:]
		}
		if len(h.data) < want {
			return nil, false
		}
		if h.want() == want {
			h.parse()
		}
	}
	if h.left >= 0 {
		h.left = max(h.left-len(data), 0)
	}
	return data, h.whole
}

// want is how many bytes the header has, as far as known.
func (h *pesHeader) want() int {
	switch {
	case len(h.data) < pesFixed:
		return pesFixed
	case !hasHeader(h.data[3]):
		return pesFixed
	case len(h.data) < pesFlags:
		return pesFlags
	}
	return pesFlags + int(h.data[8])
}

// hasHeader is false for the identifiers of tables, padding and similar data.
func hasHeader(id byte) bool {
	switch id {
	case 0xBC, 0xBE, 0xBF, 0xF0, 0xF1, 0xF2, 0xF8, 0xFF:
		return false
	}
	return true
}

func (h *pesHeader) parse() {
	d := h.data
	if d[0] != 0 || d[1] != 0 || d[2] != 1 {
		h.broken = true
		return
	}
	h.whole, h.left = true, -1
	size := int(binary.BigEndian.Uint16(d[4:]))
	if size > 0 {
		h.left = max(size-(len(d)-pesFixed), 0)
	}
	if len(d) < pesFlags {
		return
	}
	h.scrambled = d[6]&0xF0 == 0xB0 || d[6]&0xF0 == 0xA0 || d[6]&0xF0 == 0x90
	const hasPTS, hasDTS = 0x80, 0x40
	if d[7]&hasPTS != 0 && len(d) >= pesFlags+5 {
		h.pts, h.timed = timeOf(d[9:]), true
		if h.dts = h.pts; d[7]&hasDTS != 0 && len(d) >= pesFlags+10 {
			h.dts = timeOf(d[14:])
		}
	}
}

// timeOf reads a time of 33 bits.
func timeOf(b []byte) int64 {
	return int64(b[0]&0x0E)<<29 | int64(b[1])<<22 | int64(b[2]&0xFE)<<14 | int64(b[3])<<7 | int64(b[4])>>1
}

// maxTime is the last time before times wrap.
const maxTime = 1<<33 - 1

// TimeStep returns the distance from one time to another, which may have wrapped.
func TimeStep(from, to int64) int64 { return (to - from) << 31 >> 31 }
