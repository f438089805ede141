package meter

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCapsAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Cap{
		"":                                   {},
		"unlimited":                          {},
		"30GB/month":                         {Bytes: 30e9, Day: 1, Overhead: DefaultOverhead},
		"30GB/month@15":                      {Bytes: 30e9, Day: 15, Overhead: DefaultOverhead},
		" 1.5 GiB / Month @ 31 ":             {Bytes: 3 << 29, Day: 31, Overhead: DefaultOverhead},
		"1GB/day":                            {Bytes: 1e9, Overhead: DefaultOverhead},
		"500mb/DAY, overhead=1":              {Bytes: 500e6, Overhead: 1},
		"30GB/month@2 , Overhead = 1.125":    {Bytes: 30e9, Day: 2, Overhead: 1.125},
		"1MB/day":                            {Bytes: 1e6, Overhead: DefaultOverhead},
		"1000TB/month@1,overhead=2.0":        {Bytes: 1e15, Day: 1, Overhead: 2},
		"30000000000B/month@31,overhead=1.5": {Bytes: 30e9, Day: 31, Overhead: 1.5},
	} {
		got, err := Parse(text)
		want.text = strings.TrimSpace(text)
		if want.IsNone() {
			want.text = ""
		}
		if err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
		if again, err := Parse(got.String()); err != nil || again != got {
			t.Errorf("%q, written as %q, is read as %+v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{
		"30GB", "30/month", "GB/month", "30GB/week", "30GB/month@0", "30GB/month@32", "30GB/month@", "30GB/month@x", "30GB/day@15",
		"-1GB/day",
		"NaNGB/day", "InfGB/month", "999kB/day", "1001TB/month", "30GB/month,", "30GB/month, 1.04", "30GB/month, overhead=0.9",
		"30GB/month, overhead=3", "30GB/month, overhead=NaN", "30GB/month, overhead=", "30GB/month, price=2", "30GB/month/day", "/month",
		"0GB/day",
		"30GB/month@15@16", "1e30GB/day",
	} {
		if c, err := Parse(text); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q is %+v, %v", text, c, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"30GB/month@15, overhead=1.04", "1GB/day", "unlimited", "1 MiB/day,overhead=2", "@,/="} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			return
		}
		switch {
		case c.IsNone():
		case c.Bytes < leastCap, c.Bytes > mostCap, c.Day < 0, c.Day > lastDay, !(c.Overhead >= 1 && c.Overhead <= mostOverhead):
			t.Errorf("%q is %+v", text, c)
		}
		if again, err := Parse(c.String()); err != nil || again != c {
			t.Errorf("%q is written as %q, which is %+v, %v", text, c, again, err)
		}
	})
}

func day(t *testing.T, text string) time.Time {
	t.Helper()
	d, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPeriods(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ cap, day, start, end string }{
		{"1GB/day", "2026-02-28", "2026-02-28", "2026-03-01"},
		{"1GB/day", "2026-12-31", "2026-12-31", "2027-01-01"},
		{"1GB/month", "2026-11-28", "2026-11-01", "2026-12-01"},
		{"1GB/month", "2026-11-01", "2026-11-01", "2026-12-01"},
		{"1GB/month@15", "2026-11-14", "2026-10-15", "2026-11-15"},
		{"1GB/month@15", "2026-11-15", "2026-11-15", "2026-12-15"},
		{"1GB/month@15", "2027-01-03", "2026-12-15", "2027-01-15"},
		{"1GB/month@31", "2026-11-29", "2026-10-31", "2026-11-30"},
		{"1GB/month@31", "2026-11-30", "2026-11-30", "2026-12-31"},
		{"1GB/month@31", "2026-12-30", "2026-11-30", "2026-12-31"},
		{"1GB/month@31", "2026-12-31", "2026-12-31", "2027-01-31"},
		{"1GB/month@31", "2027-02-27", "2027-01-31", "2027-02-28"},
		{"1GB/month@31", "2027-02-28", "2027-02-28", "2027-03-31"},
		{"1GB/month@31", "2027-03-30", "2027-02-28", "2027-03-31"},
		{"1GB/month@29", "2028-02-28", "2028-01-29", "2028-02-29"},
		{"1GB/month@29", "2028-02-29", "2028-02-29", "2028-03-29"},
		{"1GB/month@30", "2027-02-28", "2027-02-28", "2027-03-30"},
	} {
		c, err := Parse(row.cap)
		if err != nil {
			t.Fatal(err)
		}
		start, end := c.start(day(t, row.day)), c.end(day(t, row.day))
		if start != day(t, row.start) || end != day(t, row.end) {
			t.Errorf("%s: the period of %s is from %s to %s, want %s to %s", row.cap, row.day, start, end, row.start, row.end)
		}
	}
}

// A day begins when the hub's clock shows its date for the first time, also where there is no midnight.
func TestWhenADayBegins(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ zone, day, want string }{
		{"UTC", "2027-03-14", "2027-03-14T00:00:00Z"},
		{"Europe/Berlin", "2027-03-28", "2027-03-28T00:00:00+01:00"},
		{"Africa/Cairo", "2026-04-24", "2026-04-24T01:00:00+03:00"},
		{"America/Havana", "2026-03-08", "2026-03-08T01:00:00-04:00"},
		{"America/Havana", "2026-03-09", "2026-03-09T00:00:00-04:00"},
		{"America/Santiago", "2026-09-06", "2026-09-06T01:00:00-03:00"},
		{"Asia/Beirut", "2026-03-29", "2026-03-29T01:00:00+03:00"},
	} {
		zone, err := time.LoadLocation(row.zone)
		must(t, err)
		if got := midnight(day(t, row.day), zone).Format(time.RFC3339); got != row.want {
			t.Errorf("%s, %s begins at %s, want %s", row.zone, row.day, got, row.want)
		}
	}
}

// Each day is in one period, and periods follow each other, whatever the day of the reset.
func TestPeriodsFollowEachOther(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := Cap{Bytes: 1e9, Day: rapid.IntRange(0, lastDay).Draw(t, "reset"), Overhead: 1}
		today := time.Date(2020, 1, 1+rapid.IntRange(0, 20_000).Draw(t, "day"), 0, 0, 0, 0, time.UTC)
		start, end := c.start(today), c.end(today)
		if today.Before(start) || !today.Before(end) {
			t.Fatalf("%s is not within %s and %s", today, start, end)
		}
		if c.start(start) != start || c.start(end) != end || c.start(end.AddDate(0, 0, -1)) != start {
			t.Fatalf("the periods around %s to %s do not follow each other", start, end)
		}
		if length := end.Sub(start).Hours() / 24; c.Day == 0 && length != 1 || c.Day > 0 && (length < 28 || length > 31) {
			t.Fatalf("a period has %g days", length)
		}
	})
}
