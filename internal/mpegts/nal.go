package mpegts

// nalKind is the role of a NAL unit in splitting access units.
type nalKind uint8

const (
	nalOther      nalKind = iota
	nalBefore             // only allowed before the picture of its access unit
	nalFirstSlice         // the first of a picture
	nalSlice
)

// nalKindOf classifies a NAL unit by its first three bytes.
func nalKindOf(codec string, nal []byte) nalKind {
	if codec == H265 {
		return h265Kind(nal)
	}
	return h264Kind(nal)
}

// h264Kind follows H.264, 7.4.1.2.3.
func h264Kind(nal []byte) nalKind {
	const firstMacroblock = 0x80 // first_mb_in_slice is 0
	switch t := nal[0] & 0x1F; {
	case t == 1, t == 2, t == 5:
		if nal[1]&firstMacroblock != 0 {
			return nalFirstSlice
		}
		return nalSlice
	case t >= 6 && t <= 9, t >= 14 && t <= 18:
		return nalBefore
	}
	return nalOther
}

// h265Kind follows H.265, 7.4.2.4.4. NAL units of a higher layer belong to the previous picture.
func h265Kind(nal []byte) nalKind {
	const firstSegment = 0x80 // first_slice_segment_in_pic_flag
	layer := nal[0]&1<<5 | nal[1]>>3
	switch t := nal[0] >> 1 & 0x3F; {
	case layer > 0:
		return nalOther
	case t < 32 && nal[2]&firstSegment != 0:
		return nalFirstSlice
	case t < 32:
		return nalSlice
	case t <= 35, t == 39, t >= 41 && t <= 44, t >= 48 && t <= 55:
		return nalBefore
	}
	return nalOther
}
