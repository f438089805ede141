package usage

import (
	"testing"
	"time"
)

// TestTheUsageIsOfWholeDays, whatever times are asked for, and of today until now: half a day would be divided by a whole one.
func TestTheUsageIsOfWholeDays(t *testing.T) {
	t.Parallel()
	at := func(text string) time.Time {
		parsed, err := time.Parse("2006-01-02T15:04", text)
		if text != "" && err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for _, row := range []struct{ from, to, wantFrom, wantTo string }{
		{"", "", "2026-11-21T00:00", "2026-11-28T09:30"},
		{"2026-11-20T13:00", "2026-11-22T12:00", "2026-11-20T00:00", "2026-11-23T00:00"},
		{"2026-11-20T00:00", "2026-11-22T00:00", "2026-11-20T00:00", "2026-11-22T00:00"},
		{"2026-11-27T00:00", "2026-11-28T08:00", "2026-11-27T00:00", "2026-11-28T09:30"},
		{"2026-11-27T00:00", "2027-11-28T08:00", "2026-11-27T00:00", "2026-11-28T09:30"},
		{"", "2026-11-22T00:00", "2026-11-15T00:00", "2026-11-22T00:00"},
	} {
		from, to, err := Days(at(row.from), at(row.to), at("2026-11-28T09:30"))
		if err != nil || !from.Equal(at(row.wantFrom)) || !to.Equal(at(row.wantTo)) {
			t.Errorf("%s to %s is %v to %v, %v; want %s to %s", row.from, row.to, from, to, err, row.wantFrom, row.wantTo)
		}
	}
	for _, row := range [][2]time.Time{
		{at("2026-11-22T00:00"), at("2026-11-21T00:00")}, {time.Unix(0, 0), time.Time{}}, {at("2999-01-01T00:00"), {}},
	} {
		if from, to, err := Days(row[0], row[1], at("2026-11-28T09:30")); err == nil {
			t.Errorf("%v is %v to %v", row, from, to)
		}
	}
}
