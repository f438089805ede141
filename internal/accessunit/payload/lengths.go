package payload

import "bytes"

// StartCode is what stands between NAL units in Annex B of both codecs.
var StartCode = []byte{0, 0, 1}

// Lengths reports whether a NAL unit is in truth one or more of them, each behind its length in four bytes (ISO/IEC
// 14496-15), as a file has them: it begins with a zero, which none does, and they fill it. valid reports whether a NAL
// unit can be one. ambiguous: it may be Annex B as well.
func Lengths(nal []byte, valid func(nal []byte) bool) (yes, ambiguous bool) {
	ambiguous = bytes.HasPrefix(nal, StartCode)
	for rest := nal; len(rest) > 0; {
		var one []byte
		if one, rest, yes = CutLength(rest); !yes || !valid(one) {
			return false, false
		}
	}
	return len(nal) > 0, ambiguous
}

// CutLength takes a NAL unit behind its length off the front.
func CutLength(b []byte) (nal, rest []byte, ok bool) {
	const size = 4
	if len(b) <= size || b[0] != 0 {
		return nil, nil, false
	}
	length := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	if length == 0 || length > len(b)-size {
		return nil, nil, false
	}
	return b[size : size+length], b[size+length:], true
}
