package stamps

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/nal"
)

// H265Cutter adds the row above the pictures of a clip of H.265. It reads what x265 writes
// for clip.sh: coding tree blocks of 16 x 16, no tiles, no wavefronts, no weights, no lists of
// reference pictures except those in slices. Section numbers are those of the edition of 2013.
type H265Cutter struct {
	row         *Row
	addressBits int
	pocBits     int
	initialQP   int32
}

// Row returns the row above the pictures; nil before the first sequence parameter set.
func (c *H265Cutter) Row() *Row { return c.row }

// Cut returns what the camera sends instead of a NAL unit.
func (c *H265Cutter) Cut(nalu []byte) (header RowHeader, out []byte, err error) {
	switch kind := nalu[0] >> 1 & 0x3f; {
	case len(nalu) < 3:
		return header, nil, nal.ErrHeader
	case kind <= nal.H265LastVCL:
		return c.slice(nalu)
	case kind == nal.H265SPS:
		out, err = c.sps(nalu)
		return header, out, err
	case kind == nal.H265PPS:
		return header, nalu, c.pps(nalu)
	}
	return header, nalu, nil
}

// sps returns a sequence parameter set (7.3.2.2) for pictures that are taller by the row.
func (c *H265Cutter) sps(nalu []byte) ([]byte, error) {
	s := headerSplitter{in: nal.Reader{Data: nal.Unescape(nalu[2:])}}
	if s.u(8)>>1&7 != 0 { // sps_max_sub_layers_minus1
		return nil, nal.ErrHeader
	}
	for range 3 { // profile_tier_level
		s.u(32)
	}
	s.ue()
	if s.ue() != 1 { // 4:2:0
		return nil, nal.ErrHeader
	}
	width, height := s.ue(), s.in.UE()+Block
	s.body.UE(height)
	window := s.u(1)
	depth, chromaDepth := s.ue(), s.ue()
	c.pocBits = int(s.ue()) + 4
	s.u(1)
	for range 3 { // sizes of the buffer, of the only sub-layer
		s.ue()
	}
	minBlock, moreBlock := s.ue(), s.ue()
	minTransform, moreTransform := s.ue(), s.ue()
	s.ue()
	splits := s.ue()   // max_transform_hierarchy_depth_intra
	features := s.u(4) // scaling lists, asymmetric partitions, adaptive offset, PCM
	if s.in.Failed || window != 0 || depth != 0 || chromaDepth != 0 || minBlock != 0 || moreBlock != 1 {
		return nil, nal.ErrHeader
	}
	if minTransform != 0 || moreTransform != 2 || splits != 0 || features&^4 != 2 {
		return nil, nal.ErrHeader
	}
	columns, rows := (width+Block-1)/Block, (height+Block-1)/Block
	c.row = &Row{columns: int(columns), h265: true}
	for c.addressBits = 0; 1<<c.addressBits < columns*rows; c.addressBits++ {
	}
	s.copyRest()
	return s.finish(nalu[:2])
}

// pps reads a picture parameter set (7.3.2.3), which is not changed. It needs the flags that
// determine the contents of a slice header.
func (c *H265Cutter) pps(nalu []byte) error {
	r := nal.Reader{Data: nal.Unescape(nalu[2:])}
	r.UE()
	r.UE()
	extra := r.U(5) // dependent slices, output flag, extra bits
	r.U(1)
	extra |= r.U(1) // cabac_init_present_flag
	r.UE()
	r.UE()
	c.initialQP = 26 + r.SE()
	r.U(1)          // constrained_intra_pred_flag
	extra |= r.U(2) // transform_skip_enabled_flag, cu_qp_delta_enabled_flag
	r.SE()
	r.SE()
	extra |= r.U(1) | r.U(2) | r.U(3) // chroma offsets in slices; weights; bypass, tiles, wavefronts
	across := r.U(1)
	extra |= r.U(3) // deblocking control, scaling lists, lists_modification_present_flag
	r.UE()
	extra |= r.U(1) // slice_segment_header_extension_present_flag
	if r.Failed || extra != 0 || across != 1 {
		return nal.ErrHeader
	}
	return nil
}

