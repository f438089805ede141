// Package sequence interprets the sequence numbers and SSRCs of a track's RTP packets, also of cameras
// that do not count as RFC 3550 says, and emits packets with numbers that show which are missing. It knows neither the
// contents of packets, nor how they are received.
package sequence

import (
	"bytes"
	"encoding/binary"
	"time"
)

// Packet is an RTP packet.
type Packet struct {
	Sequence  uint16
	Timestamp uint32
	Marker    bool
	Payload   []byte
	SSRC      uint32
}

const (
	// Window is how many packets may overtake one, and be missing without a doubt.
	Window = 64
	// MaxRepeat is how far a sequence number may go back and still be a duplicate or a late packet.
	MaxRepeat = 64
	// MaxDropout is how far sequence numbers may run ahead and be a loss; farther ahead, or back, the
	// camera restarted its numbers. Source: RFC 3550, appendix A.1.
	MaxDropout = 3000
)

// arrived is a packet with its time of arrival, and a payload of its own.
type arrived struct {
	Packet
	at time.Time
}

func keep(p Packet, now time.Time) arrived {
	p.Payload = bytes.Clone(p.Payload)
	return arrived{p, now}
}

// fingerprint distinguishes packets with the same number, mostly: a duplicate has the same fingerprint. It is never 0.
func (p *Packet) fingerprint() uint32 {
	const (
		prime = 0x9E3779B97F4A7C15
		word  = 8
	)
	h := uint64(p.Timestamp)<<32 | uint64(len(p.Payload))<<1
	if p.Marker {
		h |= 1
	}
	mix := func(v uint64) { h = (h ^ v) * prime; h ^= h >> 29 }
	mix(uint64(p.SSRC))
	if n := len(p.Payload); n >= word {
		mix(binary.LittleEndian.Uint64(p.Payload))
		mix(binary.LittleEndian.Uint64(p.Payload[n/2-word/2:]))
		mix(binary.LittleEndian.Uint64(p.Payload[n-word:]))
	} else {
		for _, b := range p.Payload {
			mix(uint64(b))
		}
	}
	return uint32(h>>32) | 1
}
