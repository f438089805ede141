package payload

import "encoding/binary"

// The types of payloads that are not NAL units (RFC 7798, section 4.4).
const (
	h265HeaderSize = 2
	h265FirstOther = 48
	ap             = 48
	fu             = 49
	paci           = 50
	h265TypeMask   = 0x7E // in the first byte of a header
)

func h265Type(header byte) byte { return header & h265TypeMask >> 1 }

// H265 calls take for each part in a payload of H.265, in order. numbered: NAL units have a DON, as the
// session description says.
func H265(p []byte, numbered bool, take func(Part)) error {
	if len(p) < h265HeaderSize {
		return ErrShort
	}
	header, rest := [2]byte(p), p[h265HeaderSize:]
	if h265Type(header[0]) == paci {
		var ok bool
		if header, rest, ok = unwrap(header, rest); !ok {
			return ErrAggregate
		}
	}
	switch t := h265Type(header[0]); t {
	case ap:
		o := order{numbered: numbered, delta: numbered}
		var ok bool
		if numbered {
			if o.first, rest, ok = number(rest); !ok {
				return ErrAggregate
			}
		}
		return aggregate(rest, h265HeaderSize, o, take)
	case fu:
		return h265Fragment(header, rest, numbered, take)
	default:
		if t >= h265FirstOther {
			return UndefinedError{"H.265", t}
		}
	}
	part := Part{Header: header, Data: rest, Start: true, End: true, Numbered: numbered}
	if numbered {
		var ok bool
		if part.DON, part.Data, ok = number(rest); !ok {
			return ErrShort
		}
	}
	take(part)
	return nil
}

// unwrap returns what a PACI packet carries (RFC 7798, section 4.4.4): a payload, whose type and forbidden bit
// follow the header, before extensions that do not concern the video.
func unwrap(header [2]byte, rest []byte) (inner [2]byte, payload []byte, ok bool) {
	if len(rest) < 2 {
		return header, nil, false
	}
	const (
		forbidden      = 0x80
		typeMask       = 0x7E // in the first byte, as in a header
		extensionShift = 4
		extensionMask  = 0x1F
	)
	fields := binary.BigEndian.Uint16(rest)
	extension := 2 + int(fields>>extensionShift&extensionMask)
	kind := rest[0] & typeMask
	if len(rest) < extension || kind>>1 == paci {
		return header, nil, false
	}
	return [2]byte{rest[0]&forbidden | kind | header[0]&^(forbidden|typeMask), header[1]}, rest[extension:], true
}

func h265Fragment(header [2]byte, rest []byte, numbered bool, take func(Part)) error {
	if len(rest) == 0 {
		return ErrFragment
	}
	flags := rest[0]
	part := Part{
		Header: [2]byte{header[0]&^h265TypeMask | flags<<1&h265TypeMask, header[1]}, Data: rest[1:],
		Start: flags&fragmentStart != 0, End: flags&fragmentEnd != 0,
	}
	if numbered && part.Start {
		don, data, ok := number(part.Data)
		if !ok {
			return ErrFragment
		}
		part.Numbered, part.DON, part.Data = true, don, data
	}
	take(part)
	return nil
}
