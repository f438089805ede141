package scheduler

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxTimesNamed is how many times of day are listed individually.
const maxTimesNamed = 6

// Describe returns the meaning of e in words: "every hour from 9:00 to 16:00, Monday to Friday".
func Describe(e *Expression) string {
	r := e.rules
	if never := r.never(); never != "" {
		return "never, because " + never
	}
	parts := []string{r.timeOfDay()}
	for _, part := range []string{r.days(), r.monthsInWords(), r.yearsInWords()} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	text := strings.Join(parts, ", ")
	if r.ignored != "" {
		text += fmt.Sprintf(" (Quartz ignores %q behind the year)", r.ignored)
	}
	return text
}

// never returns why an expression cannot fire, where one field alone shows it; otherwise it is empty.
func (r *rules) never() string {
	switch {
	case len(r.inReach(years)) == 0:
		return fmt.Sprintf("no year up to %d is allowed", r.maxYear)
	case !r.byDayOfMonth && r.nth != 0 && r.fields[daysOfWeek].first() > saturday:
		return fmt.Sprintf("the week has no day %d", r.fields[daysOfWeek].first())
	}
	return ""
}

// inReach returns the values of a field that are allowed and that exist.
func (r *rules) inReach(f field) values {
	b := fieldBounds[f]
	last := b.max
	if f == years {
		last = int64(r.maxYear)
	}
	return slices.DeleteFunc(slices.Clone(r.fields[f]), func(v int32) bool { return int64(v) < b.min || int64(v) > last })
}

// set has the values that a field allows, with their pattern.
type set struct {
	values
	min, max int
}

func (r *rules) set(f field) set {
	return set{r.inReach(f), int(fieldBounds[f].min), int(fieldBounds[f].max)}
}

func (s set) full() bool       { return s.covers(int64(s.min), int64(s.max)) }
func (s set) only(v int) bool  { return s.single() && s.first() == v }
func (s set) single() bool     { return len(s.values) == 1 }
func (s set) follow(v int) int { return s.min + (v-s.min+1)%(s.max-s.min+1) }

// step returns n when s is every n-th value from the least on, without a remainder: */15.
func (s set) step() (int, bool) {
	size := s.max - s.min + 1
	n := len(s.values)
	if n < 2 || size%n != 0 {
		return 0, false
	}
	for i, v := range s.values {
		if int(v) != s.min+i*size/n {
			return 0, false
		}
	}
	return size / n, true
}

// run returns the ends when s is three or more values in a row, also around the end: 22-2.
func (s set) run() (first, last int, ok bool) {
	if len(s.values) < 3 || s.full() {
		return 0, 0, false
	}
	breaks := 0
	for _, v := range s.values {
		if !s.contains(int32(s.follow(int(v)))) {
			breaks++
			last = int(v)
			first = s.follow(last)
			for !s.contains(int32(first)) {
				first = s.follow(first)
			}
		}
	}
	return first, last, breaks == 1
}

// words returns the values: "9, 11 and 15", or "9 to 16" for a run.
func (s set) words(name func(int) string) string {
	if first, last, ok := s.run(); ok {
		return name(first) + " to " + name(last)
	}
	names := make([]string, len(s.values))
	for i, v := range s.values {
		names[i] = name(int(v))
	}
	return list(names)
}

func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

func (r *rules) timeOfDay() string {
	second, minute, hour := r.set(seconds), r.set(minutes), r.set(hours)
	if second.only(0) {
		if text := onTheMinute(minute, hour); text != "" {
			return text
		}
	}
	if second.full() && minute.full() && hour.full() {
		return "every second"
	}
	if n := len(second.values) * len(minute.values) * len(hour.values); n <= maxTimesNamed {
		return "at " + list(timesOfDay(second, minute, hour))
	}
	at := "at "
	if second.full() {
		at = ""
	}
	return at + unitsOf(second, "second") + " of " + unitsOf(minute, "minute") + " of " + unitsOf(hour, "hour")
}

// unitsOf returns the values of a unit: "every minute", "minutes 0 to 10".
func unitsOf(s set, unit string) string {
	if s.full() {
		return "every " + unit
	}
	return plural(len(s.values), unit) + " " + s.words(strconv.Itoa)
}

