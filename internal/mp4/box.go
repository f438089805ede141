package mp4

import (
	"encoding/binary"
	"math"
)

// boxHead is the size of a box's size and kind, in bytes.
const boxHead = 8

// The sizes in bytes of what precedes the entries of boxes with a version.
const (
	fullHead  = boxHead + 4
	tableHead = fullHead + 4
)

// box returns a box with the parts as its content (ISO/IEC 14496-12, 4.2).
func box(kind string, parts ...[]byte) []byte {
	b := append(make([]byte, 4, boxHead), kind...)
	for _, p := range parts {
		b = append(b, p...)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// full returns a box with a version and flags.
func full(kind string, version byte, flags uint32, parts ...[]byte) []byte {
	head := binary.BigEndian.AppendUint32(nil, uint32(version)<<24|flags)
	return box(kind, append([][]byte{head}, parts...)...)
}

func u16(values ...uint16) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func u32(values ...uint32) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func u64(values ...uint64) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

// fixed returns a number with 16 bits behind the point.
func fixed(n int) uint32 { return uint32(min(max(n, 0), math.MaxUint16)) << 16 }

// children calls each for the boxes in data. It stops at one that is not valid, and reports false.
func children(data []byte, each func(kind string, whole []byte)) bool {
	for len(data) > 0 {
		if len(data) < boxHead {
			return false
		}
		size := binary.BigEndian.Uint32(data)
		if size < boxHead || uint64(size) > uint64(len(data)) {
			return false
		}
		each(string(data[4:boxHead]), data[:size])
		data = data[size:]
	}
	return true
}
