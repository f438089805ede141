package media

import (
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// Frame is one stored video frame.
type Frame struct {
	Producer time.Time // its time by the producer's clock
	Keyframe bool
	Data     []byte // as it was sent (AVC and HEVC: length-prefixed NAL units); valid until the next frame
	Fragment int    // index in Fragments
}

// Frames reads the stored video frames of a stream back from disk, in the order of arrival. It
// stops after the first error, which it yields beside an empty Frame.
func (s *Service) Frames(stream string) iter.Seq2[Frame, error] {
	return func(yield func(Frame, error) bool) {
		files := mediaFiles{dir: s.o.Dir}
		defer files.close()
		for i, f := range s.Fragments(stream) {
			err := files.blocks(f, func(e strictmkv.Event) bool {
				if e.Track.Type != strictmkv.TypeVideo {
					return true
				}
				return yield(Frame{Producer: time.Unix(0, int64(e.Time)).UTC(), Keyframe: e.Keyframe, Data: e.Data, Fragment: i}, nil)
			})
			if errors.Is(err, errEnough) {
				return
			}
			if err != nil {
				yield(Frame{}, err)
				return
			}
		}
	}
}

var errEnough = errors.New("the caller has had enough")

// mediaFiles reads stored fragments, keeping the last file open.
type mediaFiles struct {
	dir    string
	name   string
	f      *os.File
	header *strictmkv.Header
}

func (m *mediaFiles) close() {
	if m.f != nil {
		_ = m.f.Close() // only read from
	}
}

// open makes the fragment's file the current one.
func (m *mediaFiles) open(f Fragment) error {
	if m.name == f.File {
		return nil
	}
	m.close()
	m.name, m.f = "", nil
	file, err := os.Open(filepath.Join(m.dir, f.File))
	if err != nil {
		return err
	}
	header, err := readHeader(file)
	if err != nil {
		file.Close()
		return err
	}
	m.name, m.f, m.header = f.File, file, header
	return nil
}

// cluster reads the bytes of a stored fragment.
func (m *mediaFiles) cluster(f Fragment) *io.SectionReader {
	return io.NewSectionReader(m.f, f.Offset, f.Bytes)
}

// clusterAsSent reads the Cluster behind clusterHead, or all of it where that is empty.
func (m *mediaFiles) clusterAsSent(f Fragment) *io.SectionReader {
	skip := int64(0)
	if len(f.clusterHead) > 0 {
		skip = clusterHeadSize
	}
	return io.NewSectionReader(m.f, f.Offset+skip, f.Bytes-skip)
}

// blocks shows the blocks of a stored fragment until see returns false.
func (m *mediaFiles) blocks(f Fragment, see func(strictmkv.Event) bool) error {
	if err := m.open(f); err != nil {
		return err
	}
	r := strictmkv.NewClusterReader(m.cluster(f), m.header, strictmkv.Options{AsStored: true, Payload: true})
	for {
		event, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if event.Kind == strictmkv.KindBlock && !see(event) {
			return errEnough
		}
	}
}
