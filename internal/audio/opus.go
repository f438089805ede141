package audio

import (
	"encoding/binary"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// opusRate is the sample rate of Opus in files and over RTP (RFC 7587, section 4.1; RFC 7845, section 4).
const opusRate = 48_000

// opusPreRoll is how much must be decoded before the position of a seek (RFC 7845, section 4.6).
const opusPreRoll = 80 * time.Millisecond

// opusHead returns an OpusHead (RFC 7845, section 5.1). Nothing is skipped at its start: a segment may start anywhere.
func opusHead(channels int, mapping []byte) []byte {
	head := append([]byte("OpusHead"), 1, byte(channels), 0, 0)
	head = binary.LittleEndian.AppendUint32(head, opusRate)
	head = append(head, 0, 0) // no gain
	if len(mapping) == 0 {
		return append(head, 0)
	}
	return append(head, mapping...)
}

// opusFormat returns the format for a number of channels. mapping, from the mapping family on, is needed for more than two.
func opusFormat(channels int, mapping []byte) Format {
	return Format{Codec: Opus, Rate: opusRate, Channels: channels, Config: opusHead(channels, mapping)}
}

// OpusFormat returns the format of an OpusHead, with its magic word as in Matroska or without as in MP4. skipped is the part of the
// start that is not played, and precedes the times of the frames.
func OpusFormat(head []byte) (f Format, skipped time.Duration, ok bool) {
	const magic, fixed = "OpusHead", 19
	if len(head) >= len(magic) && string(head[:len(magic)]) == magic {
		head = head[len(magic):]
		if len(head) < fixed-len(magic) {
			return Format{}, 0, false
		}
		skipped = time.Duration(binary.LittleEndian.Uint16(head[2:])) * time.Second / opusRate
		f = opusFormat(int(head[1]), head[10:])
		copy(f.Config[16:18], head[8:10]) // its gain
		return f, skipped, f.Valid()
	}
	if len(head) < fixed-len(magic) {
		return Format{}, 0, false
	}
	skipped = time.Duration(binary.BigEndian.Uint16(head[2:])) * time.Second / opusRate
	f = opusFormat(int(head[1]), head[10:])
	f.Config[16], f.Config[17] = head[9], head[8]
	return f, skipped, f.Valid()
}

func opusTrack(_ Format, t *mkv.Track) { t.CodecID, t.SeekPreRoll = codecOpus, opusPreRoll }

const codecOpus = "A_OPUS"

// opusSamples counts the samples of a packet (RFC 6716, section 3.1).
func opusSamples(_ Format, packet []byte) int {
	if len(packet) == 0 {
		return 0
	}
	const ms = opusRate / 1000
	frame := 0
	switch config := packet[0] >> 3; {
	case config < 12:
		frame = []int{10, 20, 40, 60}[config%4] * ms
	case config < 16:
		frame = []int{10, 20}[config%2] * ms
	default:
		frame = []int{5, 10, 20, 40}[config%4] * ms / 2
	}
	switch packet[0] & 3 {
	case 0:
		return frame
	case 1, 2:
		return 2 * frame
	}
	if len(packet) < 2 {
		return 0
	}
	return int(packet[1]&0x3F) * frame
}
