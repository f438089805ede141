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

// loadGaps reads the noted gaps of a stream. Segments that were being written are not in the catalog yet.
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

// keepGaps writes, once per stream, the line that states from which segment on gaps are noted, and the notes that could not
// be written before. Recording does not wait for it.
func (s *Store) keepGaps() {
	s.mu.Lock()
	var unsaved []*gaps.Notes
	for _, st := range s.streams {
		if st.Gaps.Unsaved() && !st.Deleting && st.Device != 0 {
			unsaved = append(unsaved, st.Gaps)
		}
	}
	s.mu.Unlock()
	for _, n := range unsaved {
		_ = n.Write() // what fails is tried again
	}
}

// noteGaps notes the gaps within a segment that is finished. When the disk fails, keepGaps writes them later.
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

// Gaps reads the gaps within the segment from the heads of all its frames, for a segment whose Info does not have them.
func (r *Reader) Gaps() ([]Gap, error) {
	list, _, err := r.Fragments()
	if err != nil {
		return nil, err
	}
	spans, err := gaps.Of(r, list)
	return streams.Within(r.key, spans), err
}
