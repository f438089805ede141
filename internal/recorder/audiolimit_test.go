package recorder

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// TestAudioIsBounded has a camera send 288 Mbit/s of G.711 besides its video.
func TestAudioIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &feed{t: t, keyEvery: 25}
		f.start()
		sound := muLawTrack()
		f.v.Begin(accessunit.H264, 90_000, [][]byte{realSPS, realPPS}, &sound)
		f.play(50)
		const size, perPicture = 60_000, 24
		frames, most, bitrate := int64(0), 0, int64(0)
		recorded := f.part.Value(health.BytesRecorded)
		began := time.Now()
		for range 25 * 20 { // pictures
			for i := range perPicture {
				f.v.Audio(make([]byte, size), uint32(int(frames)*160+i), f.now())
				frames++
			}
			most = max(most, f.v.segmenter.audio.bytes)
			f.play(1)
			bitrate = max(bitrate, f.part.Value(health.BitrateBPS))
		}
		rate := float64(f.part.Value(health.BytesRecorded)-recorded) / time.Since(began).Seconds()
		if rate > 2*maxAudioRate {
			t.Errorf("%.0f bytes a second are recorded", rate)
		}
		if spare := len(f.v.segmenter.audio.spare); most > maxAudioWaiting || spare > 0 {
			t.Errorf("%d bytes wait, and %d large frames are kept", most, spare)
		}
		if lost := f.part.Value(health.AudioFramesLost); lost < frames/2 || lost > frames {
			t.Errorf("%d frames of %d are left out", lost, frames)
		}
		if bitrate < 100_000 {
			t.Errorf("the bitrate %d does not count the audio", bitrate)
		}
		c, ok := f.part.Snapshot().Worst()
		if !ok || c.Code != codeAudioRate || !strings.Contains(c.Text, "more than 2 Mbit/s") {
			t.Errorf("%+v", c)
		}
		f.v.endSession()
		if err := f.v.seal(); err != nil {
			t.Error(err)
		}
	})
}

// muLawTrack is G.711 at 8 kHz.
func muLawTrack() accessunit.AudioTrack {
	return *accessunit.NewAudioTrack(audio.Format{Codec: audio.MuLaw, Rate: 8000, Channels: 1}, 8000)
}
