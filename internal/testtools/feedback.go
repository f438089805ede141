package testtools

import "encoding/binary"

// FeedbackOfManyPackets is a packet of RTCP, of 26 bytes and 18 for each round, that reports the arrival of 65,535 packets. A
// parser whose counter of them wraps starts over in each round, and keeps what it read (transport-wide congestion control:
// draft-holmer-rmcat-transport-wide-cc-extensions, section 3.1).
func FeedbackOfManyPackets(rounds int) []byte {
	const (
		received   = 1 << 13 // a run of packets that arrived, in a chunk
		longestRun = 1<<13 - 1
		vector     = 1 << 15 // a chunk of 14 packets, none of which arrived
		inVector   = 14
	)
	b := []byte{2<<6 | 15, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0}
	left := 1<<16 - 2
	for range rounds {
		for ; left > 0; left -= min(left, longestRun) {
			b = binary.BigEndian.AppendUint16(b, uint16(received|min(left, longestRun)))
		}
		b = binary.BigEndian.AppendUint16(b, vector)
		left = 1<<16 - 2 - (inVector - 2)
	}
	b = append(b, 0, 0, 0, 0)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)/4-1))
	return b
}
