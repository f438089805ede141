package payload

import "bytes"

// StartCode is the separator of NAL units in Annex B of both codecs.
var StartCode = []byte{0, 0, 1}

// Lengths reports whether a NAL unit is really one or more of them, each after its length in four bytes (ISO/IEC
// 14496-15), as in a file: it starts with a zero, which none does, and they fill it. valid reports whether bytes can
// be a NAL unit. ambiguous: it may be Annex B as well.
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

// CutLength cuts the first NAL unit, with its length, off b.
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
