package mkv

import (
	"math"
	"time"
)

// Selection has the tracks of a segment that are sent. Tracks keep their numbers.
type Selection struct {
	Header Header  // with the selected tracks only
	Left   []Track // the others
	kept   [maxTracks + 1]bool
}

// Select selects the tracks for which wanted returns true.
func Select(h Header, wanted func(Track) bool) Selection {
	s := Selection{Header: h}
	s.Header.Tracks = nil
	for _, t := range h.Tracks {
		if !wanted(t) {
			s.Left = append(s.Left, t)
			continue
		}
		s.Header.Tracks = append(s.Header.Tracks, t)
		s.kept[t.Number] = true
	}
	return s
}

// Whole reports whether all tracks are selected, so that fragments are sent as they are on disk.
func (s Selection) Whole() bool { return len(s.Left) == 0 }

// Part is a part of a fragment that is sent as a fragment of its own: the blocks of a time range, beginning with a keyframe
// of track 1.
type Part struct {
	Start time.Duration // its cluster's timestamp since Header.Start, whole ms
	Last  time.Duration // greatest block time since Header.Start
	Size  int64         // of the complete element with its head, in bytes
	from  time.Duration // blocks before it belong to the previous part
	until time.Duration // blocks from here on belong to the next part
}

// wholeOf returns a fragment as one part.
func wholeOf(f Fragment) Part {
	return Part{Start: f.Start, Last: f.Last, Size: f.Size, from: math.MinInt64, until: math.MaxInt64}
}

func (p Part) has(t time.Duration) bool { return p.from <= t && t < p.until }
