package audit

import (
	"context"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// tryOver is the time that is listed to find out whether an audit is possible.
const tryOver = time.Minute

// Segments are the results of an audit of segments.
type Segments struct {
	// Of are the counts of each segment, without those that were deleted meanwhile.
	Of   map[segment.Key]Counts
	Lost []Missing
}

// Segments audits whole segments of a stream, whatever the times of their recording. Without any it only finds out whether an audit
// is possible. An error is as that of Run.
func (a *Auditor) Segments(ctx context.Context, stream string, keys []segment.Key) (Segments, error) {
	u, err := a.begin(ctx, Range{Stream: stream}, func(Counts) {})
	if err != nil {
		return Segments{}, err
	}
	u.segments = make(map[segment.Key]*Counts)
	u.noteRefused()
	if len(keys) == 0 {
		if _, err := u.stored(u.now.Add(-tryOver), u.now, nil); err != nil {
			return Segments{}, err
		}
	}
	for _, k := range keys {
		if err := u.segment(k); err != nil {
			return Segments{}, err
		}
	}
	if err := u.compare(); err != nil {
		return Segments{}, err
	}
	result := Segments{Of: make(map[segment.Key]Counts, len(keys)), Lost: u.report.Lost}
	for k, c := range u.segments {
		result.Of[k] = *c
	}
	return result, nil
}

// countsOf are the counts of a segment; they are thrown away where nobody asked for those of segments.
func (u *auditing) countsOf(k segment.Key) *Counts {
	c := u.segments[k]
	if c == nil {
		c = new(Counts)
		if u.segments != nil {
			u.segments[k] = c
		}
	}
	return c
}
