package mediafile

import "encoding/binary"

// cursor reads big-endian fields; past the end it gives zeros and remembers it.
type cursor struct {
	data  []byte
	short bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.data) {
		c.short = true
		c.data = nil
		return make([]byte, min(max(n, 0), 8))
	}
	taken := c.data[:n]
	c.data = c.data[n:]
	return taken
}

func (c *cursor) skip(n int)  { c.take(n) }
func (c *cursor) u8() int     { return int(c.take(1)[0]) }
func (c *cursor) u16() int    { return int(binary.BigEndian.Uint16(c.take(2))) }
func (c *cursor) u32() uint32 { return binary.BigEndian.Uint32(c.take(4)) }
func (c *cursor) u64() uint64 { return binary.BigEndian.Uint64(c.take(8)) }

// set reads a parameter set behind its 16-bit length.
func (c *cursor) set() []byte {
	n := c.u16()
	if n > len(c.data) {
		c.short = true
		return nil
	}
	return c.take(n)
}

// avcConfig reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1).
func avcConfig(data []byte) (sets [][]byte, lengthSize int, err error) {
	c := cursor{data: data}
	c.skip(4) // version, profile, compatibility, level
	lengthSize = c.u8()&3 + 1
	for n := c.u8() & 31; n > 0 && !c.short; n-- {
		sets = append(sets, c.set())
	}
	for n := c.u8(); n > 0 && !c.short; n-- {
		sets = append(sets, c.set())
	}
	if c.short {
		return nil, 0, broken("the description of H.264 is too short")
	}
	return sets, lengthSize, nil
}

// hevcConfig reads an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1).
func hevcConfig(data []byte) (sets [][]byte, lengthSize int, err error) {
	c := cursor{data: data}
	c.skip(21)
	lengthSize = c.u8()&3 + 1
	for arrays := c.u8(); arrays > 0 && !c.short; arrays-- {
		c.skip(1) // the kind, which the units have too
		for n := c.u16(); n > 0 && !c.short; n-- {
			sets = append(sets, c.set())
		}
	}
	if c.short {
		return nil, 0, broken("the description of H.265 is too short")
	}
	return sets, lengthSize, nil
}
