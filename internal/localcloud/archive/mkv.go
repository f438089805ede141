package archive

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// Heads of the few elements that are written here (RFC 9559, section 5).
var (
	ebmlHead = []byte{
		0x1A, 0x45, 0xDF, 0xA3, 0xA3,
		0x42, 0x86, 0x81, 1, 0x42, 0xF7, 0x81, 1, 0x42, 0xF2, 0x81, 4, 0x42, 0xF3, 0x81, 8,
		0x42, 0x82, 0x88, 'm', 'a', 't', 'r', 'o', 's', 'k', 'a',
		0x42, 0x87, 0x81, 4, 0x42, 0x85, 0x81, 2,
	}
	segmentHead = []byte{0x18, 0x53, 0x80, 0x67, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}
)

const writingApp = "kvs-edge localcloud"

// AppendHeader appends the elements before the first Cluster of a file or of GetMedia's answer: the
// same clock and Tracks as the producer sent.
func AppendHeader(b []byte, title string, h *strictmkv.Header) []byte {
	b = append(b, ebmlHead...)
	b = append(b, segmentHead...)
	var info []byte
	info = appendElement(info, []byte{0x2A, 0xD7, 0xB1}, binary.BigEndian.AppendUint32(nil, uint32(h.TimestampScale/time.Nanosecond)))
	info = appendElement(info, []byte{0x7B, 0xA9}, []byte(title))
	info = appendElement(info, []byte{0x4D, 0x80}, []byte(writingApp))
	info = appendElement(info, []byte{0x57, 0x41}, []byte(writingApp))
	b = appendElement(b, []byte{0x15, 0x49, 0xA9, 0x66}, info)
	return append(b, h.RawTracks...)
}

// AppendTags appends a Tags element of one Tag with the pairs of names and values, byte by byte as
// KVS writes it: without Targets, and with sizes of four bytes.
func AppendTags(b []byte, pairs ...string) []byte {
	var tag []byte
	for i := 0; i+1 < len(pairs); i += 2 {
		simple := appendElement(nil, []byte{0x45, 0xA3}, []byte(pairs[i]))
		simple = appendElement(simple, []byte{0x44, 0x87}, []byte(pairs[i+1]))
		tag = appendElement(tag, []byte{0x67, 0xC8}, simple)
	}
	return appendElement(b, []byte{0x12, 0x54, 0xC3, 0x67}, appendElement(nil, []byte{0x73, 0x73}, tag))
}

// appendElement appends an element with a size of four bytes.
func appendElement(b, id, body []byte) []byte {
	b = append(b, id...)
	b = binary.BigEndian.AppendUint32(b, 0x10000000|uint32(len(body)))
	return append(b, body...)
}

// clusterHeadSize is the size of what AppendClusterHead appends.
const clusterHeadSize = 12 + 2 + 8

// AppendClusterHead appends the head of a Cluster of unknown size and its Timestamp.
func AppendClusterHead(b []byte, ticks int64) []byte {
	b = append(b, 0x1F, 0x43, 0xB6, 0x75, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xE7, 0x88)
	return binary.BigEndian.AppendUint64(b, uint64(ticks))
}

// WithUnknownSize returns the head with a Segment of unknown size, in as many bytes as the size had.
func WithUnknownSize(head []byte, size strictmkv.Span) []byte {
	head = slices.Clone(head)
	head[size.Offset] = byte(1<<(9-size.Bytes) - 1)
	for i := size.Offset + 1; i < size.Offset+size.Bytes; i++ {
		head[i] = 0xFF
	}
	return head
}

// Without returns the head without some of its elements, which are in order.
func Without(head []byte, elements []strictmkv.Span) []byte {
	var left []byte
	from := int64(0)
	for _, e := range elements {
		left = append(left, head[from:e.Offset]...)
		from = e.Offset + e.Bytes
	}
	return append(left, head[from:]...)
}
