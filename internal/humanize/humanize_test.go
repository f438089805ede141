package humanize

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the machine may lack the database
)

// zones have whole hours, half and quarter hours, both signs, and changes of the clock.
var zones = []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe",
	"Pacific/Kiritimati", "America/St_Johns"}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// printed are the forms in which a time is shown, with the unit to which each rounds.
var printed = []struct {
	write func(time.Time) string
	unit  time.Duration
}{
	{Time, time.Second}, {Millis, time.Millisecond}, {Minute, time.Minute}, {Weekday, time.Second},
	{func(t time.Time) string { return t.Format(time.RFC3339) }, time.Second},                      // JSON
	{func(t time.Time) string { return t.Format(time.RFC3339Nano) }, 1},                            // JSON
	{func(t time.Time) string { return t.UTC().Format("20060102T150405.000Z") }, time.Millisecond}, // file names
	{func(t time.Time) string { return t.Format("2006-01-02 15:04:05 -0700") }, time.Second},       // earlier versions
	{func(t time.Time) string { return t.Format("Mon 2006-01-02 15:04:05 -0700") }, time.Second},   // earlier versions
	{func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") + " UTC" }, time.Millisecond},
}

func checkRoundTrip(t *testing.T, at time.Time, here *time.Location) {
	t.Helper()
	if text := Soon(at, at.Add(-time.Minute)); !sameMinute(t, text, at) {
		t.Errorf("%q is not read as %s", text, at)
	}
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, here)
	for _, form := range printed {
		text := form.write(at)
		got, err := ParseTime(text, now)
		want := at.Truncate(form.unit)
		if form.unit == time.Minute { // zones have offsets of whole minutes since the 20th century
			want = time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), 0, 0, at.Location())
			if got.Sub(want).Abs() == time.Hour {
				want = got // time.Date cannot say which of two equal local times it means; the text does
			}
		}
		if err != nil || !got.Equal(want) {
			t.Errorf("%q in %s is read as %s, want %s: %v", text, here, got, want, err)
		}
	}
}

// sameMinute reads what Soon has written, a moment before the time.
func sameMinute(t *testing.T, text string, at time.Time) bool {
	t.Helper()
	got, err := ParseTime(text, at.Add(-time.Minute))
	return err == nil && at.Sub(got) >= 0 && at.Sub(got) < time.Minute
}

func TestWhatIsPrintedIsReadAsTheSameInstant(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, shown := range zones {
		for _, here := range zones {
			for range 8 {
				at := time.Unix(random.Int64N(2_500_000_000-1_000_000_000)+1_000_000_000, random.Int64N(1e9)).In(zone(t, shown))
				checkRoundTrip(t, at, zone(t, here))
			}
		}
	}
}

func FuzzWhatIsPrintedIsReadAsTheSameInstant(f *testing.F) {
	f.Add(int64(1_792_892_400), int64(123_456_789), uint8(1), uint8(2)) // the hour that Europe has twice
	f.Add(int64(1_774_746_000), int64(0), uint8(5), uint8(0))
	f.Fuzz(func(t *testing.T, seconds, nanos int64, shown, here uint8) {
		if seconds < 1_000_000_000 || seconds > 4_000_000_000 || nanos < 0 || nanos >= 1e9 {
			t.Skip()
		}
		at := time.Unix(seconds, nanos).In(zone(t, zones[int(shown)%len(zones)]))
		checkRoundTrip(t, at, zone(t, zones[int(here)%len(zones)]))
	})
}

func FuzzParseTimeNeverPanics(f *testing.F) {
	for _, text := range []string{"", "-10m", "yesterday 04:20", "20261121T042048.123Z", "2026-13-01", "+99:99", "europe/berlin", "1w2d3h"} {
		f.Add(text)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		_, _ = ParseTime(text, time.Unix(0, 0))
		_, _ = ParseSpan(text)
	})
}

func TestTimesAreTakenAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 12, 30, 0, 0, zone(t, "Europe/Berlin"))
	for text, want := range map[string]string{
		"2026-11-27 09:00:00Z":        "2026-11-27T09:00:00Z",
		"2026-11-27T09:20Z":           "2026-11-27T09:20:00Z",
		"2026-11-27 09:20 +0100":      "2026-11-27T08:20:00Z",
		"2026-11-27 09:20+01:00":      "2026-11-27T08:20:00Z",
		"2026-11-27 09:20 +01":        "2026-11-27T08:20:00Z",
		"2026-11-27 09:20 UTC":        "2026-11-27T09:20:00Z",
		"2026-11-27 09:20 Asia/Tokyo": "2026-11-27T00:20:00Z",
		"2026-11-27 09:20":            "2026-11-27T08:20:00Z",
		"2026-11-27T09:20:30.5":       "2026-11-27T08:20:30.5Z",
		"2026-11-27 09:20:30,5":       "2026-11-27T08:20:30.5Z",
		"2026-7-1 9:20":               "2026-07-01T07:20:00Z",
		"2026-11-27":                  "2026-11-26T23:00:00Z",
		"20261127":                    "2026-11-26T23:00:00Z",
		"Fri 2026-11-27 09:20:00Z":    "2026-11-27T09:20:00Z",
		"09:20":                       "2026-11-27T08:20:00Z",
		"9:20:30":                     "2026-11-27T08:20:30Z",
		"09:20Z":                      "2026-11-27T09:20:00Z",
		"today":                       "2026-11-26T23:00:00Z",
		"yesterday":                   "2026-11-25T23:00:00Z",
		"Yesterday 09:20":             "2026-11-26T08:20:00Z",
		"tomorrow 09:20":              "2026-11-28T08:20:00Z",
		"now":                         "2026-11-27T11:30:00Z",
		"-10m":                        "2026-11-27T11:20:00Z",
		"-1d2h":                       "2026-11-26T09:30:00Z",
		"+1h":                         "2026-11-27T12:30:00Z",
		"1795771200":                  "2026-11-27T09:20:00Z",
		"@1795771200":                 "2026-11-27T09:20:00Z",
		"1795771200123":               "2026-11-27T09:20:00.123Z",
		"20261121T042048.123Z":        "2026-11-21T04:20:48.123Z",
	} {
		got, err := ParseTime(text, now)
		if err != nil || got.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("%q is read as %s, want %s: %v", text, got.UTC().Format(time.RFC3339Nano), want, err)
		}
	}
	for text, says := range map[string]string{
		"noon": "must be a time such as", "": "must be a time such as", "-x": "must be a time such as",
		"2026-02-30": "not in the calendar", "25:00": "no clock shows", "2026-11-27 09:20 +99": "more than a day",
		"2026-11-27 09:20 mars/base": "not known",
	} {
		if got, err := ParseTime(text, now); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is read as %s, %v; want %q", text, got, err, says)
		}
	}
}

func TestSpansAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"60s": time.Minute, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour, "1w": 168 * time.Hour, "1d12h": 36 * time.Hour,
		"0.5d": 12 * time.Hour, "0": 0,
	} {
		if got, err := ParseSpan(text); err != nil || got != want {
			t.Errorf("%q is read as %s, want %s: %v", text, got, want, err)
		}
	}
	for _, text := range []string{"60", "", "d", "9999999d", "1d-2h", "soon"} {
		if got, err := ParseSpan(text); err == nil || !strings.Contains(err.Error(), "such as 60s") {
			t.Errorf("%q is read as %s, %v", text, got, err)
		}
	}
}

func TestUnitsAndPlurals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ got, want string }{
		{Span(400 * time.Millisecond), "0.4 s"}, {Span(12 * time.Second), "12 s"}, {Span(4 * time.Minute), "4 min"},
		{Span(30 * time.Hour), "30 h"}, {Span(72 * time.Hour), "3 days"}, {Span(-time.Second), "0 s"},
		{Length(9900 * time.Millisecond), "9.9 s"}, {Length(5 * time.Minute), "5 min 00 s"}, {Length(25*time.Hour + 3*time.Minute),
			"25 h 03 min"},
		{Bytes(14_000), "14 kB"}, {Bytes(45e6), "45.0 MB"}, {Bytes(3e9), "3.0 GB"}, {Bytes(2e12), "2.0 TB"}, {Bytes(0), "0 kB"},
		{Days(0.75), "18.0 hours"}, {Days(1.5), "36.0 hours"}, {Days(3.5), "3.5 days"},
		{ShortDays(0.75), "18.0 h"}, {ShortDays(1.5), "1.5 days"},
		{Bitrate(700_000), "700 kbit/s"}, {Bitrate(4_000_000), "4.0 Mbit/s"},
		{Count(1, "secret"), "1 secret"}, {Count(2, "secret"), "2 secrets"}, {Count(0, "file"), "0 files"},
		{Count(int64(2), "day"), "2 days"}, {Count(3, "key"), "3 keys"}, {Count(2, "loss"), "2 losses"}, {Count(2, "query"), "2 queries"},
		{List([]string{"a", "b"}), "a, b"}, {List(nil), "none"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
