package playcheck

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// nalRules are what the header of a NAL unit says, and where the codec private data has the sets.
type nalRules struct {
	lengthAt int // offset of the byte with the length of lengths
	kind     func(byte) byte
	random   func(unit []byte) bool // decoding can begin with its picture
	sets     map[byte]string        // names of parameter sets that may not change
}

// Sources: ITU-T H.264, table 7-1; H.265, table 7-1; ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1.
var codecs = map[string]nalRules{
	strictmkv.CodecAVC: {lengthAt: 4, kind: func(b byte) byte { return b & 0x1F },
		random: func(unit []byte) bool { return unit[0]&0x1F == 5 || unit[0]&0x1F == 6 && recoveryPoint(unit[1:]) },
		sets:   map[byte]string{7: "a sequence parameter set", 8: "a picture parameter set"}},
	strictmkv.CodecHEVC: {lengthAt: 21, kind: func(b byte) byte { return b >> 1 & 0x3F },
		random: func(unit []byte) bool { return unit[0]>>1&0x3F >= 16 && unit[0]>>1&0x3F <= 21 },
		sets:   map[byte]string{32: "a video parameter set", 33: "a sequence parameter set", 34: "a picture parameter set"}},
}

// read reads the NAL units of a picture.
func (f *frame) read(data []byte) {
	rules, known := codecs[f.track.CodecID]
	private := f.track.CodecPrivate
	if !known || len(private) <= rules.lengthAt {
		return
	}
	f.parsable = true
	bytesOfLength := int(private[rules.lengthAt]&3) + 1
	for rest := data; len(rest) > 0; f.units++ {
		if len(rest) < bytesOfLength {
			f.fault = fmt.Sprintf("ends with %d bytes that do not make a NAL unit", len(rest))
			return
		}
		var wide [8]byte
		copy(wide[8-bytesOfLength:], rest)
		size := binary.BigEndian.Uint64(wide[:])
		rest = rest[bytesOfLength:]
		if size == 0 || size > uint64(len(rest)) {
			f.fault = fmt.Sprintf("has a NAL unit of %d bytes where %d follow", size, len(rest))
			return
		}
		unit := rest[:size]
		rest = rest[size:]
		kind := rules.kind(unit[0])
		f.random = f.random || rules.random(unit)
		if name, is := rules.sets[kind]; is && f.foreign == "" && !bytes.Contains(private, unit) {
			f.foreign = name
		}
	}
	if f.units == 0 {
		f.fault = "is empty"
	}
}

// recoveryPoint reports whether a NAL unit of supplemental information has a recovery point (ITU-T H.264, 7.3.2.3.1 and D.1.8).
func recoveryPoint(b []byte) bool {
	b = bytes.ReplaceAll(b, []byte{0, 0, 3}, []byte{0, 0})
	for len(b) > 1 { // the last byte ends it
		var values [2]int // type and size
		for i := range values {
			for len(b) > 0 && b[0] == 0xFF {
				values[i], b = values[i]+0xFF, b[1:]
			}
			if len(b) == 0 {
				return false
			}
			values[i], b = values[i]+int(b[0]), b[1:]
		}
		if values[0] == 6 {
			return true
		}
		b = b[min(values[1], len(b)):]
	}
	return false
}
