package strictmkv

import (
	"encoding/binary"
	"hash/crc32"
)

// checkCRC compares a CRC-32 element with the rest of its parent's content, which it covers.
func checkCRC(c, parent element, rest []byte, first bool) error {
	if !first {
		return broken(idCRC32, c.offset, "must be the first element of %s", parent.id)
	}
	if len(c.body) != 4 {
		return broken(idCRC32, c.offset, "has %d bytes; 4 are required", len(c.body))
	}
	if want, got := binary.LittleEndian.Uint32(c.body), crc32.ChecksumIEEE(rest); want != got {
		return broken(idCRC32, c.offset, "says %08x, but the content of %s has %08x", want, parent.id, got)
	}
	return nil
}
