package scheduler

import (
	"slices"
	"strings"
)

// name parses JAN or JAN-MAR, MON or MON-FRI, MON#2 or MONL.
func (p *parser) name(f field, t token) error {
	var names []string
	var kind string
	switch f {
	case months:
		names, kind = monthNames, "month must be a number from 1 to 12 or one of "+strings.Join(monthNames, ", ")
	case daysOfWeek:
		names, kind = dayNames, "day of week must be a number from 1 (Sunday) to 7 or one of "+strings.Join(dayNames, ", ")
	default:
		return p.fault(f, t, "letters have no meaning here")
	}
	first := lookUp(names, t)
	if first == 0 {
		return p.fault(f, t, kind)
	}
	switch c := t.at(3); {
	case c == '-':
		last := lookUp(names, t.rest(4))
		if last == 0 {
			return p.fault(f, t.rest(4), kind)
		}
		return p.addRange(f, t, valueRange{first, last, 1})
	case c == '#' && f == daysOfWeek:
		if err := p.nth(t, t.rest(4)); err != nil {
			return err
		}
	case c == 'L' && f == daysOfWeek:
		p.rules.lastWeekday = true
	}
	return p.addOne(f, t, first)
}

// lookUp finds the three-letter name at the start of t: 1 for the first, 0 for none.
func lookUp(names []string, t token) int64 {
	if len(t.text) < 3 {
		return 0
	}
	return int64(slices.Index(names, string(t.text[:3])) + 1)
}

// nth parses the number after #.
func (p *parser) nth(term, number token) error {
	n, ok := javaInt(number.text)
	if !ok || n < 1 || n > 5 {
		return p.fault(daysOfWeek, term, "# must be followed by a number from 1 to 5")
	}
	p.rules.nth = int(n)
	return nil
}

func (p *parser) questionMark(f field, t token) error {
	switch {
	case len(t.text) > 2: // one more character is accepted
		return p.fault(f, t, "nothing can follow ?")
	case f != daysOfMonth && f != daysOfWeek:
		return p.fault(f, t, "? is for day of month and day of week only")
	case f == daysOfWeek && !p.rules.lastDay && len(p.rules.fields[daysOfMonth]) == 0:
		return p.fault(f, t, "day of month has no value, so day of week cannot be ?")
	case f == daysOfWeek && !p.rules.lastDay && slices.Max(p.rules.fields[daysOfMonth]) == unspecified:
		return p.fault(f, t, "day of month and day of week cannot both be ?")
	}
	return p.addOne(f, t, unspecified)
}

// star parses *, */n, /n; with anything else after it * is still *.
func (p *parser) star(f field, t token) error {
	increment := t
	if t.at(0) == '*' {
		increment = t.rest(1)
	}
	step := int64(1)
	if increment.at(0) == '/' {
		var ok bool
		if step, ok = javaInt(increment.text[1:]); !ok {
			return p.fault(f, t, "/ must be followed by a number")
		}
	}
	if err := p.checkStep(f, t, step); err != nil {
		return err
	}
	p.addAll(f, max(step, 1))
	return nil
}

// last parses L, LW, L-n and L-nW. Where L has no meaning Quartz accepts it without effect.
func (p *parser) last(f field, t token) error {
	switch f {
	case daysOfMonth:
		p.rules.lastDay = true
	case daysOfWeek:
		return p.addOne(f, t, 7)
	default:
		return nil
	}
	next := 1
	if t.at(1) == '-' {
		if len(t.text) == 2 {
			return p.fault(f, t, "L- must be followed by a number of days")
		}
		offset, end, ok := digits(t, 2, 0)
		if !ok || offset > 30 {
			return p.fault(f, t, "the last day of the month can be moved back by at most 30 days")
		}
		p.rules.lastDayOffset, next = int(offset), end
	}
	if t.at(next) == 'W' {
		p.rules.nearestWeekday = true
	}
	return nil
}
