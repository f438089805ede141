package mp4

import (
	"encoding/binary"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// ParameterSets returns the parameter sets of a track's header as they precede a keyframe in band: each with its length in four bytes.
func ParameterSets(t mkv.Track) (sets []byte) {
	add := func(nal []byte) {
		sets = binary.BigEndian.AppendUint32(sets, uint32(len(nal)))
		sets = append(sets, nal...)
	}
	if t.CodecID == mkv.CodecAVC {
		eachH264Set(t.CodecPrivate, add)
		return sets
	}
	eachH265Array(t.CodecPrivate, func(at int) { eachSet(t.CodecPrivate[at+1:], 2, add) })
	return sets
}

// eachH264Set calls each for the parameter sets of an AVCDecoderConfigurationRecord (14496-15, 5.3.3.1).
func eachH264Set(record []byte, each func(nal []byte)) {
	const head, countMask = 5, 0x1F
	if len(record) <= head {
		return
	}
	record = append([]byte{record[head] & countMask}, record[head+1:]...)
	if n := eachSet(record, 1, each); n < len(record) {
		eachSet(record[n:], 1, each)
	}
}

// eachH265Array calls each with the offset of every array of parameter sets of an HEVCDecoderConfigurationRecord (14496-15, 8.3.3.1).
func eachH265Array(record []byte, each func(at int)) {
	const head = 22
	if len(record) <= head {
		return
	}
	at := head + 1
	for range record[head] {
		if at >= len(record) {
			return
		}
		each(at)
		at += 1 + eachSet(record[at+1:], 2, func([]byte) {})
	}
}

// eachSet calls each for the parameter sets of a list that begins with their number, and returns the list's length.
func eachSet(list []byte, countSize int, each func(nal []byte)) int {
	if len(list) < countSize {
		return len(list)
	}
	count := 0
	for _, b := range list[:countSize] {
		count = count<<8 | int(b)
	}
	at := countSize
	for range count {
		if len(list)-at < 2 {
			return len(list)
		}
		size := int(binary.BigEndian.Uint16(list[at:]))
		if at += 2; size > len(list)-at {
			return len(list)
		}
		each(list[at : at+size])
		at += size
	}
	return at
}
