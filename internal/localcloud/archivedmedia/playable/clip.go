package playable

import (
	"bytes"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/pmp4"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
)

// clipScale is the ticks of a second in a clip, as Matroska has them: a clip of a day fits into the 32 bits of its length.
const clipScale = 1000

// Clip collects fragments for a file of MP4.
type Clip struct {
	tracks  Tracks
	samples [][]clipSample // by track
	end     time.Duration
}

// clipSample is a sample with its times since the clip's start.
type clipSample struct {
	Sample
	at, shown int64 // decoded and presented, in ticks
}

// NewClip returns a clip of such tracks.
func NewClip(tracks Tracks) *Clip {
	return &Clip{tracks: tracks, samples: make([][]clipSample, len(tracks))}
}

// Add adds a fragment, which begins that long after the first one, and is played that long.
func (c *Clip) Add(files *archive.Reader, f archive.Fragment, after, length time.Duration) error {
	for i := range c.tracks {
		samples, err := c.tracks[i].Samples(files, f)
		if err != nil {
			return err
		}
		wait := samples[0].PTS - samples[0].DTS
		for _, s := range samples {
			c.samples[i] = append(c.samples[i], clipSample{s, max(0, (after + s.DTS + wait).Milliseconds()),
				max(0, (after + s.PTS).Milliseconds())})
		}
	}
	c.end = max(c.end, after+length)
	return nil
}

// File returns the file of MP4. Where fragments are missing the picture in front of the gap stays.
func (c *Clip) File() ([]byte, error) {
	var file pmp4.Presentation
	for i, t := range c.tracks {
		track := &pmp4.Track{ID: i + 1, TimeScale: clipScale, Codec: t.Codec}
		now := int64(0)
		if list := c.samples[i]; len(list) > 0 {
			now = list[0].at
			track.TimeOffset = int32(now)
		}
		for j, s := range c.samples[i] {
			next := c.end.Milliseconds()
			if j+1 < len(c.samples[i]) {
				next = c.samples[i][j+1].at
			}
			next = max(now, next)
			track.Samples = append(track.Samples, &pmp4.Sample{
				Duration: uint32(next - now), PTSOffset: int32(s.shown - now), IsNonSyncSample: !s.Key,
				PayloadSize: uint32(len(s.Data)), GetPayload: func() ([]byte, error) { return s.Data, nil },
			})
			now = next
		}
		file.Tracks = append(file.Tracks, track)
	}
	var out bytes.Buffer
	if err := file.Marshal(&out); err != nil {
		return nil, err
	}
	return c.tracks.nameG711(out.Bytes()), nil
}
