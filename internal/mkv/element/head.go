package element

import (
	"errors"
	"math/bits"
)

// Unknown is the size of an element that ends where its parent does, or where an element begins that cannot be in it (RFC
// 8794, section 6.2).
const Unknown = -1

// MaxHead is the maximum size of an element's head in bytes: an ID of 4 and a size of 8.
const MaxHead = 12

// The errors of ParseHead.
var (
	ErrShort  = errors.New("an element's head is cut off")
	ErrNoID   = errors.New("no element where one must be")
	ErrNoSize = errors.New("an element without size")
)

// Head is the head of an element.
type Head struct {
	ID   uint32 // with its length marker
	Size int64  // of the content in bytes, or Unknown
	Len  int    // of the head itself in bytes
}

// ParseHead parses the head at the start of data. MaxHead bytes are enough.
func ParseHead(data []byte) (Head, error) {
	if len(data) == 0 {
		return Head{}, ErrShort
	}
	idLen := bits.LeadingZeros8(data[0]) + 1
	if idLen > 4 {
		return Head{}, ErrNoID
	}
	if len(data) <= idLen {
		return Head{}, ErrShort
	}
	sizeLen := bits.LeadingZeros8(data[idLen]) + 1
	if sizeLen > 8 {
		return Head{}, ErrNoSize
	}
	if len(data) < idLen+sizeLen {
		return Head{}, ErrShort
	}
	h := Head{Len: idLen + sizeLen}
	for _, b := range data[:idLen] {
		h.ID = h.ID<<8 | uint32(b)
	}
	var size int64
	for _, b := range data[idLen:h.Len] {
		size = size<<8 | int64(b)
	}
	ones := int64(1)<<(7*sizeLen) - 1
	if h.Size = size & ones; h.Size == ones {
		h.Size = Unknown
	}
	return h, nil
}

// VarInt parses the number with a length marker at the start of data, and returns how many bytes it takes: 0 when there is
// none, or not all of it.
func VarInt(data []byte) (value uint64, n int) {
	if len(data) == 0 {
		return 0, 0
	}
	n = bits.LeadingZeros8(data[0]) + 1
	if n > 8 || n > len(data) {
		return 0, 0
	}
	return Number(data[:n]) &^ (1 << (7 * n)), n
}

// Number parses an unsigned integer of up to 8 bytes; of a longer one, the last 8.
func Number(data []byte) (value uint64) {
	for _, b := range data {
		value = value<<8 | uint64(b)
	}
	return value
}

// sizeMarker8 is the length marker of a size field of 8 bytes.
const sizeMarker8 = 1 << 56

// UnknownSize8 is a size field of 8 bytes with the value Unknown.
const UnknownSize8 = 1<<57 - 1

// Size8 returns a size field of 8 bytes.
func Size8(size int64) uint64 { return sizeMarker8 | uint64(size) }
