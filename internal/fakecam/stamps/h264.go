package stamps

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/nal"
)

// H264Cutter adds the row above the pictures of a clip of H.264. It reads what x264 writes
// for clip.sh; anything else in a header is an error.
type H264Cutter struct {
	row       *Row
	frameBits int // of frame_num
	pocBits   int // of pic_order_cnt_lsb, 0 for none
	initialQP int32
}

// Row returns the row above the pictures; nil before the first sequence parameter set.
func (c *H264Cutter) Row() *Row { return c.row }

// Cut returns what the camera sends instead of a NAL unit.
func (c *H264Cutter) Cut(nalu []byte) (header RowHeader, out []byte, err error) {
	switch nalu[0] & 0x1f {
	case nal.H264Slice, nal.H264IDR:
		return c.slice(nalu)
	case nal.H264SPS:
		out, err = c.sps(nalu)
		return header, out, err
	case nal.H264PPS:
		return header, nalu, c.pps(nalu)
	}
	return header, nalu, nil
}

// sps returns a sequence parameter set (7.3.2.1.1) for pictures that are taller by the row.
func (c *H264Cutter) sps(nalu []byte) ([]byte, error) {
	s := headerSplitter{in: nal.Reader{Data: nal.Unescape(nalu[1:])}}
	profile := s.u(8)
	s.u(16) // constraints, level
	s.ue()
	if profile >= 100 {
		if s.ue() != 1 || s.ue() != 0 || s.ue() != 0 || s.u(2) != 0 { // 4:2:0, 8 bits, no scaling lists
			return nil, nal.ErrHeader
		}
	}
	c.frameBits = int(s.ue()) + 4
	switch s.ue() {
	case 0:
		c.pocBits = int(s.ue()) + 4
	case 2:
		c.pocBits = 0
	default:
		return nil, nal.ErrHeader
	}
	s.ue()
	s.u(1)
	c.row = &Row{columns: int(s.ue()) + 1}
	s.body.UE(s.in.UE() + 1) // pic_height_in_map_units_minus1
	s.copyRest()
	return s.finish(nalu[:1])
}

// pps reads a picture parameter set (7.3.2.2), which is not changed.
func (c *H264Cutter) pps(nalu []byte) error {
	r := nal.Reader{Data: nal.Unescape(nalu[1:])}
	r.UE()
	r.UE()
	arithmetic, order, groups := r.U(1), r.U(1), r.UE()
	r.UE()
	r.UE()
	weighted := r.U(1)
	r.U(2)
	c.initialQP = 26 + r.SE()
	r.SE()
	r.SE()
	control, _, redundant := r.U(1), r.U(1), r.U(1)
	if r.Failed || arithmetic != 1 || order != 0 || groups != 0 || weighted != 0 || control != 1 || redundant != 0 {
		return nal.ErrHeader
	}
	return nil
}

// slice moves a slice (7.3.3) down by a row, and returns the header of the slice of the row.
func (c *H264Cutter) slice(nalu []byte) (RowHeader, []byte, error) {
	s := headerSplitter{in: nal.Reader{Data: nal.Unescape(nalu[1:])}}
	if c.row == nil || s.in.UE() != 0 { // first_mb_in_slice
		return RowHeader{}, nil, nal.ErrHeader
	}
	s.row.UE(0)
	s.body.UE(uint32(c.row.columns))
	kind := s.ue() % 5
	inter := kind == 0
	s.ue()
	s.u(c.frameBits)
	if nalu[0]&0x1f == nal.H264IDR {
		s.ue()
	}
	s.u(c.pocBits)
	if inter {
		if s.u(1) == 1 { // num_ref_idx_active_override_flag
			s.ue()
		}
		if s.u(1) == 1 { // ref_pic_list_modification_flag_l0
			for s.ue() != 3 && !s.in.Failed {
				s.ue()
			}
		}
	}
	switch {
	case nalu[0]&0x60 == 0:
	case nalu[0]&0x1f == nal.H264IDR:
		s.u(2)
	case s.u(1) != 0: // adaptive_ref_pic_marking_mode_flag
		return RowHeader{}, nil, nal.ErrHeader
	}
	if (inter && s.ue() != 0) || (!inter && kind != 2) { // cabac_init_idc, or no I slice
		return RowHeader{}, nil, nal.ErrHeader
	}
	s.body.SE(s.in.SE()) // slice_qp_delta
	s.row.SE(stampQP - c.initialQP)
	s.row.UE(1)                           // the deblocking filter is off in the row,
	if filter := s.in.UE(); filter == 1 { // and where it is on below it ends at the edge of the slice
		s.body.UE(1)
	} else {
		s.body.UE(2)
		s.body.SE(s.in.SE())
		s.body.SE(s.in.SE())
	}
	s.row.Align(1)
	s.body.Align(1)
	body, err := s.finish(nalu[:1])
	return RowHeader{append([]byte{nalu[0]}, s.row.Data...), inter}, body, err
}

