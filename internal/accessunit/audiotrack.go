package accessunit

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// The track numbers in a file.
const (
	VideoNumber = 1
	AudioNumber = 2
)

// AudioTrack is a camera's audio that can be recorded.
type AudioTrack struct {
	Track   mkv.Track
	Rate    int    // RTP ticks per second
	Silence []byte // a frame of silence, for fragments in which the camera sends no audio; nil: they need none
	Most    int64  // bytes per second that are recorded
}

// NewAudioTrack describes audio with a clock rate in ticks per second.
func NewAudioTrack(f audio.Format, rate int) *AudioTrack {
	return &AudioTrack{Track: f.Track(AudioNumber), Rate: rate, Silence: f.Silence(), Most: f.MaxRate()}
}
