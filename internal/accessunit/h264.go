package accessunit

import "encoding/binary"

// H264 is the codec H.264.
var H264 Codec = h264Codec{}

type h264Codec struct{}

// NAL unit types (H.264, table 7-1), and those of RTP (RFC 6184, table 1).
const (
	h264TypeMask  = 0x1F
	h264Slice     = 1
	h264IDR       = 5
	h264SEI       = 6
	h264SPS       = 7
	h264PPS       = 8
	h264Delimiter = 9
	h264EndOfSeq  = 10
	h264Filler    = 12
	h264PrefixSVC = 14
	h264Reserved  = 18
	h264Auxiliary = 19
	h264Last      = 23
	rtpSTAPA      = 24
	rtpFUA        = 28
)

func (h264Codec) HeaderSize() int { return 1 }

func (h264Codec) Kind(nal []byte) NALKind {
	if nal[0]&nalForbidden != 0 {
		return nalMalformed
	}
	switch t := nal[0] & h264TypeMask; {
	case t == h264IDR:
		return nalIDR
	case t >= h264Slice && t < h264IDR:
		if t == h264Slice && intraSlice(nal) {
			return nalIntra
		}
		return nalSlice
	case t == h264SEI:
		if hasRecoveryPoint(nal[1:]) {
			return nalRecovery
		}
		return nalPrefix
	case t == h264SPS, t == h264PPS:
		return nalSet
	case t == h264Delimiter:
		return nalDelimiter
	case t >= h264EndOfSeq && t <= h264Filler, t >= h264Auxiliary && t <= h264Last:
		return nalSuffix
	case t > h264Filler && t <= h264Reserved: // SPS extension, subset SPS, prefixes
		return nalPrefix
	}
	return nalMalformed
}

// intraSlice reports whether slice_type, the second number of a slice header, is I (H.264, table
// 7-6: 2, and 7 when all slices of the picture are). It looks at the first bytes only and needs no
// memory: emulation prevention cannot occur there but after numbers that are too large for I.
func intraSlice(nal []byte) bool {
	var b [8]byte
	copy(b[:], nal[1:])
	word := binary.BigEndian.Uint64(b[:])
	_, word, ok := golomb(word)
	if !ok {
		return false
	}
	kind, _, ok := golomb(word)
	return ok && (kind == 2 || kind == 7)
}

// FirstSlice looks for first_mb_in_slice 0, which is coded as one bit (H.264, 7.3.3).
func (h264Codec) FirstSlice(nal []byte) bool { return nal[1]&0x80 != 0 }

func (h264Codec) Packing(payload []byte) Packing {
	switch t := payload[0] & h264TypeMask; {
	case t <= h264Last: // 0 is malformed, or begins a start code
		return packSingle
	case t == rtpSTAPA:
		return packAggregate
	case t == rtpFUA:
		return packFragment
	}
	return packUnknown // the interleaved mode, which no camera uses
}

func (h264Codec) Fragment(p []byte) (Fragment, bool) {
	if len(p) < 2 {
		return Fragment{}, false
	}
	return Fragment{
		header: [2]byte{p[0]&^h264TypeMask | p[1]&h264TypeMask},
		start:  p[1]&fuStart != 0, end: p[1]&fuEnd != 0, data: p[2:],
	}, true
}
