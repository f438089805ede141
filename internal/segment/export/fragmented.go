package export

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/mp4"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// fragmented writes MP4, a fragment for each of the store. Video is one track, as players play one, also where its parameter sets
// change: then keyframes carry them. Audio has a track for each of its formats, as a track of MP4 has one sample rate.
type fragmented struct {
	stream string
	out    *bufio.Writer
	size   int64

	video   []byte       // the decoder's configuration of the first segment
	inBand  bool         // others have another one
	tracks  []mkv.Track  // what the file has: video first
	leftOut []string     // codecs
	coarse  map[int]bool // those of tracks whose times must not be in samples

	planned layout        // times, as far as the export is planned
	index   mp4.IndexSize // of the planned file
	origin  time.Time     // when the planned file begins
	length  time.Duration // of the planned file

	movie   mp4.Movie
	written layout
	number  uint32 // of the newest fragment
	head    []byte // of a fragment; reused
}

func newFragmented(stream string, out io.Writer) *fragmented {
	m := &fragmented{stream: stream, coarse: make(map[int]bool)}
	m.out = bufio.NewWriterSize(countingWriter{out, &m.size}, 256<<10)
	return m
}

// countingWriter counts what is written.
type countingWriter struct {
	io.Writer
	n *int64
}

func (w countingWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	*w.n += int64(n)
	return n, err
}

func (m *fragmented) fits(r *segment.Reader) error {
	for _, t := range r.Header().Tracks {
		if t.Kind == mkv.Video && len(m.tracks) > 0 && t.CodecID != m.tracks[0].CodecID {
			return health.UserFault(Code, ErrFormat, "The camera of stream %s changed its video codec at %s, and one file cannot hold both: "+
				"export once --to and once --from that time.", m.stream, r.RecordedAt(0).Format(time.RFC3339Nano))
		}
	}
	return nil
}

// learn adds the tracks of a segment to those of the file.
func (m *fragmented) learn(tracks []mkv.Track) {
	for _, t := range tracks {
		if t.Kind == mkv.Video && m.video != nil {
			m.inBand = m.inBand || string(t.CodecPrivate) != string(m.video)
			continue
		}
		if m.find(t) >= 0 {
			continue
		}
		track, ok := mp4.NewTrack(uint32(len(m.tracks)+1), t, false)
		if !ok {
			if name := audio.NameOf(t); !slices.Contains(m.leftOut, name) {
				m.leftOut = append(m.leftOut, name)
			}
			continue
		}
		if t.Kind == mkv.Video {
			m.video = append([]byte{}, t.CodecPrivate...)
		}
		m.tracks = append(m.tracks, t)
		m.planned.add(track, t)
	}
}

// find returns which track of the file holds that of a segment, or -1.
func (m *fragmented) find(t mkv.Track) int {
	return slices.IndexFunc(m.tracks, func(o mkv.Track) bool {
		if t.Kind == mkv.Video {
			return o.Kind == mkv.Video
		}
		o.Number = t.Number
		return o.Equal(t)
	})
}

func (m *fragmented) plan(r *segment.Reader, fragments []mkv.Fragment) error {
	m.learn(r.Header().Tracks)
	for i, f := range fragments {
		if m.origin.IsZero() {
			m.origin = r.RecordedAt(f.Start)
		}
		at := max(r.RecordedAt(f.Start).Sub(m.origin), m.length)
		l, err := m.planned.fragment(fragmentSource{r, f, at, nextOf(fragments, i), m.find, 0})
		if err != nil {
			return err
		}
		if err := m.checkGaps(r.RecordedAt(f.Start)); err != nil {
			return err
		}
		m.index.Add(l.chunks)
		m.length = at + f.Last - f.Start + time.Millisecond
	}
	return nil
}

// checkGaps looks for times without media that are too long for a table of MP4, as readers take it.
func (m *fragmented) checkGaps(at time.Time) error {
	for i, t := range m.planned.tracks {
		if t.longest <= maxDelta {
			continue
		}
		if t.longest/uint64(t.Timescale) > maxDelta/mp4.MovieTimescale {
			return health.UserFault(Code, ErrFormat, "Nothing was recorded of stream %s for more than 24 days before %s, which MP4 cannot hold: "+
				"export once --to and once --from that time, or to Matroska.", m.stream, at.Format(time.RFC3339Nano))
		}
		m.coarse[i] = true
	}
	return nil
}

func (m *fragmented) indexBytes() int64 { return m.index.Bytes(m.describe(m.origin)) }

// describe returns the file's description.
func (m *fragmented) describe(start time.Time) mp4.Movie {
	movie := mp4.Movie{Title: m.stream, Start: start, Length: m.length}
	for i, t := range m.tracks {
		track, _ := mp4.NewTrack(uint32(i+1), t, m.inBand) // it was made before
		if m.coarse[i] {
			track.Timescale = mp4.MovieTimescale
		}
		track.Delay = m.planned.tracks[i].early
		movie.Tracks = append(movie.Tracks, track)
	}
	return movie
}

func (m *fragmented) begin(r *segment.Reader, first mkv.Fragment, at time.Time) error {
	m.movie = m.describe(at)
	for i, t := range m.movie.Tracks {
		m.written.add(t, m.tracks[i])
	}
	for p, err := range mkv.Places(r, first) { // audio, or pictures, may be of before the first keyframe
		if err != nil {
			return err
		}
		m.written.shift = max(m.written.shift, first.Start-p.Time)
	}
	_, err := m.out.Write(mp4.AppendHeader(nil, m.movie))
	return err
}

func (m *fragmented) add(r *segment.Reader, f mkv.Fragment, at time.Duration) error {
	fragments, _, err := r.Fragments()
	if err != nil {
		return err
	}
	i, _ := slices.BinarySearchFunc(fragments, f.Offset, func(o mkv.Fragment, offset int64) int { return int(o.Offset - offset) })
	source := fragmentSource{r, f, at, nextOf(fragments, i), m.find, 0}
	var sets []byte
	if m.inBand {
		sets = mp4.ParameterSets(r.Header().Tracks[0])
		source.sets = int64(len(sets))
	}
	l, err := m.written.fragment(source)
	if err != nil || len(l.chunks) == 0 {
		return err
	}
	m.number++
	m.head = mp4.AppendFragment(m.head[:0], m.number, l.chunks)
	if _, err := m.out.Write(m.head); err != nil {
		return err
	}
	for _, list := range l.places {
		for _, p := range list {
			if err := m.copy(r, p, sets); err != nil {
				return err
			}
		}
	}
	return m.out.Flush() // a reader of the stream has what is complete
}

// nextOf returns when the next fragment starts, 0 for none.
func nextOf(fragments []mkv.Fragment, i int) time.Duration {
	if i+1 < len(fragments) {
		return fragments[i+1].Start
	}
	return 0
}

// copy writes a frame. sets precede a keyframe of video.
func (m *fragmented) copy(r io.ReaderAt, p mkv.Place, sets []byte) error {
	if p.Track == 1 && p.Keyframe {
		if _, err := m.out.Write(sets); err != nil {
			return err
		}
	}
	n, err := io.Copy(m.out, io.NewSectionReader(r, p.Offset, p.Size))
	if err == nil && n < p.Size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (m *fragmented) end(result *Result) error {
	err := m.out.Flush()
	result.Bytes, result.LeftOut = m.size, m.leftOut
	for i, t := range m.written.tracks {
		if i > 0 && t.started {
			result.AudioTracks++
		}
	}
	if err == nil && m.number == 0 {
		err = errors.New("there is no frame in the recordings")
	}
	return err
}
