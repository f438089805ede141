package mkv

import (
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// A checksum is in a Void element of its own, which all readers ignore: that of a cluster right before it, that of the
// header right after Tracks. Its content is a mark, the CRC-32 (IEEE) and the complement of the CRC: a checksum that a power
// cut tore, or never wrote, is recognised as such, and does not make media count as damaged.
const (
	sumSize    = 14          // of the Void element
	sumContent = sumSize - 2 // mark 4, CRC 4, its complement 4; zeros while the cluster is open
	sumMark    = 0x43524343  // "CRCC", of the cluster that follows: its data after the size field
	headMark   = 0x43524348  // "CRCH", of the file from its first byte to here, see headerSum
)

// sumState is what is found where a checksum is expected.
type sumState uint8

const (
	sumNone   sumState = iota // there is no room for one: the file is from an earlier version
	sumUnset                  // there is room, which is empty
	sumTorn                   // neither empty nor a checksum
	sumStated                 // there is one
)

// appendSumRoom appends the room for a checksum.
func appendSumRoom(dst []byte) []byte {
	return append(append(dst, element.IDVoid, 0x80|sumContent), make([]byte, sumContent)...)
}

// putSum writes a checksum into the room at the start of dst.
func putSum(dst []byte, mark, sum uint32) {
	_ = dst[sumSize-1]
	dst[0], dst[1] = element.IDVoid, 0x80|sumContent
	binary.BigEndian.PutUint32(dst[2:], mark)
	binary.BigEndian.PutUint32(dst[6:], sum)
	binary.BigEndian.PutUint32(dst[10:], ^sum)
}

func parseSum(room [sumSize]byte, mark uint32) (uint32, sumState) {
	if room[0] != element.IDVoid || room[1] != 0x80|sumContent {
		return 0, sumNone
	}
	sum := binary.BigEndian.Uint32(room[6:])
	switch {
	case binary.BigEndian.Uint32(room[2:]) == mark && binary.BigEndian.Uint32(room[10:]) == ^sum:
		return sum, sumStated
	case [sumContent]byte(room[2:]) == [sumContent]byte{}:
		return 0, sumUnset
	default:
		return 0, sumTorn
	}
}

// sumBefore reads the checksum of the cluster at offset.
func sumBefore(r io.ReaderAt, offset int64) (uint32, sumState, error) {
	var room [sumSize]byte
	if offset < sumSize {
		return 0, sumNone, nil
	}
	if _, err := r.ReadAt(room[:], offset-sumSize); err != nil {
		return 0, sumNone, err
	}
	sum, state := parseSum(room, sumMark)
	return sum, state, nil
}

// addSum continues a checksum that started as 0.
func addSum(sum uint32, data []byte) uint32 { return crc32.Update(sum, crc32.IEEETable, data) }

// sumOf returns the checksum of a cluster in a file.
func sumOf(r io.ReaderAt, f Fragment) (uint32, error) {
	sum := crc32.NewIEEE()
	_, err := io.Copy(sum, io.NewSectionReader(r, f.Offset+clusterPrefixSize, f.Size-clusterPrefixSize))
	return sum.Sum32(), err
}

// Intact reports whether a fragment's bytes are those that its checksum was computed from. One without a checksum counts as intact.
func Intact(r io.ReaderAt, f Fragment) (bool, error) {
	stated, state, err := sumBefore(r, f.Offset)
	if err != nil || state != sumStated {
		return err == nil, err
	}
	sum, err := sumOf(r, f)
	return sum == stated, err
}
