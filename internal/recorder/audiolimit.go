package recorder

import "time"

const (
	// maxAudioRate is what is recorded of audio, in bytes per second: 2 Mbit/s. Source: AAC has at most 6144 bits in 1024
	// samples of a channel (ISO/IEC 14496-3, 4.5.3), which is 1.15 Mbit/s of stereo at 96 kHz; G.711 has 64 kbit/s.
	maxAudioRate = 250_000
	// audioRateInterval is how long the rate of audio is measured over.
	audioRateInterval = 10 * time.Second
)

// audioRate counts the audio of a session.
type audioRate struct {
	since time.Time
	bytes int64
}

// exceeds counts a frame, and reports whether more has come within audioRateInterval than is recorded.
func (r *audioRate) exceeds(size int, now time.Time) bool {
	if now.Sub(r.since) >= audioRateInterval {
		*r = audioRate{since: now}
	}
	r.bytes += int64(size)
	return r.bytes > maxAudioRate*int64(audioRateInterval/time.Second)
}
