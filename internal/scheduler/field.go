package scheduler

import (
	"slices"
	"strings"
	"time"
)

// field is the index of a field in an expression.
type field int

const (
	seconds field = iota
	minutes
	hours
	daysOfMonth
	months
	daysOfWeek
	years
	fieldCount
)

// Quartz stores "*" and "?" as these numbers among the values of a field, so the number has the same effect in an expression
// as the sign.
const (
	anyValue    = 99
	unspecified = 98
)

// bounds are the values that a field may have.
type bounds struct {
	name     string // for messages
	min, max int64
	// wrap is what a range like 22-2 overflows at; 0 forbids such ranges.
	wrap int64
	// maxStep is the greatest increment after "/" that follows one value or "*"; 0 = any.
	maxStep int64
}

var fieldBounds = [fieldCount]bounds{
	seconds:     {name: "seconds", min: 0, max: 59, wrap: 60, maxStep: 59},
	minutes:     {name: "minutes", min: 0, max: 59, wrap: 60, maxStep: 59},
	hours:       {name: "hours", min: 0, max: 23, wrap: 24, maxStep: 23},
	daysOfMonth: {name: "day of month", min: 1, max: 31, wrap: 31, maxStep: 31},
	months:      {name: "month", min: 1, max: 12, wrap: 12, maxStep: 12},
	daysOfWeek:  {name: "day of week", min: 1, max: 7, wrap: 7, maxStep: 7},
	years:       {name: "year", min: 1970},
}

func (f field) String() string { return fieldBounds[f].name }

var (
	monthNames = strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")
	dayNames   = strings.Fields("SUN MON TUE WED THU FRI SAT")
)

// rules is the meaning of an expression for Quartz. Some of it applies to a field as a whole: of "1W,2W" only the first day
// counts, and "nearest weekday" applies to both.
type rules struct {
	fields  [fieldCount]values
	maxYear int
	// byDayOfMonth is false when day of month is "?": then day of week decides.
	byDayOfMonth   bool
	lastDay        bool // L: the last day of the month, less lastDayOffset
	lastDayOffset  int
	nearestWeekday bool // W
	lastWeekday    bool // 6L
	nth            int  // 6#3; 0 = none
	ignored        string
}

// horizonYears is how far ahead Quartz searches: MAX_YEAR is the current year plus 100.
const horizonYears = 100

// horizon is the last year in which an expression can fire. A clock that was never set must not make it too early, so this
// year is its minimum.
func horizon() int64 { return int64(max(time.Now().Year(), 2026)) + horizonYears }

// values are the values that a field allows, in ascending order without repetition.
type values []int32

// from returns the first value that is at least v.
func (s values) from(v int) (int, bool) {
	i, _ := slices.BinarySearch(s, int32(v))
	if i == len(s) {
		return 0, false
	}
	return int(s[i]), true
}

func (s values) first() int { return int(s[0]) }

func (s values) contains(v int32) bool {
	_, found := slices.BinarySearch(s, v)
	return found
}

// covers reports whether s allows everything from first to last.
func (s values) covers(first, last int64) bool {
	for v := first; v <= last; v++ {
		if !s.contains(int32(v)) {
			return false
		}
	}
	return true
}
