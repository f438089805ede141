package sitewise

import (
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
)

// Firings are compared from a time of the distant past on, as a year in the expression may limit them, but for no more than that many.
const comparedFirings = 500

var comparedFrom = time.Date(2020, time.January, 1, 0, 0, 0, 0, time.UTC)

// gaps returns the shortest and the longest time between two successive firings of an expression; ok is false when its firings have
// an end, as no window of it is without one then.
func gaps(expression string) (shortest, longest time.Duration, ok bool) {
	e, err := scheduler.Parse(expression, time.UTC)
	if err != nil {
		return 0, 0, false
	}
	last := e.Next(comparedFrom)
	for range comparedFirings {
		if last.IsZero() {
			return 0, 0, false
		}
		next := e.Next(last)
		if next.IsZero() {
			return 0, 0, false
		}
		gap := next.Sub(last)
		if !ok || gap < shortest {
			shortest = gap
		}
		longest, ok, last = max(longest, gap), true, next
	}
	return shortest, longest, ok
}

// joined is a schedule whose windows may be longer than the time between two firings: where each is, it is always, and otherwise
// the windows that overlap are one. The edge connector refuses such a schedule, and ends.
func (r *reader) joined(start, duration string, s desired.Schedule, expression string, length time.Duration) desired.Schedule {
	shortest, longest, ok := gaps(expression)
	switch {
	case !ok || length < shortest:
		return s
	case length >= longest:
		r.notes = append(r.notes, fmt.Sprintf("%s is not shorter than the time from one start of %s to the next (%s), so it is always",
			duration, start, humanize.Length(longest)))
		return desired.Always()
	case length == shortest:
		return s
	default:
		r.notes = append(r.notes, fmt.Sprintf("%s is longer than the shortest time from one start of %s to the next (%s), so windows that "+
			"overlap are one", duration, start, humanize.Length(shortest)))
		return s
	}
}
