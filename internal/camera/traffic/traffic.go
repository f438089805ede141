// Package traffic bounds how much a camera may send. It does not interpret the data.
package traffic

import (
	"errors"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/ratelimit"
)

const (
	// interval is the interval over which the rate of a camera is measured: keyframes and delayed data
	// arrive in bursts.
	interval = 10 * time.Second
	// MaxPayload is how much RTP payload may arrive within 10 s, in bytes.
	MaxPayload = kvslimit.BytesPerSecond * int64(interval/time.Second)
)

// NewPayloadLimit detects that a camera sends more than can be recorded for KVS: more than that number of bytes in 10 s.
func NewPayloadLimit(bytes int64) ratelimit.Limit {
	return ratelimit.Limit{Most: bytes, Interval: interval}
}

// NewMessageLimit counts the messages of a camera.
func NewMessageLimit() ratelimit.Limit {
	return ratelimit.Limit{Most: maxMessages, Interval: interval}
}

const (
	// maxOpening is how much a camera may send before it is asked to play, in bytes: a few answers and a description. Source:
	// the RTSP library accepts a body of 128 KiB.
	maxOpening = 1 << 20
	// maxUnasked is how much may arrive between PLAY and its answer, in bytes: the first pictures of a hasty camera.
	maxUnasked = 2 * accessunit.MaxBytes
	// MaxUnplayed is how much may arrive before PLAY is answered, in bytes.
	MaxUnplayed = maxOpening + maxUnasked
	// maxMessages is how many RTSP messages may arrive within the interval: answers to keepalives, and a camera's own requests.
	maxMessages = 1000
	// UnreadableSize is the assumed size of a packet whose size is unknown, in bytes: that of a small one, as the number of packets
	// matters.
	UnreadableSize = 1000
	// overhead is the share of non-payload bytes in a whole interval: 1/overhead of the payload.
	overhead = 8
)

var (
	// ErrFlood: a camera sends too much.
	ErrFlood = errors.New("more than 100 Mbit/s arrived")
	// ErrEarly: a camera sends too much before it plays.
	ErrEarly = errors.New("too much arrived before the camera was asked to play")
)

// Stage is the progress of a session.
type Stage uint8

// The stages.
const (
	Describing Stage = iota // PLAY was not sent
	Asking                  // PLAY was not answered
	Played
)

// Meter bounds the bytes on the connections of a session, whatever they are: audio, RTCP, unknown channels,
// messages, meaningless bytes. One goroutine at a time uses it.
type Meter struct {
	before  int64 // bytes that arrived before the camera plays
	playing ratelimit.Limit
}

// NewMeter returns a meter for a session with this limit of payload within 10 s.
func NewMeter(payload int64) Meter {
	return Meter{playing: NewPayloadLimit(payload + payload/overhead + maxUnasked)}
}

// Add counts bytes. Its error is ErrFlood or ErrEarly, and ends the session.
func (m *Meter) Add(n int, at Stage, now time.Time) error {
	if at == Played {
		if m.playing.Exceeds(int64(n), now) {
			return ErrFlood
		}
		return nil
	}
	m.before += int64(n)
	switch {
	case at == Describing && m.before > maxOpening:
		return ErrEarly
	case m.before > MaxUnplayed:
		return ErrEarly
	}
	return nil
}
