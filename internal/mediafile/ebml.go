package mediafile

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"math/bits"
)

// unknown is the size of an element that ends with its parent.
const unknown = math.MaxUint64

// element reads an ID and a size. At the end of the file it gives io.EOF, also within an element:
// a recording that was cut off is read as far as it goes.
func (m *matroska) element() (id uint32, size uint64, err error) {
	first, err := m.r.ReadByte()
	if err != nil {
		return 0, 0, err
	}
	n := bits.LeadingZeros8(first) + 1
	if n > 4 {
		return 0, 0, broken("no element where one must be")
	}
	id = uint32(first)
	for range n - 1 {
		b, err := m.r.ReadByte()
		if err != nil {
			return 0, 0, err
		}
		id = id<<8 | uint32(b)
	}
	if first, err = m.r.ReadByte(); err != nil {
		return 0, 0, err
	}
	n = bits.LeadingZeros8(first) + 1
	if n > 8 {
		return 0, 0, broken("an element without size")
	}
	size = uint64(first) &^ (1 << (8 - n))
	for range n - 1 {
		b, err := m.r.ReadByte()
		if err != nil {
			return 0, 0, err
		}
		size = size<<8 | uint64(b)
	}
	if size == 1<<(7*n)-1 {
		size = unknown
	}
	return id, size, nil
}

// read gives an element's content of at most that many bytes. It uses the memory of into, which may
// be nil, and more as data comes: a size may be a lie.
func (m *matroska) read(into []byte, size, most uint64) ([]byte, error) {
	if size > most {
		return nil, broken("an element of %d bytes", size)
	}
	buffer := bytes.NewBuffer(into[:0])
	if _, err := io.CopyN(buffer, m.r, int64(size)); err != nil {
		return nil, endOf(err)
	}
	return buffer.Bytes(), nil
}

func (m *matroska) skip(size uint64) error {
	if size > math.MaxInt64 {
		return broken("an element of unknown size")
	}
	_, err := io.CopyN(io.Discard, m.r, int64(size))
	return endOf(err)
}

// vint reads a number with a length marker; n is 0 when there is none.
func vint(data []byte) (value uint64, n int) {
	if len(data) == 0 {
		return 0, 0
	}
	n = bits.LeadingZeros8(data[0]) + 1
	if n > 8 || n > len(data) {
		return 0, 0
	}
	value = uint64(data[0]) &^ (1 << (8 - n))
	for _, b := range data[1:n] {
		value = value<<8 | uint64(b)
	}
	return value, n
}

// children calls each for the elements in a master.
func children(data []byte, each func(id uint32, data []byte) error) error {
	for len(data) > 0 {
		n := bits.LeadingZeros8(data[0]) + 1
		if n > 4 || n > len(data) {
			return broken("no element where one must be")
		}
		id := uint32(0)
		for _, b := range data[:n] {
			id = id<<8 | uint32(b)
		}
		size, m := vint(data[n:])
		if data = data[n+m:]; m == 0 || size > uint64(len(data)) {
			return broken("an element reaches past its parent")
		}
		if err := each(id, data[:size]); err != nil {
			return err
		}
		data = data[size:]
	}
	return nil
}

func number(data []byte) (v uint64) {
	for _, b := range data[:min(len(data), 8)] {
		v = v<<8 | uint64(b)
	}
	return v
}

func float(data []byte) float64 {
	switch len(data) {
	case 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(data)))
	case 8:
		return math.Float64frombits(binary.BigEndian.Uint64(data))
	}
	return 0
}
