package usage

import (
	"fmt"
	"time"
)

const (
	day = 24 * time.Hour
	// usualDays is of how many days a usage is without being asked, and maxDays of how many at most.
	usualDays = 7
	maxDays   = 366
)

// Days is the span of whole days (UTC) that holds [from, to), of which the last one ends now if it is today. A time that is zero has its
// default. An error is a phrase about the two.
func Days(from, to, now time.Time) (begin, end time.Time, err error) {
	now = now.UTC()
	end = to.UTC().Add(day - 1).Truncate(day)
	if to.IsZero() || end.After(now) {
		end = now
	}
	if begin = from.UTC().Truncate(day); from.IsZero() {
		begin = end.Truncate(day).Add(-usualDays * day)
	}
	if end.Sub(begin) > maxDays*day || !begin.Before(end) {
		err = fmt.Errorf("from must be before to, and at most %d days", maxDays)
	}
	return begin, end, err
}
