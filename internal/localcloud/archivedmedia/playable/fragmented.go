package playable

import (
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
)

// Timescale is the ticks of a second in MP4.
const Timescale = 90_000

// Ticks is a time in MP4, rounded down.
func Ticks(d time.Duration) int64 { return d.Microseconds() * (Timescale / 1000) / 1000 }

// Init returns the initialization fragment of the track: its ftyp and moov.
func (t *Track) Init() ([]byte, error) {
	var out seekablebuffer.Buffer
	init := fmp4.Init{Tracks: []*fmp4.InitTrack{{ID: 1, TimeScale: Timescale, Codec: t.Codec}}}
	if err := init.Marshal(&out); err != nil {
		return nil, err
	}
	return Tracks{*t}.nameG711(out.Bytes()), nil
}

// Part returns the moof and mdat of a fragment's samples. The fragment begins that long after the session's first one, and its
// last frame lasts until its end. The first frame is presented when it is decoded, so that a session begins at 0; audio that
// begins before its session is put there too.
func (t *Track) Part(samples []Sample, number uint32, after, length time.Duration) ([]byte, error) {
	wait := samples[0].PTS - samples[0].DTS
	track := &fmp4.PartTrack{ID: 1, BaseTime: uint64(max(0, Ticks(after+samples[0].PTS)))}
	for i, s := range samples {
		next := length
		if i+1 < len(samples) {
			next = samples[i+1].DTS + wait
		}
		at := s.DTS + wait
		track.Samples = append(track.Samples, &fmp4.Sample{
			Duration: uint32(max(0, Ticks(next)-Ticks(at))), PTSOffset: int32(Ticks(s.PTS) - Ticks(at)),
			IsNonSyncSample: !s.Key, Payload: s.Data,
		})
	}
	var out seekablebuffer.Buffer
	part := fmp4.Part{SequenceNumber: number, Tracks: []*fmp4.PartTrack{track}}
	if err := part.Marshal(&out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
