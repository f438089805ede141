package scheduler

// search searches for the next time of an expression, as Quartz does: field by field from the second up, and whenever a
// field had to be moved, from the start with the smaller fields at their least. The order of the steps affects the result
// around changes of the clock.
type search struct {
	*rules
	calendar
	// after is the first second that counts.
	after int64
	// The local time of day found so far.
	sec, min, hr int
}

// next returns the first time after after, in Unix seconds.
func (r *rules) next(after int64, o *offsets) (int64, bool) {
	s := search{rules: r, calendar: calendarAt(after+1, o), after: after + 1}
	// Setting the milliseconds to 0 already makes Quartz use the local time.
	s.changed = true
	if !r.byDayOfMonth && r.nth != 0 && r.fields[daysOfWeek].first() > saturday {
		return 0, false // Quartz accepts 8#1, and searches without success
	}
	var seen loop
	lastYear := r.lastYear()
	for {
		s.settle()
		if s.year > lastYear || seen.again(s.unix) {
			return 0, false
		}
		s.toSecond()
		if !s.toMinute() || !s.toHour() || !s.toDay() {
			continue
		}
		s.settle()
		if s.year > s.maxYear {
			return 0, false
		}
		if !s.toMonth() {
			continue
		}
		switch year, ok := s.fields[years].from(s.year); {
		case !ok:
			return 0, false
		case year != s.year:
			s.setMidnight(1, 1)
			s.setYear(year)
			continue
		}
		s.changed = true
		s.settle()
		return s.unix, true
	}
}

// lastYear returns the last year that is searched. Quartz continues to 2999, but nothing after the last year that the
// expression allows can match; a nearest weekday can lead back by a month.
func (r *rules) lastYear() int {
	years := r.fields[years]
	if len(years) == 0 {
		return 0
	}
	return min(int(years[len(years)-1]), r.maxYear) + 1
}

// toSecond moves to the next allowed second. Unlike the others it never starts over.
func (s *search) toSecond() {
	sec, ok := s.fields[seconds].from(s.second)
	if !ok {
		sec = s.fields[seconds].first()
		s.setMinute(s.minute + 1)
	}
	s.setSecond(sec)
	s.sec = sec
	s.settle()
}

// toMinute reports whether the calendar is at an allowed minute. If not it was moved to the next one. The following methods
// work the same way.
func (s *search) toMinute() bool {
	minute, ok := s.fields[minutes].from(s.minute)
	hour := s.hour
	if !ok {
		minute = s.fields[minutes].first()
		hour++
	}
	if !ok || minute != s.minute {
		s.setSecond(0)
		s.setMinute(minute)
		s.advanceHour(hour)
		return false
	}
	s.min = minute
	s.changed = true
	s.settle()
	return true
}

func (s *search) toHour() bool {
	hour, ok := s.fields[hours].from(s.hour)
	day := s.day
	if !ok {
		hour = s.fields[hours].first()
		day++
	}
	if !ok || hour != s.hour {
		s.setSecond(0)
		s.setMinute(0)
		s.setDay(day)
		s.advanceHour(hour)
		return false
	}
	s.hr = hour
	s.changed = true
	s.settle()
	return true
}

func (s *search) toMonth() bool {
	month, ok := s.fields[months].from(s.month)
	year := s.year
	if !ok {
		month = s.fields[months].first()
		year++
	}
	if !ok || month != s.month {
		s.setMidnight(month, 1)
		s.setYear(year)
		return false
	}
	s.changed = true
	s.settle()
	return true
}

func (s *search) toDay() bool {
	var month, day int
	switch {
	case !s.byDayOfMonth && s.lastWeekday:
		month, day = s.dayOfLastWeekday()
	case !s.byDayOfMonth && s.nth != 0:
		month, day = s.dayOfNthWeekday()
	case !s.byDayOfMonth:
		month, day = s.dayOfWeekday()
	case s.lastDay && s.nearestWeekday:
		month, day = s.weekdayNear(lastDayOf(s.year, s.month)-s.lastDayOffset, 1)
	case s.lastDay:
		month, day = s.dayOfLastDay()
	case s.nearestWeekday:
		first := s.fields[daysOfMonth].first()
		month, day = s.weekdayNear(first, first)
	default:
		month, day = s.dayInList()
	}
	if day != s.day || month != s.month {
		s.setMidnight(month, day)
		return false
	}
	s.changed = true
	return true
}

func (s *search) dayInList() (month, day int) {
	day, ok := s.fields[daysOfMonth].from(s.day)
	if !ok || day > lastDayOf(s.year, s.month) {
		return s.month + 1, s.fields[daysOfMonth].first()
	}
	return s.month, day
}

func (s *search) dayOfLastDay() (month, day int) {
	day = lastDayOf(s.year, s.month) - s.lastDayOffset
	if s.day > day {
		return s.month + 1, 1
	}
	return s.month, day
}

// weekdayNear returns the weekday nearest to a day within the month, or, when that day is earlier, the original day in the
// next month, to start over there.
func (s *search) weekdayNear(day, otherwise int) (month, found int) {
	t := s.calendar
	t.setMidnight(s.month, day)
	t.settle()
	switch {
	case t.weekday == saturday && day == 1:
		day += 2
	case t.weekday == saturday:
		day--
	case t.weekday == sunday && day == lastDayOf(s.year, s.month):
		day -= 2
	case t.weekday == sunday:
		day++
	}
	t.setSecond(s.sec)
	t.setMinute(s.min)
	t.setHour(s.hr)
	t.setDay(day)
	t.setMonth(s.month) // not the year: day 0 of January moved it, and Quartz leaves it so
	t.settle()
	if t.unix < s.after {
		return s.month + 1, otherwise
	}
	return s.month, day
}

// daysUntil counts the days from the calendar's weekday to another.
func (s *search) daysUntil(weekday int) int {
	if s.weekday > weekday {
		return weekday + 7 - s.weekday
	}
	return weekday - s.weekday
}

func (s *search) dayOfLastWeekday() (month, day int) {
	day = s.day + s.daysUntil(s.fields[daysOfWeek].first())
	last := lastDayOf(s.year, s.month)
	if day > last {
		return s.month + 1, 1
	}
	return s.month, day + (last-day)/7*7
}

func (s *search) dayOfNthWeekday() (month, day int) {
	day = s.day + s.daysUntil(s.fields[daysOfWeek].first())
	weeks := s.nth - (day+6)/7
	day += weeks * 7
	if weeks < 0 || day > lastDayOf(s.year, s.month) {
		return s.month + 1, 1
	}
	return s.month, day
}

func (s *search) dayOfWeekday() (month, day int) {
	weekday, ok := s.fields[daysOfWeek].from(s.weekday)
	if !ok {
		weekday = s.fields[daysOfWeek].first()
	}
	day = s.day + s.daysUntil(weekday)
	if day > lastDayOf(s.year, s.month) {
		return s.month + 1, 1
	}
	return s.month, day
}

// loop detects a search that returns to an earlier time and would never end, as with Quartz for some impossible expressions
// ("0 0 0 L-30W * ?"). It compares with one earlier time, which it moves ahead at growing distances.
type loop struct {
	place         int64
	steps, budget int
}

func (l *loop) again(place int64) bool {
	if l.steps == l.budget {
		l.place, l.steps, l.budget = place, 0, 2*l.budget+8
		return false
	}
	l.steps++
	return place == l.place
}
