package accessunit

// H265 is the codec H.265.
var H265 Codec = h265Codec{}

type h265Codec struct{}

// NAL unit types (H.265, table 7-1), and those of RTP (RFC 7798, section 4.4).
const (
	h265BLA       = 16 // the first of three
	h265IDR       = 19 // the first of two
	h265CRA       = 21
	h265LastIRAP  = 23
	h265LastVCL   = 31
	h265VPS       = 32
	h265SPS       = 33
	h265PPS       = 34
	h265Delimiter = 35
	h265PrefixSEI = 39
	h265SuffixSEI = 40
	h265Prefix    = 41 // reserved, up to 44
	h265Suffix    = 45 // reserved, up to 47
	rtpAP         = 48
	rtpFU         = 49
)

func h265Type(nal []byte) byte { return nal[0] >> 1 & 0x3F }

func (h265Codec) HeaderSize() int { return 2 }

func (h265Codec) Kind(nal []byte) NALKind {
	if nal[0]&nalForbidden != 0 || nal[1]&7 == 0 { // nuh_temporal_id_plus1 is never 0
		return nalMalformed
	}
	switch t := h265Type(nal); {
	case t >= h265IDR && t < h265CRA:
		return nalIDR
	case t >= h265BLA && t <= h265LastIRAP:
		return nalOpen
	case t <= h265LastVCL:
		return nalSlice
	case t <= h265PPS:
		return nalSet
	case t == h265Delimiter:
		return nalDelimiter
	case t == h265PrefixSEI:
		if hasRecoveryPoint(nal[2:]) {
			return nalRecovery
		}
		return nalPrefix
	case t >= h265Prefix && t < h265Suffix:
		return nalPrefix
	case t < rtpAP:
		return nalSuffix
	}
	return nalMalformed
}

// firstSlice reads first_slice_segment_in_pic_flag (H.265, 7.3.6.1).
func (h265Codec) FirstSlice(nal []byte) bool { return nal[2]&0x80 != 0 }

func (h265Codec) Packing(payload []byte) Packing {
	switch t := h265Type(payload); {
	case t < rtpAP:
		return packSingle
	case t == rtpAP:
		return packAggregate
	case t == rtpFU:
		return packFragment
	}
	return packUnknown
}

func (h265Codec) Fragment(p []byte) (Fragment, bool) {
	if len(p) < 3 {
		return Fragment{}, false
	}
	return Fragment{
		header: [2]byte{p[0]&0x81 | p[2]&0x3F<<1, p[1]},
		start:  p[2]&fuStart != 0, end: p[2]&fuEnd != 0, data: p[3:],
	}, true
}
