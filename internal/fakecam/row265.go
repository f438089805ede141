package fakecam

// h265Cutter makes room for the row above the pictures of a clip of H.265. It reads what x265 writes
// for clip.sh: coding tree blocks of 16 x 16, no tiles, no wavefronts, no weights, no lists of
// reference pictures but those in the slices. Section numbers are those of the edition of 2013.
type h265Cutter struct {
	row         *row
	addressBits int
	pocBits     int
	initialQP   int32
}

// cut returns what the camera sends in place of a NAL unit.
func (c *h265Cutter) cut(nalu []byte) (header rowHeader, out []byte, err error) {
	switch kind := nalu[0] >> 1 & 0x3f; {
	case len(nalu) < 3:
		return header, nil, errHeader
	case kind <= hevcLastVCL:
		return c.slice(nalu)
	case kind == hevcSPS:
		out, err = c.sps(nalu)
		return header, out, err
	case kind == hevcPPS:
		return header, nalu, c.pps(nalu)
	}
	return header, nalu, nil
}

// sps returns a sequence parameter set (7.3.2.2) for pictures that are taller by the row.
func (c *h265Cutter) sps(nalu []byte) ([]byte, error) {
	s := headerSplitter{in: bitReader{data: unescape(nalu[2:])}}
	if s.u(8)>>1&7 != 0 { // sps_max_sub_layers_minus1
		return nil, errHeader
	}
	for range 3 { // profile_tier_level
		s.u(32)
	}
	s.ue()
	if s.ue() != 1 { // 4:2:0
		return nil, errHeader
	}
	width, height := s.ue(), s.in.ue()+stampBlock
	s.body.ue(height)
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
	if s.in.failed || window != 0 || depth != 0 || chromaDepth != 0 || minBlock != 0 || moreBlock != 1 {
		return nil, errHeader
	}
	if minTransform != 0 || moreTransform != 2 || splits != 0 || features&^4 != 2 {
		return nil, errHeader
	}
	columns, rows := (width+stampBlock-1)/stampBlock, (height+stampBlock-1)/stampBlock
	c.row = &row{columns: int(columns), h265: true}
	for c.addressBits = 0; 1<<c.addressBits < columns*rows; c.addressBits++ {
	}
	s.copyRest()
	return s.finish(nalu[:2])
}

// pps reads a picture parameter set (7.3.2.3), which stays as it is. Of its flags it needs those that
// say what the header of a slice holds.
func (c *h265Cutter) pps(nalu []byte) error {
	r := bitReader{data: unescape(nalu[2:])}
	r.ue()
	r.ue()
	extra := r.u(5) // dependent slices, output flag, extra bits
	r.u(1)
	extra |= r.u(1) // cabac_init_present_flag
	r.ue()
	r.ue()
	c.initialQP = 26 + r.se()
	r.u(1)          // constrained_intra_pred_flag
	extra |= r.u(2) // transform_skip_enabled_flag, cu_qp_delta_enabled_flag
	r.se()
	r.se()
	extra |= r.u(1) | r.u(2) | r.u(3) // chroma offsets in slices; weights; bypass, tiles, wavefronts
	across := r.u(1)
	extra |= r.u(3) // deblocking control, scaling lists, lists_modification_present_flag
	r.ue()
	extra |= r.u(1) // slice_segment_header_extension_present_flag
	if r.failed || extra != 0 || across != 1 {
		return errHeader
	}
	return nil
}

// slice moves a slice (7.3.6.1) down by a row, and returns the header of the slice of the row.
func (c *h265Cutter) slice(nalu []byte) (rowHeader, []byte, error) {
	s := headerSplitter{in: bitReader{data: unescape(nalu[2:])}}
	if c.row == nil || s.in.u(1) != 1 { // first_slice_segment_in_pic_flag
		return rowHeader{}, nil, errHeader
	}
	s.row.u(1, 1)
	s.body.u(0, 1)
	kind := nalu[0] >> 1 & 0x3f
	if kind >= hevcIRAP {
		s.u(1)
	}
	s.ue()
	s.body.u(uint32(c.row.columns), c.addressBits) // slice_segment_address
	sliceType := s.ue()
	inter := sliceType == 1
	if s.in.failed || !inter && sliceType != 2 {
		return rowHeader{}, nil, errHeader
	}
	motion := kind != hevcIDR && kind != hevcIDRNoLeading && c.references(&s)
	offset := s.in.u(2) // slice_sao_luma_flag, slice_sao_chroma_flag
	s.body.u(offset, 2)
	s.row.u(0, 2)
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
	s.body.se(s.in.se()) // slice_qp_delta
	s.row.se(stampQP - c.initialQP)
	s.in.u(1) // slice_loop_filter_across_slices_enabled_flag: off, in both
	s.body.u(0, 1)
	s.row.u(0, 1)
	// byte_alignment: a one and zeros
	s.in.u(1)
	s.body.u(1, 1)
	s.row.u(1, 1)
	s.body.align(0)
	s.row.align(0)
	body, err := s.finish(nalu[:2])
	return rowHeader{append([]byte{nalu[0], nalu[1]}, s.row.data...), inter}, body, err
}

// references copies which pictures are kept for reference, and says whether motion is predicted from theirs.
func (c *h265Cutter) references(s *headerSplitter) (motion bool) {
	s.u(c.pocBits)
	if s.u(1) != 0 { // short_term_ref_pic_set_sps_flag
		s.in.failed = true
	}
	for range min(s.ue()+s.ue(), 16) { // those before and those after
		s.ue()
		s.u(1)
	}
	return s.u(1) == 1
}

// h265Block writes a coding tree block of the mean that the one to its left has, plus a number of
// levels (7.3.8): one coding unit with planar prediction, which copies a left edge of one value, for
// luma and chroma, and at most one coefficient.
func (w *rowWriter) h265Block(level int, inter bool) {
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
