package script

import "slices"

// usualSize is the default of the largest payload of a packet, in bytes: with all headers below an Ethernet MTU.
const usualSize = 1400

// packing is how the NAL units of a picture are put into packets.
type packing struct {
	size        int
	aggregate   byte // the type of packet for several units; 0: none
	fragmentB   bool // the first fragment has a decoding order number
	donl        bool // all packets of H.265 have one
	paci        bool // single units of H.265 are in a PACI packet
	annexB      bool // the picture is one unit with start codes inside
	startCodes  bool // single units have a start code
	lengthFirst bool // each unit has its length in front
}

// packKind is a word after the rule pack.
type packKind struct {
	about string
	set   func(*packing)
}

// Types of packets of H.264 (RFC 6184, section 5.2) and H.265 (RFC 7798, section 4.4).
const (
	stapA, stapB, mtap16, mtap24, fuA, fuB = 24, 25, 26, 27, 28, 29
	apH265, fuH265, paciH265               = 48, 49, 50
)

// packKinds are all known kinds; without one, every unit is in packets of its own, in fragments if it is large.
var packKinds = map[string]packKind{
	"single":      {"each NAL unit alone, in fragments (FU-A, FU) if it is larger than size; the default", func(*packing) {}},
	"stap-a":      {"H.264: several small ones in one packet", func(k *packing) { k.aggregate = stapA }},
	"stap-b":      {"H.264: the same, with a decoding order number", func(k *packing) { k.aggregate = stapB }},
	"mtap16":      {"H.264: several, with decoding order numbers and time offsets of 16 bits", func(k *packing) { k.aggregate = mtap16 }},
	"mtap24":      {"H.264: the same with 24 bits", func(k *packing) { k.aggregate = mtap24 }},
	"fu-b":        {"H.264: the first fragment of a unit has a decoding order number", func(k *packing) { k.fragmentB = true }},
	"ap":          {"H.265: several small ones in one packet", func(k *packing) { k.aggregate = apH265 }},
	"donl":        {"H.265: decoding order numbers in all packets, as sprop-max-don-diff announces them", func(k *packing) { k.donl = true }},
	"paci":        {"H.265: single units are carried in PACI packets", func(k *packing) { k.paci = true }},
	"annexb":      {"the whole picture as one unit, with start codes inside", func(k *packing) { k.annexB = true }},
	"start-codes": {"each unit has a start code in front", func(k *packing) { k.startCodes = true }},
	"avcc":        {"each unit has its length in four bytes in front", func(k *packing) { k.lengthFirst = true }},
}

// cut makes the payloads of a picture's packets.
func (p *picture) cut(packer *Packer) []*packet {
	var list []*packet
	for _, payload := range p.Payloads {
		list = append(list, &packet{payload: payload, endsUnit: true})
	}
	units := p.Units
	if p.packing.annexB && len(units) > 0 {
		whole := slices.Clone(units[0])
		for _, u := range units[1:] {
			whole = append(append(whole, 0, 0, 0, 1), u...)
		}
		units = [][]byte{whole}
	}
	c := &cutter{picture: p, packer: packer, slice: -1}
	for _, u := range units {
		if len(u) > p.header() {
			c.add(u)
		}
	}
	c.flush()
	return append(list, c.list...)
}

// header is the size of a NAL unit's header.
func (p *picture) header() int {
	if p.H265 {
		return 2
	}
	return 1
}

// cutter packs NAL units into packets.
type cutter struct {
	*picture
	packer  *Packer
	list    []*packet
	slice   int
	waiting [][]byte // units for the same packet
	size    int      // size of these
}

// add adds a NAL unit.
func (c *cutter) add(unit []byte) {
	if c.isSlice(unit) {
		c.slice++
	}
	const most = 9 // bytes besides a unit, in any packet with several
	k := c.packing
	if k.aggregate != 0 && len(unit)+most <= k.size {
		if c.size+len(unit)+most > k.size {
			c.flush()
		}
		c.waiting = append(c.waiting, unit)
		c.size += len(unit) + most
		return
	}
	c.flush()
	if k.startCodes {
		unit = slices.Concat([]byte{0, 0, 0, 1}, unit)
	}
	if k.lengthFirst {
		unit = append(appendUint(nil, len(unit), 4), unit...)
	}
	if len(unit) > k.size {
		c.fragments(unit)
		return
	}
	c.put(c.alone(unit), true, unit)
}

