package accessunit

import (
	"encoding/binary"
	"math/bits"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// What the NAL units of both codecs share.

// nalForbidden is forbidden_zero_bit, in the first byte.
const nalForbidden = 0x80

// seiRecoveryPoint is the payload type in both codecs (H.264, annex D.1; H.265, annex D.2.1).
const seiRecoveryPoint = 6

// hasRecoveryPoint reports whether the messages of a SEI NAL unit, without
// its header, include a recovery point.
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

// left is how many bytes are left at most, as emulation prevention is among them.
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

// escape adds emulation prevention to the bytes of a NAL unit.
func escape(b []byte) []byte {
	escaped := make([]byte, 0, len(b)+len(b)/2)
	zeros := 0
	for _, v := range b {
		if zeros >= 2 && v <= 3 {
			escaped, zeros = append(escaped, 3), 0
		}
		if zeros++; v != 0 {
			zeros = 0
		}
		escaped = append(escaped, v)
	}
	return escaped
}

// number reads the payload type or size of a SEI message: bytes of 255 and a last one, added up.
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

// golomb reads an unsigned Exp-Golomb number of at most 31 bits from the top of a word.
func golomb(word uint64) (n uint32, rest uint64, ok bool) {
	zeros := bits.LeadingZeros64(word)
	if zeros > 15 {
		return 0, 0, false
	}
	n = uint32(word<<zeros>>(63-zeros)) - 1
	return n, word << (2*zeros + 1), true
}
