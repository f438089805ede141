package mediafile

import "github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"

// How the frames of a block are laced (RFC 9559, section 10.3).
const (
	noLacing    = 0
	xiphLacing  = 1
	fixedLacing = 2
	ebmlLacing  = 3
)

var errLace = broken("a lace is wrong")

// unlace splits the frames of a block. It starts with the sizes of all but the last.
func unlace(data []byte, lacing byte) (frames [][]byte, err error) {
	if lacing == noLacing {
		return [][]byte{data}, nil
	}
	if len(data) == 0 {
		return nil, errLace
	}
	sizes := make([]int, data[0])
	data = data[1:]
	switch lacing {
	case xiphLacing:
		data, err = xiphSizes(sizes, data)
	case ebmlLacing:
		data, err = ebmlSizes(sizes, data)
	case fixedLacing:
		err = fixedSizes(sizes, data)
	}
	if err != nil {
		return nil, err
	}
	for _, size := range sizes {
		if size > len(data) {
			return nil, errLace
		}
		frames = append(frames, data[:size])
		data = data[size:]
	}
	return append(frames, data), nil
}

// xiphSizes reads sizes that are sums of bytes; one below 255 is the last of its sum.
func xiphSizes(sizes []int, data []byte) (rest []byte, err error) {
	for i := range sizes {
		for last := false; !last; data = data[1:] {
			if len(data) == 0 {
				return nil, errLace
			}
			sizes[i] += int(data[0])
			last = data[0] < 0xFF
		}
	}
	return data, nil
}

// ebmlSizes reads a size and then differences, of which the middle of the range is 0.
func ebmlSizes(sizes []int, data []byte) (rest []byte, err error) {
	for i := range sizes {
		value, n := element.VarInt(data)
		if n == 0 {
			return nil, errLace
		}
		data = data[n:]
		if sizes[i] = int(value); i > 0 {
			sizes[i] += sizes[i-1] - (1<<(7*n-1) - 1)
		}
		if sizes[i] < 0 || sizes[i] > len(data) {
			return nil, errLace
		}
	}
	return data, nil
}

// fixedSizes divides data into equal parts.
func fixedSizes(sizes []int, data []byte) error {
	count := len(sizes) + 1
	if len(data)%count != 0 {
		return errLace
	}
	for i := range sizes {
		sizes[i] = len(data) / count
	}
	return nil
}
