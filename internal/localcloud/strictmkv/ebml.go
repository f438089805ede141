package strictmkv

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// unknownSize is the size of a Segment or Cluster that was written before its end was known.
const unknownSize = -1

// parseID reads an element identifier from b. n is 0 when b is too short, -1 when it is malformed
// (RFC 8794, section 5: at most four bytes, not all zeros or ones, shortest form).
func parseID(b []byte) (value id, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	n = bits.LeadingZeros8(b[0]) + 1
	if n > 4 {
		return 0, -1
	}
	if len(b) < n {
		return 0, 0
	}
	raw := uint32(0)
	for _, c := range b[:n] {
		raw = raw<<8 | uint32(c)
	}
	data := raw &^ (1 << (7 * n))
	if data == 0 || data == 1<<(7*n)-1 || n > 1 && data < 1<<(7*(n-1))-1 {
		return 0, -1
	}
	return id(raw), n
}

// parseSize reads an element size from b. n is 0 when b is too short, -1 when it is malformed.
func parseSize(b []byte) (size int64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	n = bits.LeadingZeros8(b[0]) + 1
	if n > 8 {
		return 0, -1
	}
	if len(b) < n {
		return 0, 0
	}
	raw := uint64(0)
	for _, c := range b[:n] {
		raw = raw<<8 | uint64(c)
	}
	size = int64(raw &^ (1 << (7 * n)))
	if size == 1<<(7*n)-1 {
		return unknownSize, n
	}
	return size, n
}

// element is one element whose content lies in memory.
type element struct {
	id     id
	offset int64 // of its first byte in the input
	body   []byte
	at     int64  // of its content
	raw    []byte // head and content; only of elements that were loaded whole
}

// children walks the elements in a buffered master element, leaving out Void and a CRC-32 (which
// is checked: it must be the first child, RFC 8794, section 11.3.1).
func (e element) children(visit func(element) error) error {
	rest, at := e.body, e.at
	for first := true; len(rest) > 0; first = false {
		child, n := parseID(rest)
		if n <= 0 {
			return broken(e.id, e.offset, "holds a malformed element identifier at byte %d", at)
		}
		size, m := parseSize(rest[n:])
		if m <= 0 || size == unknownSize {
			return broken(child, at, "has a malformed or unknown size, where a known one is required")
		}
		if size > int64(len(rest)-n-m) {
			return broken(child, at, "has a size of %d bytes, which overruns the enclosing %s", size, e.id)
		}
		end := n + m + int(size)
		c := element{id: child, offset: at, body: rest[n+m : end], at: at + int64(n+m)}
		rest, at = rest[end:], at+int64(end)
		switch child {
		case idVoid:
			continue
		case idCRC32:
			if err := checkCRC(c, e, rest, first); err != nil {
				return err
			}
			continue
		}
		if err := visit(c); err != nil {
			return err
		}
	}
	return nil
}

func (e element) unsigned() (uint64, error) {
	if len(e.body) > 8 {
		return 0, broken(e.id, e.offset, "is an unsigned integer of %d bytes; at most 8 are allowed", len(e.body))
	}
	v := uint64(0)
	for _, c := range e.body {
		v = v<<8 | uint64(c)
	}
	return v, nil
}

func (e element) signed() (int64, error) {
	v, err := e.unsigned()
	if err != nil || len(e.body) == 0 {
		return 0, err
	}
	shift := 64 - 8*len(e.body)
	return int64(v<<shift) >> shift, nil
}

func (e element) float() (float64, error) {
	switch len(e.body) {
	case 0:
		return 0, nil
	case 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(e.body))), nil
	case 8:
		return math.Float64frombits(binary.BigEndian.Uint64(e.body)), nil
	}
	return 0, broken(e.id, e.offset, "is a float of %d bytes; 0, 4 or 8 are allowed", len(e.body))
}

// text drops the padding of zero bytes that a string may end with.
func (e element) text() string {
	b := e.body
	for i, c := range b {
		if c == 0 {
			b = b[:i]
			break
		}
	}
	return string(b)
}
