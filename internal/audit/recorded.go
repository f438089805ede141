package audit

import (
	"slices"
	"time"
)

// longestSegment bounds how much media the receipts of one segment are read for.
const longestSegment = 2 * time.Hour

// recorded are the segments on the hub: by epoch, as receipts have it, their producer timestamps in order.
type recorded map[uint8][]span

func (u *auditing) readRecorded() recorded {
	all := make(recorded)
	for _, info := range u.o.Store.Segments(u.of.Stream, time.Time{}, time.Time{}) {
		first, _ := u.o.Store.Offsets(info.Key, 0)
		last, _ := u.o.Store.Offsets(info.Key, info.End.Sub(info.StartTime()))
		epoch := uint8(info.Epoch)
		all[epoch] = append(all[epoch], span{info.StartTime().Add(first), info.End.Add(last)})
		if first != 0 || last != 0 { // some of it may have been sent with the file's times
			all[epoch] = append(all[epoch], span{info.StartTime(), info.End})
		}
	}
	for epoch, list := range all {
		slices.SortFunc(list, func(a, b span) int { return a.from.Compare(b.from) })
		whole := list[:1]
		for _, s := range list[1:] {
			if last := &whole[len(whole)-1]; s.from.After(last.to) {
				whole = append(whole, s)
			} else {
				last.to = later(last.to, s.to)
			}
		}
		all[epoch] = whole
	}
	return all
}

// has reports whether a segment has what a receipt is about.
func (all recorded) has(r acknowledged) bool {
	list := all[r.epoch]
	i, _ := slices.BinarySearchFunc(list, r.at, func(s span, at time.Time) int {
		if s.from.After(at) {
			return 1
		}
		return -1
	})
	return i > 0 && !r.at.After(list[i-1].to)
}

// times are with which times the fragments of a segment were sent that has wrong ones: what was sent before that was known has the
// file's. The zero value is of a segment that nothing is known of yet.
type times struct {
	read bool
	file acknowledgements // of the file's times
	now  acknowledgements // of the corrected ones
}

// correct returns the fragment with the times that it was sent with, if only receipts of the file's times are known.
func (t *times) correct(u *auditing, f uploaded, wire time.Duration) (_ uploaded, err error) {
	if !t.read {
		t.read = true
		end := later(f.end, f.at.Add(longestSegment))
		if t.now, err = u.receipts(f.at, end); err != nil {
			return f, err
		}
		if t.file, err = u.receipts(f.at.Add(-wire), end.Add(-wire)); err != nil {
			return f, err
		}
	}
	before := f
	before.at, before.end = f.at.Add(-wire), f.end.Add(-wire)
	if len(t.now.of(f)) == 0 && len(t.file.of(before)) > 0 {
		return before, nil
	}
	return f, nil
}
