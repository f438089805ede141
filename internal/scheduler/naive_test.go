package scheduler

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// naiveSchedule judges single seconds. It shares nothing with the evaluator: it is built beside the
// text of an expression, not from it.
type naiveSchedule struct {
	text                 string
	second, minute, hour [60]bool
	month                [13]bool
	year                 func(int) bool
	day                  func(time.Time) bool
}

func (n *naiveSchedule) matchesDay(t time.Time) bool {
	return n.month[t.Month()] && n.year(t.Year()) && n.day(t)
}

func (n *naiveSchedule) matches(t time.Time) bool {
	return n.second[t.Second()] && n.minute[t.Minute()] && n.hour[t.Hour()] && n.matchesDay(t)
}

// next tries one second after the other, leaving out days, hours and minutes that cannot match.
// It is right where local time runs without a break, and stops at limit.
func (n *naiveSchedule) next(after, limit time.Time) (time.Time, bool) {
	for t := after.Add(time.Second); !t.After(limit); {
		year, month, day := t.Date()
		switch {
		case !n.matchesDay(t):
			t = time.Date(year, month, day+1, 0, 0, 0, 0, t.Location())
		case !n.hour[t.Hour()]:
			t = time.Date(year, month, day, t.Hour()+1, 0, 0, 0, t.Location())
		case !n.minute[t.Minute()]:
			t = time.Date(year, month, day, t.Hour(), t.Minute()+1, 0, 0, t.Location())
		case !n.second[t.Second()]:
			t = t.Add(time.Second)
		default:
			return t, true
		}
	}
	return time.Time{}, false
}

// writer makes up expressions together with what they mean.
type writer struct{ *rand.Rand }

func (w writer) between(low, high int) int { return low + w.IntN(high-low+1) }

func (w writer) schedule() *naiveSchedule {
	n := &naiveSchedule{}
	fields := []string{
		w.numbers(0, 59, nil, n.second[:]),
		w.numbers(0, 59, nil, n.minute[:]),
		w.numbers(0, 23, nil, n.hour[:]),
	}
	month := w.numbers(1, 12, monthNames, n.month[:])
	if w.IntN(2) == 0 {
		fields = append(fields, w.dayOfMonth(n), month, "?")
	} else {
		fields = append(fields, "?", month, w.dayOfWeek(n))
	}
	if year := w.years(n); year != "" {
		fields = append(fields, year)
	}
	n.text = strings.Join(fields, strings.Repeat(" ", w.between(1, 2)))
	return n
}

// numbers writes a list of terms, and marks in allowed what they mean.
func (w writer) numbers(low, high int, names []string, allowed []bool) string {
	mark := func(first, last, step int) {
		size := high - low + 1
		if last < first {
			last += size
		}
		for v := first; v <= last; v += step {
			allowed[low+(v-low)%size] = true
		}
	}
	write := func(v int) string {
		if names != nil && w.IntN(2) == 0 {
			name := names[v-low]
			if w.IntN(2) == 0 {
				name = strings.ToLower(name)
			}
			return name
		}
		return fmt.Sprint(v)
	}
	var terms []string
	for range 1 + w.IntN(3)*w.IntN(2) {
		first, last, step := w.between(low, high), w.between(low, high), w.between(1, high-1)
		switch w.IntN(8) {
		case 0:
			mark(low, high, 1)
			terms = append(terms, "*")
		case 1:
			mark(low, high, step)
			terms = append(terms, fmt.Sprintf("*/%d", step))
		case 2:
			mark(low, high, step)
			terms = append(terms, fmt.Sprintf("/%d", step))
		case 3:
			mark(first, high, step)
			terms = append(terms, fmt.Sprintf("%d/%d", first, step))
		case 4:
			mark(first, last, step)
			terms = append(terms, fmt.Sprintf("%d-%d/%d", first, last, step))
		case 5:
			mark(first, last, 1)
			terms = append(terms, w.rangeOf(first, last, names, low))
		default:
			mark(first, first, 1)
			terms = append(terms, write(first))
		}
	}
	return strings.Join(terms, ",")
}

