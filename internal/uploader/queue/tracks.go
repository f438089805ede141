package queue

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Audio is which sound is sent with the video.
type Audio uint8

// The values of Audio.
const (
	// AudioPlayable sends AAC. The console and HLS play video alone or with AAC; other sound beside
	// it takes playback away (KVS developer guide, "HLS playback", "GetClip").
	AudioPlayable Audio = iota
	AudioAll            // sends all sound
)

// sends reports whether a track is sent.
func (a Audio) sends(t mkv.Track) bool {
	return a == AudioAll || t.Kind != mkv.Audio || t.CodecID == mkv.CodecAAC
}

// trackChoice is which tracks of the open segment are sent. It stays as it is from one Peek to the next.
type trackChoice struct {
	mkv.Selection
	audio  Audio
	chosen bool
}

// follow chooses again when the setting changed, or for another segment.
func (t *trackChoice) follow(reader *segment.Reader, audio Audio) {
	if !t.chosen || t.audio != audio {
		*t = trackChoice{Selection: mkv.Select(reader.Header(), audio.sends), audio: audio, chosen: true}
	}
}
