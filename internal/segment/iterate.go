package segment

import (
	"iter"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
)

// Kinds is the set of kinds of finished segments that a Walk visits.
type Kinds = streams.Kinds

// The kinds of finished segments.
const (
	NotUploaded     = streams.NotUploaded
	UploadedWhole   = streams.UploadedWhole
	UploadedRefused = streams.UploadedRefused // uploaded except for fragments that the service refused
	Deletable       = streams.Deletable       // with others: of their segments only those that no hold holds
	Finished        = streams.Finished
)

// Walk visits a stream's finished segments of these kinds, oldest first. It holds no lock between two of them, so they may
// be deleted meanwhile; and it reads only the entries that it visits, so that visiting the oldest few of a million segments
// costs as much as those of ten.
func (s *Store) Walk(stream string, which Kinds) iter.Seq[Info] {
	return func(yield func(Info) bool) {
		heads := which.Heads()
		for {
			info, ok := s.step(stream, heads)
			if !ok || !yield(info) {
				return
			}
		}
	}
}

// step returns the oldest of the heads and advances that one.
func (s *Store) step(stream string, heads []catalog.Head) (Info, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	if st == nil {
		return Info{}, false
	}
	e, ok := st.Catalog.Step(heads)
	if !ok {
		return Info{}, false
	}
	return st.Info(e), true
}
