// Package payload unpacks the RTP payloads of H.264 (RFC 6184) and H.265 (RFC 7798) into NAL units: single ones,
// fragments, aggregates, and NAL units that are not in decoding order. It does not interpret NAL units.
package payload

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Part is a NAL unit, or a fragment of one.
type Part struct {
	Header     [2]byte // of the NAL unit; H.264 has the first byte only
	Data       []byte  // what follows it, valid until the callee returns
	Start, End bool    // both: it is complete
	Numbered   bool    // it has a DON
	DON        uint16  // decoding order number
	Later      uint32  // ticks from the packet's timestamp to the NAL unit's
}

// Whole reports whether a part is a complete NAL unit.
func (p Part) Whole() bool { return p.Start && p.End }

// Errors of a payload. The parts before the error are good.
var (
	ErrShort     = errors.New("an RTP payload is shorter than its header")
	ErrFragment  = errors.New("a fragmentation unit is shorter than its header")
	ErrAggregate = errors.New("an aggregation packet is torn")
	ErrEmpty     = errors.New("an aggregation packet has a NAL unit without content")
)

// UndefinedError is the error of a payload whose type the codec does not define.
type UndefinedError struct {
	Codec string // "H.264" or "H.265"
	Type  uint8
}

// Error implements error.
func (e UndefinedError) Error() string {
	return fmt.Sprintf("an RTP payload has type %d, which %s does not define", e.Type, e.Codec)
}

// The bits of a fragment's header (RFC 6184, section 5.8; RFC 7798, section 4.4.3).
const (
	fragmentStart = 0x80
	fragmentEnd   = 0x40
)

// order is how the NAL units of an aggregation packet are numbered.
type order struct {
	numbered bool
	first    uint16 // number of the first one
	delta    bool   // each other has the difference to its number, less one; otherwise numbers are consecutive
	base     bool   // each has the difference of its number to first
	offset   int    // size of each unit's timestamp offset, in bytes
}

// aggregate unpacks the NAL units of an aggregation packet, each after its size. It continues after an empty one.
func aggregate(rest []byte, headerSize int, o order, take func(Part)) (err error) {
	don := o.first
	for i := 0; len(rest) > 0; i++ {
		if o.delta && i > 0 {
			don += uint16(rest[0]) + 1
			rest = rest[1:]
		} else if i > 0 {
			don++
		}
		own := o.offset
		if o.base {
			own++
		}
		if len(rest) < 2+own {
			return ErrAggregate
		}
		size := int(binary.BigEndian.Uint16(rest))
		rest = rest[2:]
		p := Part{Start: true, End: true, Numbered: o.numbered, DON: don}
		if o.base {
			p.DON = o.first + uint16(rest[0])
			rest = rest[1:]
		}
		for _, b := range rest[:o.offset] {
			p.Later = p.Later<<8 | uint32(b)
		}
		rest = rest[o.offset:]
		switch {
		case size > len(rest):
			return ErrAggregate
		case size < headerSize:
			err = ErrEmpty
		default:
			copy(p.Header[:headerSize], rest)
			p.Data = rest[headerSize:size]
			take(p)
		}
		rest = rest[size:]
	}
	return err
}

// number cuts a DON off the front.
func number(rest []byte) (don uint16, after []byte, ok bool) {
	if len(rest) < 2 {
		return 0, nil, false
	}
	return binary.BigEndian.Uint16(rest), rest[2:], true
}
