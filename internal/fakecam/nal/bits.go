package nal

import "errors"

// ErrHeader is returned for headers that end too early or contain what this package does not read.
var ErrHeader = errors.New("the clip has a header that this camera cannot read")

// Reader reads a NAL unit without its emulation prevention bytes. Reading past the end returns
// zeros and sets Failed.
type Reader struct {
	Data   []byte
	At     int // in bits
	Failed bool
}

// U reads n bits, at most 32.
func (r *Reader) U(n int) (v uint32) {
	for range n {
		v <<= 1
		if r.At>>3 >= len(r.Data) {
			r.Failed = true
			continue
		}
		v |= uint32(r.Data[r.At>>3]>>(7-r.At&7)) & 1
		r.At++
	}
	return v
}

// UE reads an unsigned Exp-Golomb code (H.264 9.1).
func (r *Reader) UE() uint32 {
	zeros := 0
	for r.U(1) == 0 {
		if zeros++; zeros > 31 || r.Failed {
			r.Failed = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.U(zeros)
}

// SE reads a signed Exp-Golomb code (H.264 9.1.1).
func (r *Reader) SE() int32 {
	v := r.UE()
	if v&1 == 1 {
		return int32(v/2 + 1)
	}
	return -int32(v / 2)
}

// Writer writes a NAL unit without emulation prevention bytes.
type Writer struct {
	Data []byte
	left int // bits that are free in the last byte
}

// U writes the low n bits of v, at most 32.
func (w *Writer) U(v uint32, n int) {
	for n--; n >= 0; n-- {
		if w.left == 0 {
			w.Data = append(w.Data, 0)
			w.left = 8
		}
		w.left--
		w.Data[len(w.Data)-1] |= byte(v>>n&1) << w.left
	}
}

// UE writes an unsigned Exp-Golomb code.
func (w *Writer) UE(v uint32) {
	length := 0
	for rest := v + 1; rest > 1; rest >>= 1 {
		length++
	}
	w.U(0, length)
	w.U(v+1, length+1)
}

// SE writes a signed Exp-Golomb code.
func (w *Writer) SE(v int32) {
	if v > 0 {
		w.UE(uint32(2*v - 1))
		return
	}
	w.UE(uint32(-2 * v))
}

// Align fills the last byte with ones or zeros.
func (w *Writer) Align(bit uint32) {
	for w.left > 0 {
		w.U(bit, 1)
	}
}

// AppendEscaped appends a NAL unit to b, with emulation prevention: a 3 in byte sequences that look like a start code (H.264 7.4.1).
func AppendEscaped(b, nalu []byte) []byte {
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
