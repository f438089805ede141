package recorder

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/ratelimit"
)

const (
	// maxAudioRate is what is recorded of audio, in bytes per second: 2 Mbit/s. Source: AAC has at most 6144 bits in 1024
	// samples of a channel (ISO/IEC 14496-3, 4.5.3), which is 1.15 Mbit/s of stereo at 96 kHz; G.711 has 64 kbit/s.
	maxAudioRate = 250_000
	// audioRateInterval is how long the rate of audio is measured over.
	audioRateInterval = 10 * time.Second
)

// newAudioLimit bounds the audio of a session, in bytes.
func newAudioLimit() ratelimit.Limit {
	return ratelimit.Limit{Most: maxAudioRate * int64(audioRateInterval/time.Second), Interval: audioRateInterval}
}
