package mediafile

import (
	"errors"
	"io"
	"slices"
	"time"
)

// mp4 reads an MP4 file (ISO/IEC 14496-12), plain or in fragments.
type mp4 struct {
	file     boxReader
	tracks   []*mp4Track // video, then audio if there is some
	at       int64       // of the next fragment
	fragment []fragmentSample
	// indexPlayed: all samples in the index of a fragmented file were played.
	indexPlayed bool
	buffer      []byte
	nalus       [][]byte
}

// fragmentSample is a sample of a fragment.
type fragmentSample struct {
	track *mp4Track
	sample
	due time.Duration // of decoding
}

// load reads a frame.
func (m *mp4) load(t *mp4Track, s sample) (Frame, error) {
	if s.size > maxFrame {
		return Frame{}, broken("a frame of %d bytes", s.size)
	}
	if _, err := m.file.r.Seek(s.offset, io.SeekStart); err != nil {
		return Frame{}, broken("a frame has the offset %d", s.offset)
	}
	m.buffer = slices.Grow(m.buffer[:0], int(s.size))[:s.size]
	switch _, err := io.ReadFull(m.file.r, m.buffer); {
	case err == nil:
	case !errors.Is(endOf(err), io.EOF):
		return Frame{}, err
	case t.kind == "soun": // the file is truncated, but the next video frame may precede its end
		return Frame{}, errSkipped
	default:
		return Frame{}, errDamaged
	}
	at := ticksToDuration(s.pts-t.shift, t.scale)
	if t.kind == "soun" {
		return Frame{Audio: true, At: at, Data: m.buffer}, nil
	}
	var err error
	m.nalus, err = splitUnits(m.nalus[:0], m.buffer, t.lengthSize)
	return Frame{At: at, NALUs: m.nalus}, err
}

// nextOfBoth plays the samples in the index of a fragmented file, often none, and then the fragments.
func (m *mp4) nextOfBoth() (Frame, error) {
	if !m.indexPlayed {
		f, err := m.nextSample()
		if !errors.Is(err, io.EOF) {
			return f, err
		}
		m.indexPlayed = true
	}
	return m.nextFragment()
}

// nextSample plays a plain file: of both tracks, the sample to be decoded first.
func (m *mp4) nextSample() (Frame, error) {
	var first *mp4Track
	for _, t := range m.tracks {
		if t.scale <= 0 {
			return Frame{}, broken("a track without a time scale")
		}
		if t.samples.more() && (first == nil ||
			ticksToDuration(t.samples.dts-t.shift, t.scale) < ticksToDuration(first.samples.dts-first.shift, first.scale)) {
			first = t
		}
	}
	if first == nil {
		for _, t := range m.tracks {
			t.end = t.samples.dts
		}
		return Frame{}, io.EOF
	}
	s, err := first.samples.next()
	if err == nil && first.block > 0 {
		s, err = first.joined(s)
	}
	if err != nil {
		return Frame{}, err
	}
	return m.load(first, s)
}
