package recorder

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/ratelimit"
)

const (
	// maxAudioRate is the recorded rate of audio whose track states no other limit, in bytes per second: 2 Mbit/s.
	maxAudioRate = 250_000
	// audioRateInterval is the interval over which the rate of audio is measured.
	audioRateInterval = 10 * time.Second
)

// newAudioLimit bounds the audio of a session, in bytes per second; 0 means maxAudioRate.
func newAudioLimit(rate int64) ratelimit.Limit {
	if rate <= 0 {
		rate = maxAudioRate
	}
	return ratelimit.Limit{Most: rate * int64(audioRateInterval/time.Second), Interval: audioRateInterval}
}