// h264Block writes a macroblock of the mean that the one to its left has, plus a number of levels
// (7.3.5): I_16x16 with DC prediction, for luma and chroma, and at most one coefficient.
func (w *RowWriter) h264Block(column, level int, leftCoded, inter bool) {
	c, m := &w.cabac, &w.models
	after := min(column, 1)
	if inter {
		c.encode(&m.skip[after], 0)
		c.encode(&m.inter, 1)
		after = 0 // kinds do not depend on neighbours here
	}
	c.encode(&m.kind[after], 1)
	c.terminate(false) // no I_PCM
	c.encode(&m.kindAC, 0)
	c.encode(&m.kindChroma, 0)
	c.encode(&m.kindMode[0], 1) // mode 2, DC
	if inter {
		c.encode(&m.kindMode[0], 0)
	} else {
		c.encode(&m.kindMode[1], 0)
	}
	c.encode(&m.chromaMode, 0)
	c.encode(&m.qpDelta, 0)
	coded := &m.coded[0]
	if leftCoded {
		coded = &m.coded[1]
	}
	if level == 0 {
		c.encode(coded, 0)
		return
	}
	c.encode(coded, 1)
	c.encode(&m.significant, 1)
	c.encode(&m.last, 1)
	// coeff_abs_level_minus1 (9.3.2.3): up to 14 in unary, the rest as an Exp-Golomb code of order 0.
	more := max(level, -level) - 1
	for i := range min(more, 14) {
		if i == 0 {
			c.encode(&m.above1, 1)
		} else {
			c.encode(&m.aboveMore, 1)
		}
	}
	if more < 14 {
		c.encode(&m.aboveMore, 0)
	} else {
		c.golomb(uint32(more-14), 0)
	}
	c.sign(level)
}

// golomb writes an Exp-Golomb code of order k (H.264 9.3.2.3, H.265 9.3.3.3).
func (c *cabac) golomb(v uint32, k int) {
	for ; v >= 1<<k; k++ {
		c.bypass(1, 1)
		v -= 1 << k
	}
	c.bypass(0, 1)
	c.bypass(v, k)
}

func (c *cabac) sign(level int) {
	negative := uint32(0)
	if level < 0 {
		negative = 1
	}
	c.bypass(negative, 1)
}

// h264Context is a context with the values m and n of tables 9-12 to 9-33.
func h264Context(m, n int) cabacContext { return newContext(m*stampQP>>4 + n) }

// The contexts of I slices, and of P slices with a cabac_init_idc of 0.
var (
	h264ModelsI = rowModels{
		kind:        [2]cabacContext{h264Context(20, -15), h264Context(2, 54)},     // ctxIdx 3, 4
		kindAC:      h264Context(-28, 127),                                         // 6
		kindChroma:  h264Context(-23, 104),                                         // 7
		kindMode:    [2]cabacContext{h264Context(-1, 54), h264Context(7, 51)},      // 9, 10
		qpDelta:     h264Context(0, 41),                                            // 60
		chromaMode:  h264Context(-9, 83),                                           // 64
		coded:       [2]cabacContext{h264Context(-16, 122), h264Context(-11, 115)}, // 87, 88
		significant: h264Context(-7, 93),                                           // 105
		last:        h264Context(24, 0),                                            // 166
		above1:      h264Context(-6, 42),                                           // 228
		aboveMore:   h264Context(0, 58),                                            // 232
	}
	h264ModelsP = rowModels{
		skip:        [2]cabacContext{h264Context(23, 33), h264Context(23, 2)},    // ctxIdx 11, 12
		inter:       h264Context(1, 9),                                           // 14
		kind:        [2]cabacContext{h264Context(5, 57)},                         // 17
		kindAC:      h264Context(-13, 78),                                        // 18
		kindChroma:  h264Context(-11, 65),                                        // 19
		kindMode:    [2]cabacContext{h264Context(1, 62)},                         // 20
		qpDelta:     h264Context(0, 41),                                          // 60
		chromaMode:  h264Context(-9, 83),                                         // 64
		coded:       [2]cabacContext{h264Context(-7, 96), h264Context(-13, 108)}, // 87, 88
		significant: h264Context(-2, 85),                                         // 105
		last:        h264Context(11, 28),                                         // 166
		above1:      h264Context(-2, 44),                                         // 228
		aboveMore:   h264Context(-2, 59),                                         // 232
	}
)
