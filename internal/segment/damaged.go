package segment

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/repair"
)

// damagedReason is noted of media that cannot be read any more. It counts as refused: it is not in the cloud, and
// what is left of it is kept.
const damagedReason = "DAMAGED_ON_DISK"

// Damaged lists what of a finished segment cannot be read, as if it were fragments: between those that can be, and up
// to the end that the segment's name has.
func (r *Reader) Damaged() ([]mkv.Fragment, error) {
	if r.shown != nil {
		return nil, nil // what was written a moment ago
	}
	list, _, err := r.Fragments()
	if err != nil {
		return nil, err
	}
	m, err := r.container()
	if err != nil {
		return nil, err
	}
	return repair.Damaged(m, list, r.store.infoOf(r.key).End.Sub(r.key.StartTime()))
}

// noteDamaged notes what of a segment cannot be read, of which all else is done, and reports whether there is any.
func (s *Store) noteDamaged(r *Reader) (any bool, err error) {
	damaged, err := r.Damaged()
	if err != nil {
		return false, err
	}
	for _, f := range damaged {
		if err := s.MarkRefused(r.key, f, damagedReason); err != nil {
			return true, err
		}
	}
	return len(damaged) > 0, nil
}
