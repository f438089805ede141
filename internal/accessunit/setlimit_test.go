package accessunit

import (
	"bytes"
	"math/bits"
	"testing"
)

// smallSPS and smallPPS describe pictures of 352x288.
var (
	smallSPS = []byte{
		0x67, 0x64, 0x00, 0x0c, 0xac, 0x3b, 0x50, 0xb0, 0x4b, 0x42, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x3d, 0x08,
	}
	smallPPS = []byte{0x68, 0xee, 0x3c, 0x80}
)

// withID returns a parameter set of a size, with an id after a header.
func withID(header []byte, id uint32, size int) []byte {
	set := append(bytes.Clone(header), make([]byte, 8)...)
	length := bits.Len32(id + 1)
	code := uint64(id+1) << (64 - 2*length + 1) // Exp-Golomb: one zero less than digits
	for i := range 8 {
		set[len(header)+i] = byte(code>>(56-8*i)) | byte(0xAA>>(i%2))&lowMask(2*length-1, i)
	}
	return append(set, bytes.Repeat([]byte{0xA5}, size-len(set))...)
}

// lowMask returns the bits of the i-th byte that are after the first used ones.
func lowMask(used, i int) byte {
	switch free := 8*(i+1) - used; {
	case free <= 0:
		return 0
	case free >= 8:
		return 0xFF
	default:
		return 1<<free - 1
	}
}

// TestParameterSetsFitTheHeaderOfAFile has a camera send all possible sets, each as large as possible.
func TestParameterSetsFitTheHeaderOfAFile(t *testing.T) {
	t.Parallel()
	const most = maxSetBytes + 64<<10 // well below what readers accept
	sets264 := H264.NewParameterSets()
	for _, set := range [][]byte{smallSPS, smallPPS} {
		sets264.Add(set)
	}
	taken := 0
	for id := range uint32(256) {
		if sets264.Add(withID([]byte{0x68}, id, maxParameterSet)) {
			taken++
		}
	}
	track, ok := sets264.Track()
	if n := len(track.CodecPrivate); !ok || n > most || taken < 4 {
		t.Errorf("H.264: %d bytes of %d sets, %v", n, taken, ok)
	}
	if !sets264.Add(withID([]byte{0x68}, 1, 100)) || sets264.Add(withID([]byte{0x68}, 1, 100)) {
		t.Error("a smaller set does not replace a large one")
	}

	sets265 := H265.NewParameterSets()
	taken = 0
	for id := range uint32(256) {
		if sets265.Add(withID([]byte{h265PPS << 1, 1}, id, maxParameterSet)) {
			taken++
		}
		sets265.Add(append([]byte{h265VPS << 1, 1, byte(id) << 4}, bytes.Repeat([]byte{0xA5}, maxParameterSet-3)...))
	}
	size := sets265.(h265Sets).size()
	if size > maxSetBytes || taken < 2 {
		t.Errorf("H.265: %d bytes of %d sets", size, taken)
	}
}
