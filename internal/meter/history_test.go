package meter

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWhatBelongsToAPeriod(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		days  history
		start string
		want  int64
	}{
		"no entry":                     {nil, "2026-11-01", 0},
		"all of a month":               {history{{"2026-10-31", 1, 0}, {"2026-11-01", 2, 4}, {"2026-11-28", 8, 0}}, "2026-11-01", 14},
		"no date was ever known":       {history{{"", 1, 2}}, "", 3},
		"none is known now":            {history{{"2026-10-31", 1, 0}, {"2026-11-28", 2, 0}, {"", 4, 0}}, "2026-11-01", 6},
		"unknown before the first day": {history{{"2026-10-31", 1, 0}, {"", 2, 0}, {"2026-11-01", 4, 0}}, "2026-11-01", 6},
		"unknown at the very first":    {history{{"", 2, 0}, {"2026-11-01", 4, 0}}, "2026-11-01", 6},
		"a wrong date ahead":           {history{{"2026-11-27", 1, 0}, {"2036-05-05", 2, 0}, {"2026-11-28", 4, 0}}, "2026-11-01", 7},
		"that was in the last period": {history{{"2026-11-27", 1, 0}, {"2036-05-05", 2, 0}, {"2026-11-28", 4, 0}, {"2026-12-01", 8, 0}},
			"2026-12-01", 8},
		"a wrong date behind": {history{{"2026-11-27", 1, 0}, {"2020-01-01", 2, 0}, {"2026-11-28", 4, 0}}, "2026-11-01", 7},
		"that is shown now":   {history{{"2026-11-26", 1, 0}, {"2026-11-27", 2, 0}, {"2020-01-01", 4, 0}}, "2020-01-01", 7},
		"true time reaches the wrong date": {history{{"2026-11-28", 1, 0}, {"2026-11-30", 2, 0}, {"2026-11-28", 4, 0}, {"2026-11-29", 8, 0},
			{"2026-11-30", 16, 0}}, "2026-11-30", 16},
		"the clock is set back at midnight": {history{{"2026-11-30", 1, 0}, {"2026-12-01", 2, 0}, {"2026-11-30", 4, 0}, {"2026-12-01", 8, 0}},
			"2026-12-01", 14},
	} {
		if got := row.days[row.days.since(row.start):].payload(); got != row.want {
			t.Errorf("%s: %d, want %d", name, got, row.want)
		}
	}
}

// However often the clock is unknown or wrong meanwhile, what was counted on the days of a period belongs to it, and what was
// counted with a right clock on other days does not, as long as most dates are right.
func TestNothingIsMissingWhateverTheClockShows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		today := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
		var days history
		c := Cap{Bytes: 1, Day: rapid.IntRange(0, lastDay).Draw(t, "reset")}
		var truth, wrong int64
		start := c.start(today)
		right := 0
		for range rapid.IntRange(1, 90).Draw(t, "bookings") {
			if rapid.IntRange(0, 2).Draw(t, "next day") == 0 {
				if today = today.AddDate(0, 0, 1); c.start(today) != start {
					start, truth = c.start(today), 0
				}
			}
			n := rapid.Int64Range(1, 1000).Draw(t, "bytes")
			date := today.Format(time.DateOnly)
			switch kind := rapid.IntRange(0, 9).Draw(t, "clock"); {
			case kind == 0:
				date = ""
				wrong += n
			case kind == 1 && right > 3: // a wrong date is given up for the right one soon
				off := rapid.IntRange(100, 4000).Draw(t, "off") // more than the test lasts: nearer ones cannot be recognised
				if rapid.Bool().Draw(t, "behind") {
					off = -off
				}
				date = today.AddDate(0, 0, off).Format(time.DateOnly)
				days.book(date, n, 0)
				truth, wrong, right = truth+n, wrong+n, 0
				n, date = 0, today.Format(time.DateOnly)
			default:
				right++
			}
			days.book(date, n, 0)
			truth += n
		}
		days.book(today.Format(time.DateOnly), 0, 0)
		got := days[days.since(start.Format(time.DateOnly)):].payload()
		if got < truth || got > truth+wrong {
			t.Fatalf("%d are counted, want %d to %d: %v", got, truth, truth+wrong, days)
		}
	})
}

func TestAHistoryStaysShort(t *testing.T) {
	t.Parallel()
	var days history
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 9 * maxEntries {
		date := first.AddDate(0, 0, i/3).Format(time.DateOnly)
		if i%3 == 1 {
			date = "" // collapses, as the date is the same before and after
		}
		days.book(date, 1, 1)
	}
	if len(days) > maxEntries || days.payload() != 18*maxEntries {
		t.Errorf("%d entries with %d bytes", len(days), days.payload())
	}
	for _, e := range days {
		if e.Date == "" {
			t.Error("an entry has no date, although the days before and after are known")
		}
	}
}

// What joins the oldest entry in many years never makes the file one that is not believed.
func TestAHistoryStaysPlausible(t *testing.T) {
	t.Parallel()
	var days history
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 20 * 365 {
		days.book(first.AddDate(0, 0, i).Format(time.DateOnly), 10e12, 10e12) // 1 Gbit/s, both ways
	}
	if !(document{Days: days}).plausible() {
		t.Errorf("after 20 years the file is not believed: %v", days[0])
	}
	if last := days[len(days)-1]; last.payload() != 20e12 {
		t.Errorf("the last day has %d bytes", last.payload())
	}
}