// rangeOf writes both ends in the same way: FRI-2 does not exist.
func (w writer) rangeOf(first, last int, names []string, low int) string {
	if names != nil && w.IntN(2) == 0 {
		return names[first-low] + "-" + names[last-low]
	}
	return fmt.Sprintf("%d-%d", first, last)
}

func (w writer) dayOfMonth(n *naiveSchedule) string {
	d := w.between(1, 28)
	switch w.IntN(7) {
	case 0:
		n.day = func(t time.Time) bool { return t.Day() == naiveLastDay(t) }
		return "L"
	case 1:
		n.day = func(t time.Time) bool { return t.Day() == naiveLastDay(t)-d+1 }
		return fmt.Sprintf("L-%d", d-1)
	case 2:
		n.day = func(t time.Time) bool { return t.Day() == naiveNearestWeekday(t, naiveLastDay(t)) }
		return "LW"
	case 3:
		n.day = func(t time.Time) bool { return t.Day() == naiveNearestWeekday(t, naiveLastDay(t)-d+1) }
		return fmt.Sprintf("L-%dW", d-1)
	case 4:
		n.day = func(t time.Time) bool { return t.Day() == naiveNearestWeekday(t, d) }
		return fmt.Sprintf("%dW", d)
	default:
		var days [32]bool
		text := w.numbers(1, 31, nil, days[:])
		n.day = func(t time.Time) bool { return days[t.Day()] }
		return text
	}
}

func (w writer) dayOfWeek(n *naiveSchedule) string {
	weekday, nth := w.between(1, 7), w.between(1, 5)
	name := fmt.Sprint(weekday)
	if w.IntN(2) == 0 {
		name = dayNames[weekday-1]
	}
	isWeekday := func(t time.Time) bool { return int(t.Weekday())+1 == weekday }
	switch w.IntN(5) {
	case 0:
		n.day = func(t time.Time) bool { return isWeekday(t) && t.Day() > naiveLastDay(t)-7 }
		return name + "L"
	case 1:
		n.day = func(t time.Time) bool { return isWeekday(t) && (t.Day()-1)/7+1 == nth }
		return fmt.Sprintf("%s#%d", name, nth)
	default:
		var days [8]bool
		text := w.numbers(1, 7, dayNames, days[:])
		n.day = func(t time.Time) bool { return days[int(t.Weekday())+1] }
		return text
	}
}

func (w writer) years(n *naiveSchedule) string {
	first := w.between(2026, 2030)
	last := first + w.IntN(4)
	switch w.IntN(5) {
	case 0:
		n.year = func(y int) bool { return y == first || y == last+1 }
		return fmt.Sprintf("%d,%d", last+1, first)
	case 1:
		n.year = func(y int) bool { return y >= first && y <= last }
		return fmt.Sprintf("%d-%d", first, last)
	case 2:
		n.year = func(y int) bool { return y >= first && (y-first)%3 == 0 }
		return fmt.Sprintf("%d/3", first)
	case 3:
		n.year = func(int) bool { return true }
		return "*"
	default:
		n.year = func(int) bool { return true }
		return ""
	}
}

func naiveLastDay(t time.Time) int {
	return time.Date(t.Year(), t.Month()+1, 0, 12, 0, 0, 0, time.UTC).Day()
}

// naiveNearestWeekday tries the days next to a day in turn, within the month of t.
func naiveNearestWeekday(t time.Time, day int) int {
	for _, candidate := range []int{day, day - 1, day + 1, day - 2, day + 2} {
		d := time.Date(t.Year(), t.Month(), candidate, 12, 0, 0, 0, time.UTC)
		if d.Month() == t.Month() && d.Weekday() != time.Saturday && d.Weekday() != time.Sunday {
			return candidate
		}
	}
	return 0
}
