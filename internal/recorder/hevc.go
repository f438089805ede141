package recorder

// hevc is H.265.
type hevc struct{}

// NAL unit types (H.265, table 7-1), and those of RTP (RFC 7798, section 4.4).
const (
	hevcBLA       = 16 // the first of three
	hevcIDR       = 19 // the first of two
	hevcCRA       = 21
	hevcLastIRAP  = 23
	hevcLastVCL   = 31
	hevcVPS       = 32
	hevcSPS       = 33
	hevcPPS       = 34
	hevcDelimiter = 35
	hevcPrefixSEI = 39
	hevcSuffixSEI = 40
	hevcPrefix    = 41 // reserved, up to 44
	hevcSuffix    = 45 // reserved, up to 47
	rtpAP         = 48
	rtpFU         = 49
)

func hevcType(nal []byte) byte { return nal[0] >> 1 & 0x3F }

func (hevc) headerSize() int { return 2 }

func (hevc) kind(nal []byte) unitKind {
	if nal[0]&nalForbidden != 0 || nal[1]&7 == 0 { // nuh_temporal_id_plus1 is never 0
		return unitNoise
	}
	switch t := hevcType(nal); {
	case t >= hevcIDR && t < hevcCRA:
		return unitIDR
	case t >= hevcBLA && t <= hevcLastIRAP:
		return unitOpen
	case t <= hevcLastVCL:
		return unitSlice
	case t <= hevcPPS:
		return unitSet
	case t == hevcDelimiter:
		return unitDelimiter
	case t == hevcPrefixSEI:
		if hasRecoveryPoint(nal[2:]) {
			return unitRecovery
		}
		return unitPrefix
	case t >= hevcPrefix && t < hevcSuffix:
		return unitPrefix
	case t < rtpAP:
		return unitSuffix
	}
	return unitNoise
}

// firstSlice reads first_slice_segment_in_pic_flag (H.265, 7.3.6.1).
func (hevc) firstSlice(nal []byte) bool { return nal[2]&0x80 != 0 }

func (hevc) packing(payload []byte) packing {
	switch t := hevcType(payload); {
	case t < rtpAP:
		return packSingle
	case t == rtpAP:
		return packAggregate
	case t == rtpFU:
		return packFragment
	}
	return packUnknown
}

func (hevc) fragment(p []byte) (fragment, bool) {
	if len(p) < 3 {
		return fragment{}, false
	}
	return fragment{
		header: [2]byte{p[0]&0x81 | p[2]&0x3F<<1, p[1]},
		start:  p[2]&fuStart != 0, end: p[2]&fuEnd != 0, data: p[3:],
	}, true
}
