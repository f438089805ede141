package export

import (
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Format is the container of an export.
type Format uint8

// The formats.
const (
	Matroska Format = iota
	MP4
)

// container is the file that is written, in one of the formats.
type container interface {
	// fits fails when a segment cannot be in one file with the previous ones.
	fits(r *segment.Reader) error
	// plan takes note of fragments that are going to be added.
	plan(r *segment.Reader, fragments []mkv.Fragment) error
	// indexBytes is how long the index will be, where the caller writes it.
	indexBytes() int64
	// begin writes what precedes the first fragment, which is at that time.
	begin(r *segment.Reader, first mkv.Fragment, at time.Time) error
	// add writes a fragment at a time since begin.
	add(r *segment.Reader, f mkv.Fragment, at time.Duration) error
	// end writes what follows the last fragment, and adds to what is known of the file.
	end(*Result) error
}

func newContainer(o Options, out mkv.File) container {
	if o.Format == MP4 {
		return newFragmented(o.Stream, out)
	}
	return &matroska{stream: o.Stream, out: out, only: o.Copied != nil}
}

// matroska copies clusters.
type matroska struct {
	stream string
	out    mkv.File
	only   bool // the caller has no other container
	tracks []mkv.Track
	writer *mkv.Writer
}

func (m *matroska) fits(r *segment.Reader) error {
	if m.tracks == nil {
		m.tracks = r.Header().Tracks
	}
	if slices.EqualFunc(m.tracks, r.Header().Tracks, mkv.Track.Equal) {
		return nil
	}
	const sentence = "The camera of stream %s changed its format at %s, and one file cannot hold both: " +
		"export once --to and once --from that time"
	at := r.RecordedAt(0).Format(time.RFC3339Nano)
	if !m.only && m.tracks[0].CodecID == r.Header().Tracks[0].CodecID {
		return health.UserFault(Code, ErrFormat, sentence+", or to MP4, which can.", m.stream, at)
	}
	return health.UserFault(Code, ErrFormat, sentence+".", m.stream, at)
}

func (*matroska) plan(*segment.Reader, []mkv.Fragment) error { return nil }

func (*matroska) indexBytes() int64 { return 0 }

func (m *matroska) begin(r *segment.Reader, _ mkv.Fragment, at time.Time) (err error) {
	header := r.Header()
	header.Start = at
	m.writer, err = mkv.NewWriter(m.out, header, mkv.WriterOptions{})
	return err
}

func (m *matroska) add(r *segment.Reader, f mkv.Fragment, at time.Duration) error {
	return m.writer.CopyFragment(r, f, at)
}

func (m *matroska) end(result *Result) error {
	err := m.writer.Close()
	result.Bytes = m.writer.Size()
	result.AudioTracks = len(m.tracks) - 1
	return err
}
