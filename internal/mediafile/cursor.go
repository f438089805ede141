package mediafile

import "encoding/binary"

// cursor reads big-endian fields; past the end it returns zeros and sets short.
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

// set reads a parameter set after its 16-bit length.
func (c *cursor) set() []byte {
	n := c.u16()
	if n > len(c.data) {
		c.short = true
		return nil
	}
	return c.take(n)
}
