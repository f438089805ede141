package scheduler

const (
	secondsPerDay = 24 * 60 * 60

	saturday = 7
	sunday   = 1
)

// calendar is a second in a time zone. Its fields can be set one by one, also beyond their range (minute 60, month 13, day
// 0), and take effect together in settle, as in a lenient java.util.GregorianCalendar: Quartz searches with one, and its
// results around changes of the offset come from there. In particular every settle after a set uses the local time alone and
// so moves from the first of two equal local times to the second.
type calendar struct {
	offsets *offsets

	year, month, day, hour, minute, second int // month 1–12 when settled
	weekday                                int // 1 = Sunday, valid when settled
	unix                                   int64
	changed                                bool // fields were set since unix was computed
}

func calendarAt(unix int64, o *offsets) calendar {
	c := calendar{offsets: o}
	c.moveTo(unix)
	return c
}

// moveTo sets the fields to those of a time.
func (c *calendar) moveTo(unix int64) {
	c.unix, c.changed = unix, false
	local := unix + c.offsets.at(unix).offset
	days := floorDiv(local, secondsPerDay)
	c.setClock(int(local - days*secondsPerDay))
	c.setDate(days)
}

func (c *calendar) setClock(secondOfDay int) {
	c.hour, c.minute, c.second = secondOfDay/3600, secondOfDay/60%60, secondOfDay%60
}

// settle computes the time for the fields, and then the fields from it.
func (c *calendar) settle() {
	if !c.changed {
		return
	}
	c.changed = false
	year, month := c.year, c.month
	if month < 1 || month > 12 {
		carry := int(floorDiv(int64(month-1), 12))
		year, month = year+carry, month-12*carry
	}
	days := daysFromDate(year, month, 1) + int64(c.day-1)
	secondOfDay := int64(c.hour*3600 + c.minute*60 + c.second)
	local := days*secondsPerDay + secondOfDay
	c.unix = local - c.offsets.ofLocal(local)
	if actual := c.unix + c.offsets.at(c.unix).offset; actual != local || secondOfDay >= secondsPerDay {
		days = floorDiv(actual, secondsPerDay)
		secondOfDay = actual - days*secondsPerDay
	}
	c.setClock(int(secondOfDay))
	if year == c.year && month == c.month && days == daysFromDate(year, month, 1)+int64(c.day-1) && c.day >= 1 &&
		c.day <= lastDayOf(year, month) {
		c.weekday = weekdayOf(days)
		return
	}
	c.setDate(days)
}

func (c *calendar) setDate(days int64) {
	c.year, c.month, c.day = dateFromDays(days)
	c.weekday = weekdayOf(days)
}

func (c *calendar) setSecond(v int) { c.second, c.changed = v, true }
func (c *calendar) setMinute(v int) { c.minute, c.changed = v, true }
func (c *calendar) setHour(v int)   { c.hour, c.changed = v, true }
func (c *calendar) setDay(v int)    { c.day, c.changed = v, true }
func (c *calendar) setMonth(v int)  { c.month, c.changed = v, true }
func (c *calendar) setYear(v int)   { c.year, c.changed = v, true }

// setMidnight sets the fields to the start of a day.
func (c *calendar) setMidnight(month, day int) {
	c.hour, c.minute, c.second = 0, 0, 0
	c.month, c.day, c.changed = month, day, true
}

// advanceHour sets the hour, or the next one where a change of the clock skips it.
func (c *calendar) advanceHour(hour int) {
	c.setHour(hour)
	c.settle()
	if c.hour != hour && hour != 24 {
		c.setHour(hour + 1)
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// weekdayOf returns 1 for Sunday to 7 for Saturday; days count from 1970-01-01, a Thursday.
func weekdayOf(days int64) int { return int((days+4)-7*floorDiv(days+4, 7)) + 1 }

func lastDayOf(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && year%100 != 0 || year%400 == 0 {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	default:
		return 31
	}
}

// The two functions below count days in years that begin in March, so that the leap day is the last
// of its year, and in eras of 400 years, after which the Gregorian calendar repeats.
const (
	daysPerEra   = 146097
	epochFromEra = 719468 // days from 0000-03-01 to 1970-01-01
)

// daysFromDate returns the days from 1970-01-01 to a date of the Gregorian calendar.
func daysFromDate(year, month, day int) int64 {
	y := int64(year)
	if month <= 2 {
		y--
	}
	era := floorDiv(y, 400)
	yearOfEra := y - era*400
	dayOfYear := int64((153*((month+9)%12)+2)/5 + day - 1)
	return era*daysPerEra + yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear - epochFromEra
}

// dateFromDays is the inverse of daysFromDate.
func dateFromDays(days int64) (year, month, day int) {
	days += epochFromEra
	era := floorDiv(days, daysPerEra)
	dayOfEra := days - era*daysPerEra
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36524 - dayOfEra/146096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	fromMarch := (5*dayOfYear + 2) / 153
	day = int(dayOfYear-(153*fromMarch+2)/5) + 1
	month = int(fromMarch+2)%12 + 1
	y := yearOfEra + era*400
	if month <= 2 {
		y++
	}
	return int(y), month, day
}
