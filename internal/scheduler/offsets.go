package scheduler

import (
	"math"
	"time"
)

// maxShift bounds how far a change can move a zone's local time, in seconds.
const maxShift = 26 * 3600

// offsetSpan is a time range in which a zone's offset from UTC stays the same: [start, end) in Unix seconds.
type offsetSpan struct{ start, end, offset int64 }

func (s offsetSpan) contains(unix int64) bool { return unix >= s.start && unix < s.end }

// offsets returns a zone's offset from UTC. It keeps the last range, since the search for the next time asks many times
// within one. Not safe for concurrent use.
type offsets struct {
	zone *time.Location
	last offsetSpan
}

// at returns the range that contains a time.
func (o *offsets) at(unix int64) offsetSpan {
	if o.last.contains(unix) {
		return o.last
	}
	t := time.Unix(unix, 0).In(o.zone)
	_, offset := t.Zone()
	span := offsetSpan{math.MinInt64, math.MaxInt64, int64(offset)}
	start, end := t.ZoneBounds()
	if !start.IsZero() {
		span.start = start.Unix()
	}
	if !end.IsZero() {
		span.end = end.Unix()
	}
	if span.end <= unix {
		// Where a zone follows a rule without end, package time ends its ranges after 365 days of a year of 366.
		span.end = time.Date(t.UTC().Year()+1, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	}
	o.last = span
	return span
}

// ofLocal returns the offset that java.util.GregorianCalendar uses for a local time, in seconds since 1970-01-01 00:00
// local: a repeated local time is its last occurrence, and a skipped one is computed as if the clock had not been changed
// yet.
func (o *offsets) ofLocal(local int64) int64 {
	span := o.at(local - o.last.offset)
	for span.start != math.MinInt64 && span.start+span.offset > local {
		span = o.at(span.start - 1)
	}
	for span.end != math.MaxInt64 && span.end-(local-span.offset) < maxShift {
		next := o.at(span.end)
		if next.start+next.offset > local {
			o.last = span
			break
		}
		span = next
	}
	return span.offset
}
