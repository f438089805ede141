package mpegts

import "encoding/binary"

// maxSection is the size of a section with its header (2.4.4.1), with room for private ones.
const maxSection = 4096

// section assembles a table from packets.
type section struct {
	data    []byte
	started bool
	wrong   int // consecutive tables with a wrong check sum
}

// sectionHeader is the size of a section up to its length.
const sectionHeader = 3

// wrongMost is the number of tables with a wrong check sum after which one is accepted: some encoders do not compute it.
const wrongMost = 10

// take handles a packet, and calls read with each complete table.
func (s *section) take(p packet, read func(table []byte)) {
	data := p.payload
	if p.start {
		pointer := int(data[0])
		data = data[1:]
		if pointer > len(data) {
			s.started = false
			return
		}
		if s.started {
			s.add(data[:pointer], read)
		}
		s.data, s.started, data = s.data[:0], true, data[pointer:]
	}
	s.add(data, read)
}

// add adds bytes of tables that follow each other.
func (s *section) add(data []byte, read func(table []byte)) {
	for s.started && len(data) > 0 {
		if len(s.data) == 0 && data[0] == 0xFF { // only padding follows
			s.started = false
			return
		}
		want := sectionHeader
		if len(s.data) >= sectionHeader {
			want += int(binary.BigEndian.Uint16(s.data[1:]) & 0xFFF)
		}
		if want > maxSection {
			s.started = false
			return
		}
		n := min(want-len(s.data), len(data))
		s.data, data = append(s.data, data[:n]...), data[n:]
		if len(s.data) == want && want > sectionHeader {
			if s.believed() {
				read(s.data)
			}
			s.data = s.data[:0]
		} else if len(s.data) == sectionHeader && binary.BigEndian.Uint16(s.data[1:])&0xFFF == 0 {
			s.started = false
		}
	}
}

// believed reports whether the check sum of the table is right, or is never right.
func (s *section) believed() bool {
	if crc32(s.data) == 0 {
		s.wrong = 0
		return true
	}
	s.wrong++
	return s.wrong >= wrongMost
}

// crcTable is the table of crc32.
var crcTable = func() (table [256]uint32) {
	for i := range table {
		c := uint32(i) << 24
		for range 8 {
			if c&(1<<31) != 0 {
				c = c<<1 ^ 0x04C11DB7
			} else {
				c <<= 1
			}
		}
		table[i] = c
	}
	return table
}()

// crc32 returns 0 for a section with its check sum (annex A).
func crc32(data []byte) uint32 {
	c := ^uint32(0)
	for _, b := range data {
		c = c<<8 ^ crcTable[byte(c>>24)^b]
	}
	return c
}
