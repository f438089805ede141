package segment

import "iter"

// Kinds says which finished segments a Walk visits.
type Kinds uint8

// The kinds of finished segments.
const (
	NotUploaded Kinds = 1 << iota
	UploadedWhole
	UploadedRefused // uploaded but for fragments that the service refused
	Finished        = NotUploaded | UploadedWhole | UploadedRefused
)

// Walk visits a stream's finished segments of these kinds, oldest first. It holds no lock between
// two of them, so they may be deleted on the way; and it looks at no more than it visits, so that
// taking the oldest few of a million costs as much as taking them of ten.
func (s *Store) Walk(stream string, which Kinds) iter.Seq[Info] {
	return func(yield func(Info) bool) {
		var heads []walkHead
		for bit, k := range map[Kinds]kind{NotUploaded: kindSealed, UploadedWhole: kindUploaded, UploadedRefused: kindRefused} {
			if which&bit != 0 {
				heads = append(heads, walkHead{kind: k, from: first})
			}
		}
		for {
			info, ok := s.step(stream, heads)
			if !ok || !yield(info) {
				return
			}
		}
	}
}

// walkHead is how far a Walk has come with one kind.
type walkHead struct {
	kind kind
	from id
	done bool
}

// step gives the oldest of the heads and moves that one on.
func (s *Store) step(stream string, heads []walkHead) (Info, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	if st == nil {
		return Info{}, false
	}
	oldest, at := -1, 0
	for n := range heads {
		h := &heads[n]
		if h.done {
			continue
		}
		i, ok := st.index.next(h.kind, h.from)
		if !ok {
			h.done = true
			continue
		}
		h.from = st.index.entries[i].id
		if oldest < 0 || i < at {
			oldest, at = n, i
		}
	}
	if oldest < 0 {
		return Info{}, false
	}
	heads[oldest].from = heads[oldest].from.next()
	return st.info(st.index.entries[at]), true
}