// onTheMinute describes the common patterns with second 0; it is empty for all others.
func onTheMinute(minute, hour set) string {
	clock := func(h int) string { return fmt.Sprintf("%d:%02d", h, minute.first()) }
	first, last, inRow := hour.run()
	hourStep, stepped := hour.step()
	minuteStep, minuteStepped := minute.step()
	switch {
	case minute.full() && hour.full():
		return "every minute"
	case minute.full() && inRow:
		return fmt.Sprintf("every minute from %d:00 to %d:59", first, last)
	case minuteStepped && hour.full():
		return fmt.Sprintf("every %d minutes", minuteStep)
	case minuteStepped && inRow:
		return fmt.Sprintf("every %d minutes from %d:00 to %d:%02d", minuteStep, first, last, 60-minuteStep)
	case !minute.single():
		return ""
	case minute.only(0) && hour.full():
		return "every hour"
	case hour.full():
		return fmt.Sprintf("every hour at minute %d", minute.first())
	case inRow:
		return fmt.Sprintf("every hour from %s to %s", clock(first), clock(last))
	case stepped && len(hour.values) > maxTimesNamed:
		return fmt.Sprintf("every %d hours from %s on", hourStep, clock(0))
	}
	return ""
}

func timesOfDay(second, minute, hour set) []string {
	var times []string
	for _, h := range hour.values {
		for _, m := range minute.values {
			for _, s := range second.values {
				text := fmt.Sprintf("%d:%02d", h, m)
				if !second.only(0) {
					text += fmt.Sprintf(":%02d", s)
				}
				times = append(times, text)
			}
		}
	}
	return times
}

// days returns on which days, in the order in which toDay checks them; empty for every day.
func (r *rules) days() string {
	switch {
	case !r.byDayOfMonth && r.lastWeekday:
		return "on the last " + weekdayName(r.fields[daysOfWeek].first()) + " of the month"
	case !r.byDayOfMonth && r.nth != 0:
		return fmt.Sprintf("on the %s %s of the month", ordinals[r.nth-1], weekdayName(r.fields[daysOfWeek].first()))
	case !r.byDayOfMonth:
		return r.weekdays()
	case r.lastDay && r.nearestWeekday && r.lastDayOffset == 0:
		return "on the last weekday (Monday to Friday) of the month"
	case r.lastDay && r.nearestWeekday:
		return "on the weekday (Monday to Friday) nearest to " + r.lastDayInWords()
	case r.lastDay && r.lastDayOffset > 0:
		return r.lastDayInWords()
	case r.lastDay:
		return "on " + r.lastDayInWords()
	case r.nearestWeekday:
		return fmt.Sprintf("on the weekday (Monday to Friday) nearest to day %d of the month", r.fields[daysOfMonth].first())
	}
	s := r.set(daysOfMonth)
	if s.full() {
		return ""
	}
	return fmt.Sprintf("on %s %s of the month", plural(len(s.values), "day"), s.words(strconv.Itoa))
}

var ordinals = strings.Fields("first second third fourth fifth")

func (r *rules) lastDayInWords() string {
	if n := r.lastDayOffset; n > 0 {
		return fmt.Sprintf("%d %s before the last day of the month", n, plural(n, "day"))
	}
	return "the last day of the month"
}

// weekdayName of 0, which Quartz takes before #, is that of 7.
func weekdayName(v int) string { return time.Weekday((v + 6) % 7).String() }

func (r *rules) weekdays() string {
	s := r.set(daysOfWeek)
	if s.full() {
		return ""
	}
	if first, last, ok := s.run(); ok {
		return weekdayName(first) + " to " + weekdayName(last)
	}
	return "on " + s.words(weekdayName)
}

func (r *rules) monthsInWords() string {
	s := r.set(months)
	if s.full() {
		return ""
	}
	name := func(m int) string { return time.Month(m).String() }
	if first, last, ok := s.run(); ok {
		return "from " + name(first) + " to " + name(last)
	}
	return "in " + s.words(name)
}

func (r *rules) yearsInWords() string {
	allowed := r.inReach(years)
	first, last, n := int(allowed[0]), int(allowed[len(allowed)-1]), len(allowed)
	step := 0
	if n > 2 {
		step = (last - first) / (n - 1)
	}
	for i, v := range allowed {
		if int(v) != first+i*step {
			step = 0
		}
	}
	toTheEnd := step > 0 && last+step > r.maxYear
	switch {
	case step == 1 && toTheEnd && first == int(fieldBounds[years].min):
		return ""
	case step == 1 && toTheEnd:
		return fmt.Sprintf("from %d on", first)
	case step == 1:
		return fmt.Sprintf("from %d to %d", first, last)
	case toTheEnd:
		return fmt.Sprintf("every %d years from %d on", step, first)
	case step > 1 && n > 3:
		return fmt.Sprintf("every %d years from %d to %d", step, first, last)
	}
	names := make([]string, n)
	for i, v := range allowed {
		names[i] = strconv.Itoa(int(v))
	}
	return "in " + list(names)
}
