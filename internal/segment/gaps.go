package segment

import (
	"slices"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/gaps"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
)

// GapAfter is the distance of frames from which there is a gap between them.
const GapAfter = gaps.After

// loadGaps reads which gaps are noted of a stream. Segments that were being written are not in the catalog yet.
func (s *Store) loadGaps(st *streams.Stream, torn []layout.ID) {
	var err error
	st.Gaps, err = gaps.Load(s.files, st.Dir, gaps.LoadOptions{
		Noted: s.volume.GapsNoted(), ReadOnly: s.readOnly,
		There: func(k layout.ID) bool {
			_, ok := st.Catalog.Find(k)
			return ok || slices.Contains(torn, k)
		},
	})
	if err != nil {
		logevent.GapsNotNoted.Log(s.log, zap.String("stream", st.Name), zap.Error(err))
	}
}

// keepGaps writes from which segments on gaps are noted, once a stream, and what the disk did not take before.
// Nobody who records waits for it.
func (s *Store) keepGaps() {
	s.mu.Lock()
	var owing []*gaps.Notes
	for _, st := range s.streams {
		if st.Gaps.Owed() && !st.Deleting && st.Device != 0 {
			owing = append(owing, st.Gaps)
		}
	}
	s.mu.Unlock()
	for _, n := range owing {
		_ = n.Write() // what fails is tried again
	}
}

// noteGaps notes the gaps within a segment that is finished. What the disk does not take is written by keepGaps.
func (s *Store) noteGaps(st *streams.Stream, k layout.ID, spans []layout.Span) {
	if err := st.Gaps.Note(k, spans); err != nil {
		logevent.GapsNotNoted.Log(s.log, zap.String("stream", st.Name), zap.Error(err))
	}
}

// recoverGaps notes the gaps within a segment that was recovered.
func (s *Store) recoverGaps(st *streams.Stream, k layout.ID, f file, size int64) {
	if spans, err := gaps.OfFile(f, size); err == nil {
		s.noteGaps(st, k, spans)
	}
}

// Gaps reads where nothing was recorded within the segment, by the heads of all its frames: for one of
// which Info does not say it.
func (r *Reader) Gaps() ([]Gap, error) {
	m, err := r.container()
	if err != nil {
		return nil, err
	}
	list, _, err := r.Fragments()
	if err != nil {
		return nil, err
	}
	spans, err := gaps.Of(m, list)
	return streams.Within(r.key, spans), err
}
