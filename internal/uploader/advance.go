package uploader

import "github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"

// ranks orders the acknowledgements of a fragment (API reference, PutMedia). Another kind has none.
var ranks = map[kvs.EventType]int{kvs.Buffering: 1, kvs.Received: 2, kvs.Persisted: 3}

// advance notes an acknowledgement, and reports whether the fragment has come farther by it. What was said before, or takes
// a word back, is no progress: it could go on for ever.
func (s *shot) advance(event kvs.EventType) bool {
	rank := ranks[event]
	if rank <= s.heard {
		return false
	}
	s.heard = rank
	return true
}
