package mkv

import (
	"encoding/binary"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// ClusterHeadSize is the size of the head of every cluster that Writer makes: ID 4, size 8, Timestamp ID and size 2,
// Timestamp 8. It is the same in a file and in PutMedia, so that the uploader can replace it by one with an absolute time.
// The cluster's checksum precedes it and is only in the file.
const ClusterHeadSize = 22

// clusterPrefixSize is the size of ID and size field, which the size field does not count.
const clusterPrefixSize = 12

// PutClusterHead writes a cluster's first ClusterHeadSize bytes. size is the size of the complete cluster in bytes, as in
// Fragment; timestamp is in ms.
func PutClusterHead(dst []byte, size, timestamp int64) {
	putClusterHead(dst, clusterSizeField(size), timestamp)
}

// clusterSizeField returns the size field in the head of a cluster of size bytes.
func clusterSizeField(size int64) uint64 { return element.Size8(size - clusterPrefixSize) }

func putClusterHead(dst []byte, sizeField uint64, timestamp int64) {
	_ = dst[ClusterHeadSize-1]
	binary.BigEndian.PutUint32(dst, element.IDCluster)
	binary.BigEndian.PutUint64(dst[4:], sizeField)
	dst[12] = element.IDTimestamp
	dst[13] = 0x88
	binary.BigEndian.PutUint64(dst[14:], uint64(timestamp))
}

// completionSize is the size of a cluster's checksum, ID and size field, which are adjacent: they are written last, and at
// once.
const completionSize = sumSize + clusterPrefixSize

// putCompletion writes the bytes that complete a cluster of size bytes, from sumSize before its offset on.
func putCompletion(dst []byte, size int64, sum uint32) {
	_ = dst[completionSize-1]
	putSum(dst, sumMark, sum)
	binary.BigEndian.PutUint32(dst[sumSize:], element.IDCluster)
	binary.BigEndian.PutUint64(dst[sumSize+4:], clusterSizeField(size))
}

// blockHeadSize is the size of the head of a SimpleBlock that Writer makes: ID 1, size 4, track 1, time 2, flags 1.
const blockHeadSize = 9

// maxBlockSize is the most that a 4-byte size field can state, less the block's own head.
const maxBlockSize = 1<<28 - 2 - 4

const (
	flagKeyframe = 0x80 // RFC 9559, section 10.2
	// nalLengthSize is the size of the length before each NAL unit (avcC lengthSizeMinusOne = 3).
	nalLengthSize = 4
)

// appendBlockHead writes the head of a SimpleBlock with dataSize bytes of data; relative is in
// ticks since the cluster's timestamp.
func appendBlockHead(dst []byte, track uint8, relative int16, keyframe bool, dataSize int) []byte {
	size := uint32(dataSize+4) | 0x1000_0000
	flags := byte(0)
	if keyframe {
		flags = flagKeyframe
	}
	return append(dst, element.IDSimpleBlock, byte(size>>24), byte(size>>16), byte(size>>8), byte(size),
		0x80|track, byte(uint16(relative)>>8), byte(relative), flags)
}
