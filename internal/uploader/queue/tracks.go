package queue

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Audio is which audio is sent with the video.
type Audio uint8

// The values of Audio.
const (
	// AudioPlayable sends AAC. The console and HLS play video alone or with AAC; with other audio they
	// play nothing (KVS developer guide, "HLS playback", "GetClip").
	AudioPlayable Audio = iota
	AudioAll            // sends all audio that the service plays anywhere
)

// sends reports whether a track is sent.
func (a Audio) sends(t mkv.Track) bool {
	if t.Kind != mkv.Audio {
		return true
	}
	upload := audio.UploadOf(t)
	return upload == audio.Played || upload == audio.Stored && a == AudioAll
}

// trackChoice is which tracks of the open segment are sent. It stays as it is from one Peek to the next.
type trackChoice struct {
	mkv.Selection
	mode   Audio
	chosen bool
}

// follow chooses again when the setting changed, or for another segment.
func (t *trackChoice) follow(reader *segment.Reader, mode Audio) {
	if !t.chosen || t.mode != mode {
		*t = trackChoice{Selection: mkv.Select(reader.Header(), mode.sends), mode: mode, chosen: true}
	}
}
