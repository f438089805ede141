package scheduler

import (
	"math/rand/v2"
	"testing"
	"time"
)

func at(tb testing.TB, local string, zone *time.Location) time.Time {
	tb.Helper()
	t, err := time.ParseInLocation(time.DateTime, local, zone)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func TestWindows(t *testing.T) {
	t.Parallel()
	berlin := location(t, "Europe/Berlin")
	for name, c := range map[string]struct {
		expr    string
		seconds int
		at      string
		open    bool
		until   string // empty: never
	}{
		"before a window":                       {"0 0 9 * * ?", 60, "2026-05-01 08:59:59", false, "2026-05-01 09:00:00"},
		"its first second":                      {"0 0 9 * * ?", 60, "2026-05-01 09:00:00", true, "2026-05-01 09:01:00"},
		"in the middle":                         {"0 0 9 * * ?", 3600, "2026-05-01 09:30:00", true, "2026-05-01 10:00:00"},
		"its last second":                       {"0 0 9 * * ?", 60, "2026-05-01 09:00:59", true, "2026-05-01 09:01:00"},
		"its end is outside":                    {"0 0 9 * * ?", 60, "2026-05-01 09:01:00", false, "2026-05-02 09:00:00"},
		"a gap of one second":                   {"0 0 9-10 * * ?", 3599, "2026-05-01 09:59:59", false, "2026-05-01 10:00:00"},
		"touching windows are one":              {"0 0 9-11 * * ?", 3600, "2026-05-01 09:10:00", true, "2026-05-01 12:00:00"},
		"overlapping windows are one":           {"0 0/30 9 * * ?", 3600, "2026-05-01 09:10:00", true, "2026-05-01 10:30:00"},
		"a short step between overlapping ones": {"0,1 0 9 * * ?", 60, "2026-05-01 09:00:30", true, "2026-05-01 09:01:01"},
		"over midnight":                         {"0 30 23 * * ?", 3600, "2026-05-02 00:10:00", true, "2026-05-02 00:30:00"},
		"every second continues":                {"* * * * * ?", 3600, "2026-05-01 09:00:00", true, "2026-05-01 15:00:01"},
		"every minute continues":                {"0 * * * * ?", 60, "2026-05-01 09:00:30", true, "2026-05-01 15:01:00"},
		"the last of all":                       {"0 0 9 1 5 ? 2026", 3600, "2026-05-01 09:30:00", true, "2026-05-01 10:00:00"},
		"behind the last of all":                {"0 0 9 1 5 ? 2026", 3600, "2026-05-01 10:00:00", false, ""},
		"never":                                 {"0 0 9 30 2 ?", 3600, "2026-05-01 10:00:00", false, ""},
		"real length where the clock goes ahead": {
			"0 30 1 * * ?", 3600, "2026-03-29 01:45:00", true, "2026-03-29 03:30:00",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := Windows(mustParse(t, c.expr, nil), time.Duration(c.seconds)*time.Second)
			open, until := plan.At(at(t, c.at, berlin), berlin)
			got := ""
			if !until.IsZero() {
				got = until.In(berlin).Format(time.DateTime)
			}
			if open != c.open || got != c.until {
				t.Errorf("got %v until %q, want %v until %q", open, got, c.open, c.until)
			}
		})
	}
}

func TestAnExpressionWithAZoneIgnoresTheSystems(t *testing.T) {
	t.Parallel()
	tokyo := location(t, "Asia/Tokyo")
	plan := Windows(mustParse(t, "0 0 9 * * ?", tokyo), time.Hour)
	if open, _ := plan.At(at(t, "2026-05-01 09:30:00", tokyo), time.UTC); !open {
		t.Error("the window is closed in the expression's own zone")
	}
}

func TestWindowsAgreeWithEverySecondJudgedAlone(t *testing.T) {
	t.Parallel()
	const span = 36 * 3600 // seconds judged
	for i := range uint64(60) {
		w := writer{rand.New(rand.NewPCG(11, i))}
		n := w.schedule()
		length := int64(w.between(60, 3600))
		plan := Windows(mustParse(t, n.text, time.UTC), time.Duration(length)*time.Second)
		// Begin where something happens.
		begin := mustParse(t, n.text, time.UTC).Next(time.Unix(int64(w.between(1767225600, 1800000000)), 0)).Unix() - int64(w.between(0, 7200))
		if begin < 0 {
			continue
		}
		open := make([]bool, span)
		reach := int64(-1)
		for s := begin - length; s < begin+span; s++ {
			if n.matches(time.Unix(s, 0).UTC()) {
				reach = s + length
			}
			if s >= begin {
				open[s-begin] = s < reach
			}
		}
		for range 40 {
			s := int64(w.IntN(span))
			got, until := plan.At(time.Unix(begin+s, int64(w.IntN(1e9))), time.UTC)
			if got != open[s] {
				t.Fatalf("seed %d: %q for %d s at %d: got open %v", i, n.text, length, begin+s, got)
			}
			change := s
			for change < span && open[change] == open[s] {
				change++
			}
			switch {
			case change == span: // not seen
			case until.Unix() == begin+change:
			case open[s] && until.Unix() >= begin+s+lookAhead && until.Unix() < begin+change:
			default:
				t.Fatalf("seed %d: %q for %d s at %d: changes at %d, want %d", i, n.text, length, begin+s, until.Unix(), begin+change)
			}
		}
	}
}

func TestHourly(t *testing.T) {
	t.Parallel()
	kolkata := location(t, "Asia/Kolkata") // hours of UTC begin at half past
	plan := Hourly(10*time.Minute, 5*time.Minute)
	for _, c := range []struct {
		at, until string
		open      bool
	}{
		{"2026-05-01 09:39:59", "2026-05-01 09:40:00", false},
		{"2026-05-01 09:40:00", "2026-05-01 09:45:00", true},
		{"2026-05-01 09:44:59", "2026-05-01 09:45:00", true},
		{"2026-05-01 09:45:00", "2026-05-01 10:40:00", false},
		{"1969-05-01 09:40:00", "1969-05-01 09:45:00", true},
	} {
		open, until := plan.At(at(t, c.at, kolkata), kolkata)
		if got := until.In(kolkata).Format(time.DateTime); open != c.open || got != c.until {
			t.Errorf("at %s: got %v until %s, want %v until %s", c.at, open, got, c.open, c.until)
		}
	}
	if open, until := Hourly(0, time.Hour).At(time.Now(), time.UTC); !open || !until.IsZero() {
		t.Errorf("a full hour every hour: got %v until %v, want always open", open, until)
	}
}

func BenchmarkWindowsThatNeverEnd(b *testing.B) {
	zone := location(b, "America/New_York")
	for name, c := range map[string]struct {
		expr string
		d    time.Duration
	}{
		"every second": {"* * * * * ?", time.Hour},
		"every minute": {"0 * * * * ?", time.Minute},
		"every hour":   {"0 0 * * * ?", time.Hour},
	} {
		b.Run(name, func(b *testing.B) {
			plan := Windows(mustParse(b, c.expr, zone), c.d)
			now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
			for b.Loop() {
				plan.At(now, time.UTC)
			}
		})
	}
}
