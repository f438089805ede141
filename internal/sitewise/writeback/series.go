package writeback

import (
	"slices"
	"sort"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise/rows"
)

// kind is one of the properties that are written.
type kind byte

const (
	uploaded kind = 'u' // VideoUploadedTimeRange
	recorded kind = 'r' // VideoRecordedTimeRange
	cached   kind = 'c' // CachedVideoAgeOutOnEdge
)

const (
	day = 24 * time.Hour
	// reach is how old the timestamp of a value may be. Source: API reference, BatchPutAssetPropertyValue.
	reach = 7 * day
	// reachMargin is how much earlier the agent ends, for the clocks and the time that a request takes.
	reachMargin = 2 * time.Minute
	// leastGap is what fragments of any length may be apart without a gap. It is more than the second to which a row's start is rounded.
	leastGap = 2 * time.Second
	// maxPoints bounds the points of a property that are kept.
	maxPoints = 10_000
)

// limitsOf are those of the rows of a property. Players ask Kinesis Video Streams for each row about uploads: HLS takes at most
// 24 hours and 5,000 fragments. The rows about the disk they only draw, and only those that begin in the view, so these are short.
func limitsOf(k kind, fragment time.Duration) rows.Limits {
	l := rows.Limits{Span: day, Gap: max(leastGap, 2*fragment)}
	switch k {
	case uploaded:
		l.Fragments = 5000
	case cached:
		l.Span, l.Each = 10*time.Minute, true
	}
	return l
}

// point is a row of a property that SiteWise has, or is to have.
type point struct {
	rows.Row
	sent  int64     // the end that SiteWise has accepted, in Unix ms; unsent without one
	tried bool      // SiteWise may have it
	dirty bool      // the journal has not what sent and tried say
	since time.Time // when it was first to be sent as it is; zero where it is not
}

const unsent = -1

// id names a property of an asset.
type id struct{ asset, property string }

// series are the points of a property, by their starts.
type series struct {
	id
	points []point
	hold   time.Time // nothing is sent before
}

// starts are those that SiteWise may have.
func (s *series) starts() []int64 {
	list := make([]int64, 0, len(s.points))
	for _, p := range s.points {
		if p.tried {
			list = append(list, p.Start)
		}
	}
	return list
}

// from is before which media cannot be changed any more, in Unix ms: what begins before is in a row that SiteWise keeps as it is.
func (s *series) from(oldest int64) int64 {
	if len(s.points) > 0 && s.points[0].tried && s.points[0].Start < oldest {
		return s.points[0].Start * 1000
	}
	return oldest * 1000
}

// want makes the points those of the rows. Those that SiteWise may have stay, and what begins before oldest is not added.
func (s *series) want(desired []rows.Row, oldest int64) {
	had := s.points
	s.points = make([]point, 0, len(desired))
	for _, r := range desired {
		for len(had) > 0 && had[0].Start < r.Start {
			had = had[1:] // it was never sent
		}
		switch {
		case len(had) > 0 && had[0].Start == r.Start:
			p := had[0]
			p.Row = r
			s.points = append(s.points, p)
		case r.Start >= oldest:
			s.points = append(s.points, point{Row: r, sent: unsent})
		}
	}
	if surplus := len(s.points) - maxPoints; surplus > 0 {
		s.points = slices.Delete(s.points, 0, surplus)
	}
}

// prune forgets the points that no media of the last days can change, and the empty ones that SiteWise has. It returns them.
func (s *series) prune(oldest int64) (forgotten []int64) {
	s.points = slices.DeleteFunc(s.points, func(p point) bool {
		gone := p.tried && (p.IsEmpty() && p.sent == p.End || max(p.Start, p.End/1000, p.sent/1000) < oldest)
		if gone {
			forgotten = append(forgotten, p.Start)
		}
		return gone
	})
	return forgotten
}

// frozen counts the rows that are not as they should be and too old to be changed.
func (s *series) frozen(oldest int64) (n int) {
	for _, p := range s.points {
		if p.tried && p.Start < oldest && p.sent != p.End {
			n++
		}
	}
	return n
}

// waiting lists the indexes of the points to be sent, the latest first.
func (s *series) waiting(oldest int64) (list []int) {
	for i := len(s.points) - 1; i >= 0 && s.points[i].Start >= oldest; i-- {
		if p := &s.points[i]; p.sent != p.End {
			list = append(list, i)
		} else {
			p.since = time.Time{}
		}
	}
	return list
}

// find returns the point that starts then; nil without one.
func (s *series) find(start int64) *point {
	i := sort.Search(len(s.points), func(i int) bool { return s.points[i].Start >= start })
	if i == len(s.points) || s.points[i].Start != start {
		return nil
	}
	return &s.points[i]
}

// restore takes what a journal says of a point.
func (s *series) restore(start, sent int64) {
	if p := s.find(start); p != nil {
		p.sent, p.End = sent, max(sent, start*1000)
		return
	}
	i := sort.Search(len(s.points), func(i int) bool { return s.points[i].Start >= start })
	s.points = slices.Insert(s.points, i, point{Row: rows.Row{Start: start, End: max(sent, start*1000)}, sent: sent, tried: true})
}

// forget takes what a journal says of a point that is no longer of interest.
func (s *series) forget(start int64) {
	s.points = slices.DeleteFunc(s.points, func(p point) bool { return p.Start == start })
}
