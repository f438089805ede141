package scheduler

import (
	"testing"
	"time"
)

// In a zone whose rule has no end package time ends the last span of a leap year a day early;
// the search once went round for ever there.
func TestTheLastDayOfALeapYearIsFoundInEveryZone(t *testing.T) {
	t.Parallel()
	for _, zone := range vectorZones(t) {
		for year := 2028; year <= 2120; year += 4 {
			want := time.Date(year, 12, 31, 23, 59, 59, 0, zone)
			e := mustParse(t, "59 59 23 31 12 ?", zone)
			if got := e.Next(want.Add(-time.Hour)); !got.Equal(want) {
				t.Errorf("in %s: got %v, want %v", zone, got, want)
			}
		}
	}
}
