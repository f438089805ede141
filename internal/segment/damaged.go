package segment

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// damagedReason is noted of media that cannot be read any more. It counts as refused: it is not in the cloud, and
// what is left of it is kept.
const damagedReason = "DAMAGED_ON_DISK"

// Damaged lists what of a finished segment cannot be read, as if it were fragments: between those that can be, and up
// to the end that the segment's name has.
func (r *Reader) Damaged() ([]mkv.Fragment, error) {
	if r.writer != nil {
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
	ranges, err := m.Unread()
	if err != nil {
		return nil, err
	}
	end := r.store.infoOf(r.key).End.Sub(r.key.StartTime())
	damaged := make([]mkv.Fragment, 0, len(ranges))
	behind, next := time.Duration(0), 0 // the end of what can be read before a range, and what follows it
	for _, lost := range ranges {
		for ; next < len(list) && list[next].Offset < lost.Offset; next++ {
			behind = list[next].Last + time.Millisecond
		}
		last := end
		if next < len(list) {
			last = list[next].Start - time.Millisecond
		}
		damaged = append(damaged, mkv.Fragment{Offset: lost.Offset, Size: lost.Size, Start: behind, Last: max(behind, last)})
	}
	if next == len(list) && len(ranges) > 0 {
		return damaged, nil // the last range goes to the end
	}
	if n := len(list); n > 0 {
		behind = list[n-1].Last + time.Millisecond
	}
	if behind <= end-time.Millisecond || len(list) == 0 { // the file was cut
		damaged = append(damaged, mkv.Fragment{Start: behind, Last: end})
	}
	return damaged, nil
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
