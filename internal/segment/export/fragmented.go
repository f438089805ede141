package export

import (
	"bufio"
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

	video   []byte         // the decoder's configuration of the first segment
	inBand  bool           // others have another one
	tracks  []mkv.Track    // what the file has: video first
	leftOut []string       // codecs
	coarse  map[int]uint32 // ticks per second of tracks whose times must not be in samples

	ahead   ahead
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
	m := &fragmented{stream: stream, coarse: make(map[int]uint32)}
	m.ahead.find = m.find
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
		if i == 0 {
			if err := m.ahead.note(r, f); err != nil {
				return err
			}
		}
		if m.origin.IsZero() {
			before, err := lead(r, f, m.find)
			if err != nil {
				return err
			}
			m.origin, m.planned.shift = r.RecordedAt(f.Start), before
		}
		at := max(r.RecordedAt(f.Start).Sub(m.origin), m.length)
		// How long the last samples are shown changes nothing about the index.
		l, err := m.planned.fragment(fragmentSource{r: r, f: f, at: at, find: m.find})
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

// coarser are the ticks per second of audio that pauses for longer than its own rate can count.
var coarser = []uint32{mp4.MovieTimescale, 100, 10, 1}

// checkGaps looks for times without media that are too long for a table of MP4, as readers take it.
func (m *fragmented) checkGaps(at time.Time) error {
	for i, t := range m.planned.tracks {
		if t.Longest <= maxDelta {
			continue
		}
		if t.Video() {
			return health.UserFault(Code, ErrFormat, "No video was recorded of stream %s for more than 24 days before %s, which MP4 cannot hold: "+
				"export once --to and once --from that time, or to Matroska.", m.stream, at.Format(time.RFC3339Nano))
		}
		seconds := t.Longest/uint64(t.Timescale) + 1
		fits := slices.IndexFunc(coarser, func(scale uint32) bool { return seconds*uint64(scale) <= maxDelta })
		m.coarse[i] = coarser[max(fits, 0)]
	}
	return nil
}

func (m *fragmented) indexBytes() int64 { return m.index.Bytes(m.describe(m.origin, m.planned.shift)) }

// describe returns the file's description. Its first fragment starts at a time, and what precedes that in it so much earlier.
func (m *fragmented) describe(start time.Time, shift time.Duration) mp4.Movie {
	movie := mp4.Movie{Title: m.stream, Start: start.Add(-shift), Length: m.length + shift}
	for i, t := range m.tracks {
		track, _ := mp4.NewTrack(uint32(i+1), t, m.inBand) // it was made before
		if scale := m.coarse[i]; scale > 0 {
			track.Timescale = scale
		}
		track.Delay = m.planned.tracks[i].Early
		movie.Tracks = append(movie.Tracks, track)
	}
	return movie
}

func (m *fragmented) begin(r *segment.Reader, first mkv.Fragment, at time.Time) error {
	before, err := lead(r, first, m.find)
	if err != nil {
		return err
	}
	m.movie, m.written.shift = m.describe(at, before), before
	for i, t := range m.movie.Tracks {
		m.written.add(t, m.tracks[i])
	}
	_, err = m.out.Write(mp4.AppendHeader(nil, m.movie))
	return err
}

func (m *fragmented) add(r *segment.Reader, f mkv.Fragment, at time.Duration) error {
	fragments, _, err := r.Fragments()
	if err != nil {
		return err
	}
	i, _ := slices.BinarySearchFunc(fragments, f.Offset, func(o mkv.Fragment, offset int64) int { return int(o.Offset - offset) })
	next, err := m.ahead.after(r, fragments, i)
	if err != nil {
		return err
	}
	source := fragmentSource{r, f, at, next, m.find, 0}
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
	for i, list := range l.places {
		for _, p := range list {
			if l.chunks[i].Track.Video() && p.Keyframe {
				if _, err := m.out.Write(sets); err != nil {
					return err
				}
			}
			if err := m.copy(r, p); err != nil {
				return err
			}
		}
	}
	return m.out.Flush() // a reader of the stream has what is complete
}

// copy writes a frame.
func (m *fragmented) copy(r io.ReaderAt, p mkv.Place) error {
	n, err := io.Copy(m.out, io.NewSectionReader(r, p.Offset, p.Size))
	if err == nil && n < p.Size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (m *fragmented) end(result *Result) error {
	if m.number == 0 { // the header is not sent yet, so that this is an answer
		return health.UserFault(Code, nil, "The recordings of stream %s in that time hold no frame that players play in MP4: "+
			"export them to Matroska (.mkv).", m.stream)
	}
	err := m.out.Flush()
	result.Bytes, result.LeftOut = m.size, m.leftOut
	for i, t := range m.written.tracks {
		if i > 0 && t.Started() {
			result.AudioTracks++
		}
	}
	return err
}