// slice moves a slice (7.3.6.1) down by a row, and returns the header of the slice of the row.
func (c *H265Cutter) slice(nalu []byte) (RowHeader, []byte, error) {
	s := headerSplitter{in: nal.Reader{Data: nal.Unescape(nalu[2:])}}
	if c.row == nil || s.in.U(1) != 1 { // first_slice_segment_in_pic_flag
		return RowHeader{}, nil, nal.ErrHeader
	}
	s.row.U(1, 1)
	s.body.U(0, 1)
	kind := nalu[0] >> 1 & 0x3f
	if kind >= nal.H265IRAP {
		s.u(1)
	}
	s.ue()
	s.body.U(uint32(c.row.columns), c.addressBits) // slice_segment_address
	sliceType := s.ue()
	inter := sliceType == 1
	if s.in.Failed || !inter && sliceType != 2 {
		return RowHeader{}, nil, nal.ErrHeader
	}
	motion := kind != nal.H265IDR && kind != nal.H265IDRNoLeading && c.references(&s)
	offset := s.in.U(2) // slice_sao_luma_flag, slice_sao_chroma_flag
	s.body.U(offset, 2)
	s.row.U(0, 2)
	if inter {
		several := false
		if s.u(1) == 1 {
			several = s.ue() > 0
		}
		if motion && several {
			s.ue() // collocated_ref_idx
		}
		s.ue() // five_minus_max_num_merge_cand
	}
	s.body.SE(s.in.SE()) // slice_qp_delta
	s.row.SE(stampQP - c.initialQP)
	s.in.U(1) // slice_loop_filter_across_slices_enabled_flag: off, in both
	s.body.U(0, 1)
	s.row.U(0, 1)
	// byte_alignment: a one and zeros
	s.in.U(1)
	s.body.U(1, 1)
	s.row.U(1, 1)
	s.body.Align(0)
	s.row.Align(0)
	body, err := s.finish(nalu[:2])
	return RowHeader{append([]byte{nalu[0], nalu[1]}, s.row.Data...), inter}, body, err
}

// references copies which pictures are kept for reference, and reports whether motion is predicted from theirs.
func (c *H265Cutter) references(s *headerSplitter) (motion bool) {
	s.u(c.pocBits)
	if s.u(1) != 0 { // short_term_ref_pic_set_sps_flag
		s.in.Failed = true
	}
	for range min(s.ue()+s.ue(), 16) { // earlier ones and later ones
		s.ue()
		s.u(1)
	}
	return s.u(1) == 1
}

// h265Block writes a coding tree block of the mean that the one to its left has, plus a number of
// levels (7.3.8): one coding unit with planar prediction, which copies a left edge of one value, for
// luma and chroma, and at most one coefficient.
func (w *RowWriter) h265Block(level int, inter bool) {
	c, m := &w.cabac, &w.models
	c.encode(&m.split, 0)
	if inter {
		c.encode(&m.skip[0], 0)
		c.encode(&m.predMode, 1)
	}
	c.encode(&m.lumaMode, 1)
	c.bypass(0, 1) // mpm_idx: planar is the first candidate after planar, DC and nothing
	c.encode(&m.chromaMode, 0)
	c.encode(&m.codedChroma, 0)
	c.encode(&m.codedChroma, 0)
	if level == 0 {
		c.encode(&m.codedLuma, 0)
		return
	}
	c.encode(&m.codedLuma, 1)
	c.encode(&m.lastX, 0)
	c.encode(&m.lastY, 0)
	c.encode(&m.above1, 1)
	c.encode(&m.above2, 1)
	c.sign(level)
	// coeff_abs_level_remaining (9.3.3.9): up to 4 in unary, the rest as an Exp-Golomb code of order 1.
	rest := uint32(max(level, -level) - 3)
	c.bypass(0xf, 4)
	c.golomb(rest-4, 1)
}

// h265Context is a context with the initValue of tables 9-5 to 9-37.
func h265Context(value int) cabacContext {
	slope, offset := (value>>4)*5-45, (value&15)<<3-16
	return newContext(slope*stampQP>>4 + offset)
}

// The contexts of I slices (initType 0) and of P slices (1).
var (
	h265ModelsI = rowModels{
		split: h265Context(139), lumaMode: h265Context(184), chromaMode: h265Context(63),
		codedChroma: h265Context(94), codedLuma: h265Context(141),
		lastX: h265Context(125), lastY: h265Context(125), above1: h265Context(92), above2: h265Context(138),
	}
	h265ModelsP = rowModels{
		split: h265Context(107), lumaMode: h265Context(154), chromaMode: h265Context(152),
		codedChroma: h265Context(149), codedLuma: h265Context(111),
		lastX: h265Context(125), lastY: h265Context(125), above1: h265Context(196), above2: h265Context(107),
		skip: [2]cabacContext{h265Context(197)}, predMode: h265Context(149),
	}
)
