// Package traffic bounds what a camera may send, whatever that is. It knows nothing of what is in it.
package traffic

import (
	"errors"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/ratelimit"
)

const (
	// interval is over how long the rate of a camera is measured: keyframes and what was held up
	// come in bursts.
	interval = 10 * time.Second
	// MaxPayload is what may come of RTP payload within 10 s, in bytes.
	MaxPayload = kvslimit.BytesPerSecond * int64(interval/time.Second)
)

// NewPayloadLimit finds out when a camera sends more than can be recorded for KVS: so many bytes in 10 s.
func NewPayloadLimit(bytes int64) ratelimit.Limit {
	return ratelimit.Limit{Most: bytes, Interval: interval}
}

// NewMessageLimit counts the messages of a camera.
func NewMessageLimit() ratelimit.Limit {
	return ratelimit.Limit{Most: maxMessages, Interval: interval}
}

const (
	// maxOpening is what a camera may send before it is asked to play, in bytes: a few answers and a description. Source:
	// the RTSP library takes a body of 128 KiB.
	maxOpening = 1 << 20
	// maxUnasked is what may come between PLAY and its answer, in bytes: the first pictures of a hasty camera.
	maxUnasked = 2 * accessunit.MaxBytes
	// MaxUnplayed is what may come before PLAY is answered, in bytes.
	MaxUnplayed = maxOpening + maxUnasked
	// maxMessages is how many RTSP messages may come within the interval: keepalives, and what a camera asks of us.
	maxMessages = 1000
	// UnreadableSize stands for the size of a packet that is not known, in bytes: that of a small one, as it is the packets that take
	// time.
	UnreadableSize = 1000
	// overhead is what the packets of a whole interval need beside their payload, in parts of it.
	overhead = 8
)

var (
	// ErrFlood says that a camera sends too much.
	ErrFlood = errors.New("more than 100 Mbit/s came")
	// ErrEarly says that it does so before it plays.
	ErrEarly = errors.New("much came before the camera was asked to play")
)

// Stage is how far a session has come.
type Stage uint8

// The stages.
const (
	Describing Stage = iota // PLAY was not sent
	Asking                  // PLAY was not answered
	Played
)

// Meter bounds what comes over the connections of a session, whatever it is: audio, RTCP, channels that nobody asked for,
// messages, noise. One goroutine at a time uses it.
type Meter struct {
	before  int64 // bytes that came before the camera plays
	playing ratelimit.Limit
}

// NewMeter makes one for a session of which so much payload may come within 10 s.
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
