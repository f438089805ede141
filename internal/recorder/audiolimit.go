package recorder

import (
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

const (
	// maxAudioRate is what is recorded of audio, in bytes per second: 2 Mbit/s. Source: AAC has at most 6144 bits in 1024
	// samples of a channel (ISO/IEC 14496-3, 4.5.3), which is 1.15 Mbit/s of stereo at 96 kHz; G.711 has 64 kbit/s.
	maxAudioRate = 250_000
	// maxAudioWaiting bounds the audio that waits for video of its time, in bytes.
	maxAudioWaiting = 1 << 20
	// maxSpareAudio is the size of a frame whose memory is used again, in bytes: most are smaller.
	maxSpareAudio = 8 << 10
	// audioLimitShown is how long it is shown that audio was left out, since the last time.
	audioLimitShown = 30 * time.Second
)

// audioWindow is over how long the rate of audio is measured.
const audioWindow = 10 * time.Second

// audioRate counts the audio of a session.
type audioRate struct {
	since time.Time
	bytes int64
}

// exceeds counts a frame, and reports whether more has come within audioWindow than is recorded.
func (r *audioRate) exceeds(size int, now time.Time) bool {
	if now.Sub(r.since) >= audioWindow {
		*r = audioRate{since: now}
	}
	r.bytes += int64(size)
	return r.bytes > maxAudioRate*int64(audioWindow/time.Second)
}

// admit reports whether a frame of audio may be recorded, and makes room for it. What is left out is counted and told.
func (s *segmenter) admit(size int, now time.Time) bool {
	if s.sound.limit.exceeds(size, now) {
		s.leftOutAudio(1)
		if s.part.Note(scopeAudioRate, health.Degraded, health.UserFault(codeAudioRate, nil,
			"The camera's audio has more than 2 Mbit/s, of which the rest is left out; the video is recorded: "+
				"set the audio to AAC with an ordinary bitrate, or update the camera's firmware."),
			audioLimitShown) {
			s.o.Log.Warn("the camera sends more audio than is recorded", zap.Int("bytesPerSecond", maxAudioRate))
		}
		return false
	}
	n, bytes := 0, s.sound.bytes
	for w := s.sound.waiting; n < len(w) && (len(w)-n == maxAudioAhead || bytes+size > maxAudioWaiting); n++ {
		bytes -= len(w[n].data) // there is no video to go with
	}
	s.leftOutAudio(n)
	s.sound.drop(n)
	return true
}

// leftOutAudio counts frames of audio that are not recorded.
func (s *segmenter) leftOutAudio(n int) { s.o.numbers.audioLost.Add(int64(n)) }
