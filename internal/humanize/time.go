// Package humanize owns how times, spans, sizes and counts are written for people, and how times and
// spans are read from them. Whatever FormatTime writes ParseTime reads, as the same instant. It imports
// the standard library only.
package humanize

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The one layout of times: RFC 3339 with a space. The zone is always shown.
const (
	layoutSeconds = "2006-01-02 15:04:05Z07:00"
	layoutMillis  = "2006-01-02 15:04:05.000Z07:00"
	layoutMinutes = "2006-01-02 15:04Z07:00"
	layoutWeekday = "Mon 2006-01-02 15:04:05Z07:00"
)

// Time writes a time to the second, in its own location.
func Time(t time.Time) string { return t.Format(layoutSeconds) }

// Millis writes a time to the millisecond, in its own location.
func Millis(t time.Time) string { return t.Format(layoutMillis) }

// Minute writes a time to the minute, in its own location.
func Minute(t time.Time) string { return t.Format(layoutMinutes) }

// Soon writes a time to the minute, and without its day when that is the day of now. Both are in one location.
func Soon(t, now time.Time) string {
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04Z07:00")
	}
	return Minute(t)
}

// Weekday writes a time to the second after the name of its day.
func Weekday(t time.Time) string { return t.Format(layoutWeekday) }

// TimeForms is what ParseTime takes, for the text of flags.
const TimeForms = "2026-11-21 04:20, 04:20, yesterday, -10m, 2026-11-21T04:20:00Z or Unix seconds; without a zone in local time"

var errTime = errors.New("must be a time such as '2026-11-21 04:20', 2026-11-21T04:20:00Z, 04:20 (today), yesterday, -10m or Unix seconds")

var (
	relative = regexp.MustCompile(`^([+-])(\S+)$`)
	unix     = regexp.MustCompile(`^@?(\d{9,11}|\d{12,14})$`)
	stamp    = regexp.MustCompile(`^(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d(?:\.\d+)?)(z?)$`) // of the recordings' file names
	weekday  = regexp.MustCompile(`^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+`)
	// instant is a day, a time of day, or both, and perhaps a zone.
	instant = regexp.MustCompile(`^(\d{4}-\d{1,2}-\d{1,2}|\d{8}|today|yesterday|tomorrow)?` +
		`(?:(?:^|[t\s]\s*)(\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?))?` +
		`\s*(z|utc|gmt|[+-]\d\d(?::?\d\d)?|[a-z_]+/[a-z_/+-]+)?$`)
)

// ParseTime reads a time as we print it and as people write it: a day and a time of day with or without
// a zone, one of the two, yesterday, a span before or after now, or Unix seconds. What has no zone is in that of now.
func ParseTime(text string, now time.Time) (time.Time, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "now" {
		return now, nil
	}
	if m := relative.FindStringSubmatch(text); m != nil {
		d, err := ParseSpan(m[2])
		if err != nil {
			return time.Time{}, errTime
		}
		if m[1] == "-" {
			d = -d
		}
		return now.Add(d), nil
	}
	if m := unix.FindStringSubmatch(text); m != nil {
		n, err := strconv.ParseInt(m[1], 10, 64)
		if len(m[1]) > 11 {
			return time.UnixMilli(n).In(now.Location()), err
		}
		return time.Unix(n, 0).In(now.Location()), err
	}
	if m := stamp.FindStringSubmatch(text); m != nil {
		text = fmt.Sprintf("%s-%s-%s %s:%s:%s%s", m[1], m[2], m[3], m[4], m[5], m[6], m[7])
	}
	m := instant.FindStringSubmatch(weekday.ReplaceAllString(text, ""))
	if m == nil || m[1] == "" && m[2] == "" {
		return time.Time{}, errTime
	}
	zone, err := location(m[3], now.Location())
	if err != nil {
		return time.Time{}, err
	}
	return at(m[1], m[2], now.In(zone))
}

// at puts a day (by default that of now) and a time of day (by default its start) together, in now's zone.
func at(day, clock string, now time.Time) (time.Time, error) {
	date := now
	switch {
	case day == "" || day == "today":
	case day == "yesterday":
		date = now.AddDate(0, 0, -1)
	case day == "tomorrow":
		date = now.AddDate(0, 0, 1)
	default:
		layout := "2006-1-2"
		if !strings.Contains(day, "-") {
			layout = "20060102"
		}
		var err error
		if date, err = time.Parse(layout, day); err != nil {
			return time.Time{}, fmt.Errorf("has the day %s, which is not in the calendar", day)
		}
	}
	var of time.Time
	if clock != "" {
		layout := "15:04"
		if strings.Count(clock, ":") == 2 {
			layout = "15:04:05" // takes a fraction as well
		}
		var err error
		if of, err = time.Parse(layout, clock); err != nil {
			return time.Time{}, fmt.Errorf("has the time of day %s, which no clock shows", clock)
		}
	}
	return time.Date(date.Year(), date.Month(), date.Day(), of.Hour(), of.Minute(), of.Second(), of.Nanosecond(), now.Location()), nil
}

func location(text string, local *time.Location) (*time.Location, error) {
	switch {
	case text == "":
		return local, nil
	case text == "z" || text == "utc" || text == "gmt":
		return time.UTC, nil
	case text[0] == '+' || text[0] == '-':
		digits := strings.ReplaceAll(text[1:], ":", "")
		if len(digits) == 2 {
			digits += "00"
		}
		n, err := strconv.Atoi(digits)
		if err != nil || n/100 > 23 || n%100 > 59 {
			return nil, fmt.Errorf("has the zone %s, which is more than a day", text)
		}
		seconds := (n/100*60 + n%100) * 60
		if text[0] == '-' {
			seconds = -seconds
		}
		return time.FixedZone("", seconds), nil
	}
	zone, err := time.LoadLocation(zoneName(text))
	if err != nil {
		return nil, fmt.Errorf("has the zone %s, which is not known", text)
	}
	return zone, nil
}

// zoneName restores the capital letters of a zone's name: europe/berlin, america/port_of_spain.
func zoneName(text string) string {
	name := []byte(text)
	for i := range name {
		if (i == 0 || strings.IndexByte("/_-", name[i-1]) >= 0) && 'a' <= name[i] && name[i] <= 'z' {
			name[i] -= 'a' - 'A'
		}
	}
	return strings.NewReplacer("_Of_", "_of_", "_Es_", "_es_", "-Of-", "-of-", "-Au-", "-au-", "-In-", "-in-").Replace(string(name))
}
