package accessunit

import "github.com/kvs-edge/kvs-edge-agent/internal/accessunit/payload"

// H265 is the codec H.265 with NAL units in decoding order.
var H265 Codec = h265Codec{}

// NumberedH265 is H.265 with decoding order numbers; NAL units may arrive up to depth others too early
// (sprop-depack-buf-nalus of RFC 7798).
func NumberedH265(depth int) Codec { return h265Codec{numbered: true, depth: depth} }

type h265Codec struct {
	numbered bool
	depth    int
}

// NAL unit types (H.265, table 7-1).
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
	h265Defined   = 48 // types from here on are undefined
)

func h265Type(nal []byte) byte { return nal[0] >> 1 & 0x3F }

// h265Layer returns nuh_layer_id: 0 except for extensions with several layers.
func h265Layer(nal []byte) byte { return nal[0]&1<<5 | nal[1]>>3 }

func (h265Codec) HeaderSize() int { return 2 }

func (h265Codec) Kind(nal []byte) NALKind {
	if nal[0]&nalForbidden != 0 || nal[1]&7 == 0 { // nuh_temporal_id_plus1 is never 0
		return nalMalformed
	}
	switch t := h265Type(nal); {
	case h265Layer(nal) > 0 && t < h265Defined: // decoders of video that KVS accepts skip it
		return nalSuffix
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
	case t < h265Defined:
		return nalSuffix
	}
	return nalMalformed
}

// Slice reads first_slice_segment_in_pic_flag (H.265, 7.3.6.1). All slices of a picture have one type (7.4.2.2).
func (h265Codec) Slice(nal []byte) Slice { return Slice{First: nal[2]&0x80 != 0, kind: h265Type(nal)} }

func (c h265Codec) Unpack(p []byte, take func(payload.Part)) error {
	return payload.H265(p, c.numbered, take)
}

func (c h265Codec) Depth() int { return c.depth }

// Deep: all count (RFC 7798, section 7.1).
func (h265Codec) Deep([]byte) bool { return true }
