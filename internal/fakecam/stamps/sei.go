package stamps

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/nal"
)

// Stamp identifies the frame of an access unit: every access unit of an H.264 camera carries one.
type Stamp struct {
	Counter uint64    // unique among all frames of a camera, contiguous within a session
	Sent    time.Time // when the camera queued the frame, to the microsecond
}

// stampID distinguishes the stamps from other user_data_unregistered SEI messages.
var stampID = [16]byte{0x6b, 0x76, 0x73, 0x2d, 0x65, 0x64, 0x67, 0x65, 0x8f, 0x61, 0x6b, 0x65, 0x63, 0x61, 0x6d, 0x01}

const (
	seiUserDataUnregistered = 5
	stampPayload            = len(stampID) + 16 // bytes: the ID, the counter, the time
)

// Append adds the stamp to b as a SEI NAL unit, without start code or length.
func (s Stamp) Append(b []byte) []byte { return s.appendTo(append(b, nal.H264SEI)) }

// AppendH265 is Append for H.265.
func (s Stamp) AppendH265(b []byte) []byte {
	return s.appendTo(append(b, nal.H265PrefixSEI<<1, 1))
}

func (s Stamp) appendTo(b []byte) []byte {
	var rbsp [2 + stampPayload + 1]byte
	rbsp[0], rbsp[1] = seiUserDataUnregistered, byte(stampPayload)
	copy(rbsp[2:], stampID[:])
	binary.BigEndian.PutUint64(rbsp[18:], s.Counter)
	binary.BigEndian.PutUint64(rbsp[26:], uint64(s.Sent.UnixMicro()))
	rbsp[2+stampPayload] = 0x80
	return nal.AppendEscaped(b, rbsp[:])
}

// OfAccessUnit finds the stamp in an access unit of NAL units with 4-byte lengths (AVCC).
func OfAccessUnit(avcc []byte) (Stamp, bool) {
	for len(avcc) >= 4 {
		size := uint64(binary.BigEndian.Uint32(avcc))
		avcc = avcc[4:]
		if size > uint64(len(avcc)) {
			return Stamp{}, false
		}
		if s, ok := ofNALU(avcc[:size]); ok {
			return s, true
		}
		avcc = avcc[size:]
	}
	return Stamp{}, false
}

// OfNALUs finds the stamp among the NAL units of an access unit.
func OfNALUs(nalus [][]byte) (Stamp, bool) {
	for _, nalu := range nalus {
		if s, ok := ofNALU(nalu); ok {
			return s, true
		}
	}
	return Stamp{}, false
}

func ofNALU(nalu []byte) (Stamp, bool) {
	var rbsp []byte
	switch {
	case len(nalu) > 2 && nalu[0] == nal.H265PrefixSEI<<1 && nalu[1] == 1:
		rbsp = nal.Unescape(nalu[2:])
	case len(nalu) > 1 && nalu[0]&0x1f == nal.H264SEI:
		rbsp = nal.Unescape(nalu[1:])
	default:
		return Stamp{}, false
	}
	for len(rbsp) > 2 { // each SEI message of the NAL unit
		kind, rest := seiNumber(rbsp)
		size, rest := seiNumber(rest)
		if size > len(rest) {
			return Stamp{}, false
		}
		if kind == seiUserDataUnregistered && size == stampPayload && bytes.Equal(rest[:16], stampID[:]) {
			return Stamp{
				Counter: binary.BigEndian.Uint64(rest[16:]),
				Sent:    time.UnixMicro(int64(binary.BigEndian.Uint64(rest[24:]))),
			}, true
		}
		rbsp = rest[size:]
	}
	return Stamp{}, false
}

// seiNumber reads a payload type or size: bytes of 255 and a last one, added up.
func seiNumber(b []byte) (n int, rest []byte) {
	for i, v := range b {
		n += int(v)
		if v != 0xff {
			return n, b[i+1:]
		}
	}
	return n, nil
}
