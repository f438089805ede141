package mkv

import (
	"encoding/binary"
	"math"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// Element IDs with their length markers (RFC 9559, section 5.1).
const (
	idEBMLVersion        = 0x4286
	idEBMLReadVersion    = 0x42F7
	idEBMLMaxIDLength    = 0x42F2
	idEBMLMaxSizeLength  = 0x42F3
	idDocType            = 0x4282
	idDocTypeVersion     = 0x4287
	idDocTypeReadVersion = 0x4285
	idCRC32              = 0xBF
	idSeek               = 0x4DBB
	idSeekID             = 0x53AB
	idSeekPosition       = 0x53AC
	idMuxingApp          = 0x4D80
	idWritingApp         = 0x5741
	idSegmentUUID        = 0x73A4
	idTrackUID           = 0x73C5
	idFlagLacing         = 0x9C
	idLanguage           = 0x22B59C
	idCuePoint           = 0xBB
	idCueTime            = 0xB3
	idCueTrackPositions  = 0xB7
	idCueTrack           = 0xF7
	idCueClusterPosition = 0xF1
	idTags               = 0x1254C367
	idTag                = 0x7373
	idSimpleTag          = 0x67C8
	idTagName            = 0x45A3
	idTagString          = 0x4487
)

// unknownSize is an 8-byte size field that says "until the parent ends" (RFC 8794, section 6.2).
const unknownSize = 0x01FF_FFFF_FFFF_FFFF

// sizeMarker8 marks an 8-byte size field.
const sizeMarker8 = 0x0100_0000_0000_0000

func appendID(dst []byte, id uint32) []byte {
	switch {
	case id > 0xFFFFFF:
		return append(dst, byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
	case id > 0xFFFF:
		return append(dst, byte(id>>16), byte(id>>8), byte(id))
	case id > 0xFF:
		return append(dst, byte(id>>8), byte(id))
	default:
		return append(dst, byte(id))
	}
}

// appendSize writes a size in as few bytes as it takes.
func appendSize(dst []byte, size int64) []byte {
	for length := 1; length <= 8; length++ {
		// All ones is reserved for "unknown", so the largest value of each length is one less.
		if size < int64(1)<<(7*length)-1 {
			marked := uint64(size) | uint64(1)<<(7*length)
			for i := length - 1; i >= 0; i-- {
				dst = append(dst, byte(marked>>(8*i)))
			}
			return dst
		}
	}
	panic("mkv: a size beyond 2^56")
}

func appendBytes(dst []byte, id uint32, data []byte) []byte {
	dst = appendSize(appendID(dst, id), int64(len(data)))
	return append(dst, data...)
}

func appendString(dst []byte, id uint32, s string) []byte { return appendBytes(dst, id, []byte(s)) }

func appendUint(dst []byte, id uint32, v uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], v)
	i := 0
	for i < 7 && b[i] == 0 {
		i++
	}
	return appendBytes(dst, id, b[i:])
}

func appendUint64(dst []byte, id uint32, v uint64) []byte {
	return appendBytes(dst, id, binary.BigEndian.AppendUint64(nil, v))
}

func appendFloat(dst []byte, id uint32, v float64) []byte {
	return appendUint64(dst, id, math.Float64bits(v))
}

// appendVoid writes an element of exactly total bytes that readers skip; total is 2 to 128, or
// at least 9.
func appendVoid(dst []byte, total int) []byte {
	dst = append(dst, element.IDVoid)
	if total <= 128 {
		dst = append(dst, 0x80|byte(total-2))
		return append(dst, make([]byte, total-2)...)
	}
	dst = binary.BigEndian.AppendUint64(dst, sizeMarker8|uint64(total-9))
	return append(dst, make([]byte, total-9)...)
}