// put adds a packet.
func (c *cutter) put(payload []byte, ends bool, units ...[]byte) {
	c.list = append(c.list, &packet{payload: payload, endsUnit: ends, slice: max(c.slice, 0), units: units})
}

// number returns the next decoding order number.
func (c *cutter) number() uint16 {
	c.packer.order++
	return c.packer.order - 1
}

// alone is the payload of a NAL unit that fits into one packet.
func (c *cutter) alone(unit []byte) []byte {
	header := c.header()
	switch {
	case c.H265 && c.packing.paci: // RFC 7798, section 4.4.4: no extensions
		kind := uint16(c.typeOf(unit)) << 9
		return append(appendUint([]byte{unit[0]&0x81 | paciH265<<1, unit[1]}, kind, 2), unit[header:]...)
	case c.H265 && c.packing.donl:
		return append(appendUint(slices.Clone(unit[:header]), c.number(), 2), unit[header:]...)
	}
	return unit
}

// flush sends the units for the same packet.
func (c *cutter) flush() {
	units := c.waiting
	c.waiting, c.size = nil, 0
	if len(units) == 0 {
		return
	}
	k := c.packing
	if len(units) == 1 && (k.aggregate == stapA || k.aggregate == apH265) {
		c.put(c.alone(units[0]), true, units...)
		return
	}
	numbered := k.aggregate != stapA && (k.aggregate != apH265 || k.donl)
	var b []byte
	for i, u := range units {
		don := uint16(0)
		if numbered {
			don = c.number()
		}
		if i == 0 {
			b = c.aggregateHeader(u, don)
		} else if k.aggregate == apH265 && k.donl {
			b = append(b, 0) // the difference of numbers, less 1
		}
		b = appendUint(b, len(u), 2)
		switch k.aggregate { // the difference of numbers, and a time offset of 0
		case mtap16:
			b = append(b, byte(i), 0, 0)
		case mtap24:
			b = append(b, byte(i), 0, 0, 0)
		}
		b = append(b, u...)
	}
	c.put(b, true, units...)
}

// aggregateHeader starts a packet with several units.
func (c *cutter) aggregateHeader(unit []byte, don uint16) []byte {
	k := c.packing
	if c.H265 {
		b := []byte{unit[0]&0x81 | apH265<<1, unit[1]}
		if k.donl {
			b = appendUint(b, don, 2)
		}
		return b
	}
	b := []byte{unit[0]&0xe0 | k.aggregate}
	if k.aggregate != stapA {
		b = appendUint(b, don, 2)
	}
	return b
}

// fragments sends a NAL unit in several packets.
func (c *cutter) fragments(unit []byte) {
	header := c.header()
	rest := unit[header:]
	for first := true; len(rest) > 0; first = false {
		n := min(len(rest), c.packing.size-header-3)
		flags := byte(0)
		if first {
			flags |= 0x80
		}
		if n == len(rest) {
			flags |= 0x40
		}
		var b []byte
		switch {
		case c.H265:
			b = []byte{unit[0]&0x81 | fuH265<<1, unit[1], flags | byte(c.typeOf(unit))}
			if first && c.packing.donl {
				b = appendUint(b, c.number(), 2)
			}
		case first && c.packing.fragmentB:
			b = appendUint([]byte{unit[0]&0xe0 | fuB, flags | byte(c.typeOf(unit))}, c.number(), 2)
		default:
			b = []byte{unit[0]&0xe0 | fuA, flags | byte(c.typeOf(unit))}
		}
		c.put(append(b, rest[:n]...), n == len(rest), unit)
		rest = rest[n:]
	}
}
