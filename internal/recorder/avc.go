package recorder

import (
	"encoding/binary"
	"math/bits"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// avc is H.264.
type avc struct{}

// NAL unit types (H.264, table 7-1), and those of RTP (RFC 6184, table 1).
const (
	nalTypeMask  = 0x1F
	nalForbidden = 0x80
	nalSlice     = 1
	nalIDR       = 5
	nalSEI       = 6
	nalSPS       = 7
	nalPPS       = 8
	nalDelimiter = 9
	nalEndOfSeq  = 10
	nalFiller    = 12
	nalPrefixSVC = 14
	nalReserved  = 18
	nalAuxiliary = 19
	nalLast      = 23
	rtpSTAPA     = 24
	rtpFUA       = 28
)

const (
	fuStart = 0x80
	fuEnd   = 0x40
)

func (avc) headerSize() int { return 1 }

func (avc) kind(nal []byte) unitKind {
	if nal[0]&nalForbidden != 0 {
		return unitNoise
	}
	switch t := nal[0] & nalTypeMask; {
	case t == nalIDR:
		return unitIDR
	case t >= nalSlice && t < nalIDR:
		if t == nalSlice && intraSlice(nal) {
			return unitIntra
		}
		return unitSlice
	case t == nalSEI:
		if hasRecoveryPoint(nal[1:]) {
			return unitRecovery
		}
		return unitPrefix
	case t == nalSPS, t == nalPPS:
		return unitSet
	case t == nalDelimiter:
		return unitDelimiter
	case t >= nalEndOfSeq && t <= nalFiller, t >= nalAuxiliary && t <= nalLast:
		return unitSuffix
	case t > nalFiller && t <= nalReserved: // SPS extension, subset SPS, prefixes
		return unitPrefix
	}
	return unitNoise
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

// golomb reads an unsigned Exp-Golomb number of at most 31 bits from the top of a word.
func golomb(word uint64) (n uint32, rest uint64, ok bool) {
	zeros := bits.LeadingZeros64(word)
	if zeros > 15 {
		return 0, 0, false
	}
	n = uint32(word<<zeros>>(63-zeros)) - 1
	return n, word << (2*zeros + 1), true
}

// firstSlice looks for first_mb_in_slice 0, which is coded as one bit (H.264, 7.3.3).
func (avc) firstSlice(nal []byte) bool { return nal[1]&0x80 != 0 }

func (avc) packing(payload []byte) packing {
	switch t := payload[0] & nalTypeMask; {
	case t <= nalLast: // 0 is noise, or begins a start code
		return packSingle
	case t == rtpSTAPA:
		return packAggregate
	case t == rtpFUA:
		return packFragment
	}
	return packUnknown // the interleaved mode, which no camera uses
}

func (avc) fragment(p []byte) (fragment, bool) {
	if len(p) < 2 {
		return fragment{}, false
	}
	return fragment{
		header: [2]byte{p[0]&^nalTypeMask | p[1]&nalTypeMask},
		start:  p[1]&fuStart != 0, end: p[1]&fuEnd != 0, data: p[2:],
	}, true
}

// seiRecoveryPoint is that of both codecs (H.264, annex D.1; H.265, annex D.2.1).
const seiRecoveryPoint = 6

// hasRecoveryPoint looks for a recovery point among the messages of a SEI NAL unit, given without
// its header.
func hasRecoveryPoint(b []byte) bool {
	r := escaped{b: b}
	for r.left() > 2 { // the last byte is the trailing bits
		kind, size := r.number(), r.number()
		if kind == seiRecoveryPoint && size > 0 && r.left() > size {
			return true
		}
		for range size {
			if _, ok := r.next(); !ok {
				return false
			}
		}
	}
	return false
}

// escaped reads the bytes of a NAL unit without its emulation prevention (H.264, 7.4.1).
type escaped struct {
	b     []byte
	zeros int
}

// left is how many bytes are left at most.
func (e *escaped) left() int { return len(e.b) }

func (e *escaped) next() (v byte, ok bool) {
	if e.zeros >= 2 && len(e.b) > 0 && e.b[0] == 3 {
		e.b, e.zeros = e.b[1:], 0
	}
	if len(e.b) == 0 {
		return 0, false
	}
	v, e.b = e.b[0], e.b[1:]
	if e.zeros++; v != 0 {
		e.zeros = 0
	}
	return v, true
}

// number reads a payload type or size of a SEI message: bytes of 255 and a last one, added up.
func (e *escaped) number() (n int) {
	for {
		v, ok := e.next()
		if n += int(v); v != 0xFF || !ok {
			return n
		}
	}
}

// ppsID reads pic_parameter_set_id (H.264, 7.3.2.2; H.265, 7.3.2.3).
func ppsID(body []byte) (uint32, bool) {
	var b [8]byte
	copy(b[:], h264.EmulationPreventionRemove(body[:min(len(body), len(b))]))
	id, _, ok := golomb(binary.BigEndian.Uint64(b[:]))
	return id, ok && id <= 255
}
