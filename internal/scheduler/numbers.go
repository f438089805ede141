package scheduler

// number parses terms that begin with a digit: n, n-m, n-m/s, n/s, nL, nW, n#k. Any other text after the number is ignored.
func (p *parser) number(f field, t token) error {
	n, i, ok := digits(t, 0, 0)
	if !ok {
		return p.fault(f, t, "the number is too large")
	}
	switch t.at(i) {
	case 'L':
		return p.lastOf(f, t, n)
	case 'W':
		return p.weekdayNear(f, t, n)
	case '#':
		return p.nthOf(f, t, n, i)
	case '-':
		return p.numberRange(f, t, n, i)
	case '/':
		return p.numberStep(f, t, n, i)
	default:
		return p.addOne(f, t, n)
	}
}

func (p *parser) lastOf(f field, t token, n int64) error {
	if f != daysOfWeek {
		return p.fault(f, t, "L behind a number is for day of week only")
	}
	if n < 1 || n > 7 {
		return p.fault(f, t, "day of week must be 1 to 7")
	}
	p.rules.lastWeekday = true
	p.add(f, n)
	return nil
}

func (p *parser) weekdayNear(f field, t token, n int64) error {
	if f != daysOfMonth {
		return p.fault(f, t, "W is for day of month only")
	}
	if n > 31 {
		return p.fault(f, t, "day of month must be 1 to 31")
	}
	p.rules.nearestWeekday = true
	p.add(f, n)
	return nil
}

func (p *parser) nthOf(f field, t token, n int64, i int) error {
	if f != daysOfWeek {
		return p.fault(f, t, "# is for day of week only")
	}
	if err := p.nth(t, t.rest(i+1)); err != nil {
		return err
	}
	p.add(f, n) // unchecked, as in Quartz
	return nil
}

func (p *parser) numberRange(f field, t token, n int64, i int) error {
	last, i, ok := leadingInt(t, i+1)
	if !ok {
		return p.fault(f, t, "- must be followed by a number")
	}
	if t.at(i) != '/' {
		return p.addRange(f, t, valueRange{n, last, 1})
	}
	step, _, ok := leadingInt(t, i+1)
	if !ok {
		return p.fault(f, t, "/ must be followed by a number")
	}
	return p.addRange(f, t, valueRange{n, last, step})
}

func (p *parser) numberStep(f field, t token, n int64, i int) error {
	step, end, ok := leadingInt(t, i+1)
	if !ok || end == i+2 && end < len(t.text) { // n/5x is refused, n/15x is not
		return p.fault(f, t, "/ must be followed by a number")
	}
	if err := p.checkStep(f, t, step); err != nil {
		return err
	}
	return p.addRange(f, t, valueRange{n, toEnd, step})
}
