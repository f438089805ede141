package stamps

import (
	"bytes"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/nal"
)

// stampQP is the quantizer of the top row: one level of a block's mean is 14 grey values, the most
// that there is, and stampLevels of them lead from grey (128) to white or black. In H.264 that makes
// 240 and 16, in H.265 242 and 14.
const (
	stampQP     = 51
	stampLevels = 8
)

// Row is the top row of the pictures of a clip. The film in the binary lacks it: each slice of a
// picture was encoded as if it started at the picture's top. The camera puts a slice of its own above,
// which contains the stamp, and moves the others down by rewriting their headers, so that no encoder is
// needed. The picture below cannot depend on the row: slices are decoded without their neighbours,
// filters end at their edge, and motion does not reach it, since stampBand is grey and too tall for it.
type Row struct {
	columns int // blocks
	h265    bool
}

// RowHeader is the start of the row's slice in one picture of a clip.
type RowHeader struct {
	bytes []byte // the NAL unit up to the data of the slice, without emulation prevention
	inter bool   // the other slices of the picture are P slices, and so is this one
}

// RowWriter writes the slices of rows. It does not allocate once its buffers have grown.
type RowWriter struct {
	cabac  cabac
	raw    []byte
	nalu   []byte
	models rowModels
}

// rowModels are the contexts of the bins that rows need. Not every codec and kind of slice uses all of them.
type rowModels struct {
	skip [2]cabacContext // whether it is predicted from another picture: of the first block, of others

	// H.264
	inter      cabacContext    // mb_type of P slices: the first bin
	kind       [2]cabacContext // mb_type: whether it is I_16x16, of the first block and of others
	kindAC     cabacContext
	kindChroma cabacContext
	kindMode   [2]cabacContext // both bins of the mode of prediction
	qpDelta    cabacContext
	chromaMode cabacContext
	coded      [2]cabacContext // coded_block_flag after a block without, after one with
	significant, last,
	above1, aboveMore cabacContext

	// H.265, and chromaMode
	split, predMode, lumaMode, codedChroma, codedLuma,
	lastX, lastY, above2 cabacContext
}

// Write returns the row as a NAL unit, which is valid until the next call. Without a stamp it is grey.
func (w *RowWriter) Write(r *Row, header RowHeader, counter uint16, stamped bool) []byte {
	w.cabac.reset(append(w.raw[:0], header.bytes...))
	switch {
	case r.h265 && header.inter:
		w.models = h265ModelsP
	case r.h265:
		w.models = h265ModelsI
	case header.inter:
		w.models = h264ModelsP
	default:
		w.models = h264ModelsI
	}
	tone, coded := 0, true // a missing block counts as coded
	for i := range r.columns {
		next := 0
		if stamped {
			next = stampTone(i, counter)
		}
		level := (next - tone) * stampLevels
		if r.h265 {
			w.h265Block(level, header.inter)
		} else {
			w.h264Block(i, level, coded, header.inter)
		}
		tone, coded = next, level != 0
		w.cabac.terminate(i == r.columns-1)
	}
	w.raw = w.cabac.out
	w.nalu = nal.AppendEscaped(w.nalu[:0], w.raw)
	return w.nalu
}

// headerSplitter reads the header of a slice and writes two: the row's, and the slice's new one.
type headerSplitter struct {
	in        nal.Reader
	row, body nal.Writer
}

// u copies n bits to both headers.
func (s *headerSplitter) u(n int) uint32 {
	v := s.in.U(n)
	s.row.U(v, n)
	s.body.U(v, n)
	return v
}

// ue copies an Exp-Golomb code to both headers.
func (s *headerSplitter) ue() uint32 {
	v := s.in.UE()
	s.row.UE(v)
	s.body.UE(v)
	return v
}

// copyRest copies the rest up to the stop bit. The zeros after it are not copied, as their number may change.
func (s *headerSplitter) copyRest() {
	for s.in.At < 8*len(s.in.Data) {
		s.u(1)
	}
	s.body.Data = bytes.TrimRight(s.body.Data, "\x00")
}

// finish adds the data of the slice, which starts at a byte boundary, and returns its new NAL unit.
func (s *headerSplitter) finish(header []byte) ([]byte, error) {
	from := (s.in.At + 7) / 8
	if s.in.Failed || from > len(s.in.Data) {
		return nil, nal.ErrHeader
	}
	return nal.AppendEscaped(nil, append(append(header[:len(header):len(header)], s.body.Data...), s.in.Data[from:]...)), nil
}
