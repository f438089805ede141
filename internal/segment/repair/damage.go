package repair

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// Damaged returns the parts of a finished segment that cannot be read, as fragments: the ranges between the readable
// fragments, list, and up to the segment's end.
func Damaged(m *mkv.Reader, list []mkv.Fragment, end time.Duration) ([]mkv.Fragment, error) {
	ranges, err := m.Unread()
	if err != nil {
		return nil, err
	}
	damaged := make([]mkv.Fragment, 0, len(ranges))
	behind, next := time.Duration(0), 0 // the end of the readable media before a range, and what follows it
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
		return damaged, nil // the last range extends to the end
	}
	if n := len(list); n > 0 {
		behind = list[n-1].Last + time.Millisecond
	}
	if behind <= end-time.Millisecond || len(list) == 0 { // the file was truncated
		damaged = append(damaged, mkv.Fragment{Start: behind, Last: end})
	}
	return damaged, nil
}
