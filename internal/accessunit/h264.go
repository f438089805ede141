package accessunit

import (
	"encoding/binary"
	"math"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit/payload"
)

// H264 is the codec H.264 with NAL units in decoding order.
var H264 Codec = h264Codec{}

// InterleavedH264 is H.264 with slices that may arrive up to depth others too early (sprop-interleaving-depth of RFC 6184).
func InterleavedH264(depth int) Codec { return h264Codec{depth} }

type h264Codec struct{ depth int }

// NAL unit types (H.264, table 7-1).
const (
	h264TypeMask  = 0x1F
	h264RefMask   = 0x60 // nal_ref_idc
	h264Slice     = 1
	h264PartB     = 3 // partitions of a slice's data, after its header
	h264PartC     = 4
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
)

func (h264Codec) HeaderSize() int { return 1 }

func (h264Codec) Kind(nal []byte) NALKind {
	if nal[0]&nalForbidden != 0 {
		return nalMalformed
	}
	switch t := nal[0] & h264TypeMask; {
	case t == h264IDR:
		return nalIDR
	case t == h264PartB || t == h264PartC:
		return nalSuffix
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
	case t == h264PrefixSVC:
		return nalSlicePrefix
	case t > h264Filler && t <= h264Reserved: // SPS extension, subset SPS
		return nalPrefix
	}
	return nalMalformed
}

// intraSlice reports whether slice_type, the second number of a slice header, is I (H.264, table
// 7-6: 2, and 7 when all slices of the picture are). It reads the first bytes only, without emulation
// prevention, which can occur there only after numbers that are too large for I.
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

// Slice reads first_mb_in_slice (H.264, 7.3.3), and from the header what all slices of a picture share: whether it
// is an IDR picture, and whether others reference it.
func (h264Codec) Slice(nal []byte) Slice {
	var b [8]byte
	copy(b[:], nal[1:])
	address, _, ok := golomb(binary.BigEndian.Uint64(b[:]))
	if !ok {
		address = math.MaxUint32
	}
	s := Slice{First: address == 0, address: address}
	if nal[0]&h264TypeMask == h264IDR {
		s.kind = 1
	}
	if nal[0]&h264RefMask != 0 {
		s.kind |= 2
	}
	return s
}

func (h264Codec) Unpack(p []byte, take func(payload.Part)) error { return payload.H264(p, take) }

func (c h264Codec) Depth() int { return c.depth }

// Deep counts slices (RFC 6184, section 8.1).
func (h264Codec) Deep(nal []byte) bool {
	t := nal[0] & h264TypeMask
	return t >= h264Slice && t <= h264IDR
}
