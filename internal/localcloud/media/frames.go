package media

import (
	"errors"
	"iter"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
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
		files := s.archive.Reader()
		defer files.Close()
		for i, f := range s.Fragments(stream) {
			err := files.Blocks(f, func(e strictmkv.Event) bool {
				if e.Track.Type != strictmkv.TypeVideo {
					return true
				}
				return yield(Frame{Producer: time.Unix(0, int64(e.Time)).UTC(), Keyframe: e.Keyframe, Data: e.Data, Fragment: i}, nil)
			})
			if errors.Is(err, archive.ErrEnough) {
				return
			}
			if err != nil {
				yield(Frame{}, err)
				return
			}
		}
	}
}
