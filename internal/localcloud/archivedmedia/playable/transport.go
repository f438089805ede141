package playable

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
)

// lead is put before all times of transport streams, whose clock must not be negative.
const lead = 10 * time.Second

// TransportStream returns a fragment with all tracks as a transport stream. It begins that long after the session's first one.
func (l Tracks) TransportStream(files *archive.Reader, f archive.Fragment, after time.Duration) ([]byte, error) {
	type timed struct {
		Sample
		track int
	}
	var all []timed
	var tracks []*mpegts.Track
	for i := range l {
		samples, err := l[i].Samples(files, f)
		if err != nil {
			return nil, err
		}
		for _, s := range samples {
			all = append(all, timed{s, i})
		}
		tracks = append(tracks, &mpegts.Track{Codec: l[i].inTransportStream()})
	}
	slices.SortStableFunc(all, func(a, b timed) int { return cmp.Compare(a.DTS, b.DTS) })
	var out bytes.Buffer
	w := &mpegts.Writer{W: &out, Tracks: tracks}
	if err := w.Initialize(); err != nil {
		return nil, err
	}
	for _, s := range all {
		if err := l[s.track].write(w, tracks[s.track], s.Sample, lead+after); err != nil {
			return nil, err
		}
	}
	return continuous(withLengths(out.Bytes())), nil
}

func (t *Track) inTransportStream() mpegts.Codec {
	switch codec := t.Codec.(type) {
	case *mp4.CodecH264:
		return &mpegts.CodecH264{}
	case *mp4.CodecH265:
		return &mpegts.CodecH265{}
	default:
		return &mpegts.CodecMPEG4Audio{Config: codec.(*mp4.CodecMPEG4Audio).Config}
	}
}

func (t *Track) write(w *mpegts.Writer, to *mpegts.Track, s Sample, after time.Duration) error {
	pts, dts := Ticks(after+s.PTS), Ticks(after+s.DTS)
	switch codec := t.Codec.(type) {
	case *mp4.CodecH264:
		return w.WriteH264(to, pts, dts, s.units(codec.SPS, codec.PPS))
	case *mp4.CodecH265:
		return w.WriteH265(to, pts, dts, s.units(codec.VPS, codec.SPS, codec.PPS))
	default:
		return w.WriteMPEG4Audio(to, pts, [][]byte{s.Data})
	}
}

// units cuts the NAL units of Data, those of a keyframe behind parameter sets: transport streams have no other place for them.
func (s Sample) units(sets ...[]byte) (units [][]byte) {
	if s.Key {
		units = append(units, sets...)
	}
	for rest := s.Data; len(rest) >= 4; {
		size := binary.BigEndian.Uint32(rest)
		if size > 0 {
			units = append(units, rest[4:4+size])
		}
		rest = rest[4+size:]
	}
	return units
}
