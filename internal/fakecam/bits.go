package fakecam

import "errors"

// errHeader is returned for headers that end too early or hold what this package does not read.
var errHeader = errors.New("the clip has a header that this camera cannot read")

// bitReader reads a NAL unit without its emulation prevention bytes. Reading past the end returns
// zeros and sets failed.
type bitReader struct {
	data   []byte
	at     int // in bits
	failed bool
}

// u reads n bits, at most 32.
func (r *bitReader) u(n int) (v uint32) {
	for range n {
		v <<= 1
		if r.at>>3 >= len(r.data) {
			r.failed = true
			continue
		}
		v |= uint32(r.data[r.at>>3]>>(7-r.at&7)) & 1
		r.at++
	}
	return v
}

// ue reads an unsigned Exp-Golomb code (H.264 9.1).
func (r *bitReader) ue() uint32 {
	zeros := 0
	for r.u(1) == 0 {
		if zeros++; zeros > 31 || r.failed {
			r.failed = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.u(zeros)
}

// se reads a signed Exp-Golomb code (H.264 9.1.1).
func (r *bitReader) se() int32 {
	v := r.ue()
	if v&1 == 1 {
		return int32(v/2 + 1)
	}
	return -int32(v / 2)
}

// bitWriter writes a NAL unit without emulation prevention bytes.
type bitWriter struct {
	data []byte
	left int // bits that are free in the last byte
}

// u writes the low n bits of v, at most 32.
func (w *bitWriter) u(v uint32, n int) {
	for n--; n >= 0; n-- {
		if w.left == 0 {
			w.data = append(w.data, 0)
			w.left = 8
		}
		w.left--
		w.data[len(w.data)-1] |= byte(v>>n&1) << w.left
	}
}

// ue writes an unsigned Exp-Golomb code.
func (w *bitWriter) ue(v uint32) {
	length := 0
	for rest := v + 1; rest > 1; rest >>= 1 {
		length++
	}
	w.u(0, length)
	w.u(v+1, length+1)
}

// se writes a signed Exp-Golomb code.
func (w *bitWriter) se(v int32) {
	if v > 0 {
		w.ue(uint32(2*v - 1))
		return
	}
	w.ue(uint32(-2 * v))
}

// align fills the last byte with ones or zeros.
func (w *bitWriter) align(bit uint32) {
	for w.left > 0 {
		w.u(bit, 1)
	}
}

// appendEscaped adds a NAL unit to b: three bytes that look like a start code are kept apart by a 3 (H.264 7.4.1).
func appendEscaped(b, nalu []byte) []byte {
	zeros := 0
	for _, v := range nalu {
		if zeros == 2 && v <= 3 {
			b = append(b, 3)
			zeros = 0
		}
		b = append(b, v)
		if v == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return b
}
