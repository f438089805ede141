// Package rows owns which points of a property of AWS IoT SiteWise have the ranges of media that exist: a point's time is the start of a
// row, in whole seconds, and its value is the row's end in seconds since 1970. All of it is a function of what exists and of the points
// that SiteWise has, which cannot be deleted. It must not know where media is, nor how values are written.
package rows

import (
	"slices"
	"time"
)

// ChunkFragments is how many fragments a chunk of counted media has at most.
const ChunkFragments = 250

// Chunk is media without a gap. Times are producer timestamps in Unix ms.
type Chunk struct {
	From, To  int64
	Fragments int   // 0 where they are not counted
	Longest   int64 // ms of its longest fragment, 0 where that is not known
}

// Limits say where a new row begins.
type Limits struct {
	Span      time.Duration // no row is longer
	Fragments int           // at most in a row; 0: any number
	Gap       time.Duration // media that is further apart has a gap, if it is more than twice a fragment too
	Each      bool          // each chunk begins a row
}

// Row is a point: the media from Start to End.
type Row struct {
	Start int64 // Unix s
	End   int64 // Unix ms
}

// Empty returns a row without media: its end is its start.
func Empty(start int64) Row { return Row{start, start * 1000} }

// IsEmpty reports whether a row has no media.
func (r Row) IsEmpty() bool { return r.End <= r.Start*1000 }

// Value is the row's end as SiteWise has it, in seconds since 1970.
func (r Row) Value() float64 { return float64(r.End) / 1000 }

// near is how much later than its media a row may start, in ms.
const near = 500

// Desired returns the rows that say what exists, by their starts. Each point that SiteWise has is the start of one of them: outside of
// all media of an empty one. What lies within media therefore always names media, also for readers that carry the last point forward.
// The points are sorted and the chunks are by From.
func Desired(points []int64, chunks []Chunk, l Limits) []Row {
	var rows []Row
	for len(chunks) > 0 {
		stretch, to := next(chunks, l)
		chunks = chunks[len(stretch):]
		first := floor(stretch[0].From)
		for len(points) > 0 && points[0] < first {
			rows = append(rows, Empty(points[0]))
			points = points[1:]
		}
		inside := 0
		for inside < len(points) && points[inside]*1000 < to {
			inside++
		}
		rows = cut(rows, stretch, to, points[:inside], l)
		points = points[inside:]
	}
	for _, p := range points {
		rows = append(rows, Empty(p))
	}
	return rows
}

// next returns the chunks of the first stretch, and where it ends.
func next(chunks []Chunk, l Limits) (stretch []Chunk, to int64) {
	to, longest := chunks[0].To, chunks[0].Longest
	for i, c := range chunks[1:] {
		if c.From-to > max(l.Gap.Milliseconds(), 2*max(longest, c.Longest)) {
			return chunks[:i+1], to
		}
		to, longest = max(to, c.To), c.Longest
	}
	return chunks, to
}

// cut adds the rows of a stretch, which begin at its start, at the points within and where a row would exceed the limits.
func cut(rows []Row, stretch []Chunk, to int64, points []int64, l Limits) []Row {
	starts := slices.Clone(points)
	if len(points) == 0 || points[0]*1000-stretch[0].From > near {
		starts = slices.Insert(starts, 0, floor(stretch[0].From))
	}
	span := l.Span.Milliseconds()
	at, count := 0, 0 // the row in hand
	add := func(start int64) {
		starts = slices.Insert(starts, at+1, start)
		at, count = at+1, 0
	}
	for _, c := range stretch {
		for at+1 < len(starts) && starts[at+1]*1000 <= c.From {
			if starts[at+1]-starts[at] > span/1000 { // with the pause before it
				add(starts[at] + span/1000)
			} else {
				at, count = at+1, 0
			}
		}
		end := c.To // of this row, unless another begins
		if at+1 < len(starts) {
			end = min(end, starts[at+1]*1000)
		}
		full := l.Each || l.Fragments > 0 && count+ChunkFragments > l.Fragments
		if (full || end-starts[at]*1000 > span) && floor(c.From) > starts[at] {
			add(min(floor(c.From), starts[at]+span/1000))
		}
		count += c.Fragments
		for end = c.To; ; {
			if at+1 < len(starts) && starts[at+1]*1000 < end {
				if starts[at+1]*1000-starts[at]*1000 <= span {
					at, count = at+1, 0
					continue
				}
			} else if end-starts[at]*1000 <= span {
				break
			}
			add(starts[at] + span/1000)
		}
	}
	for i, start := range starts {
		end := to
		if i+1 < len(starts) {
			end = starts[i+1] * 1000
		}
		rows = append(rows, Row{start, end})
	}
	return rows
}

// floor is the whole second in which a time is.
func floor(ms int64) int64 {
	s := ms / 1000
	if ms%1000 < 0 {
		s--
	}
	return s
}
