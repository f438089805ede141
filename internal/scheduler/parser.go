package scheduler

import "fmt"

// parser parses one expression as Quartz does: each field is a list of terms; of each term only the start counts, and the
// text after it is ignored in many places and refused in some.
type parser struct {
	expression string
	maxYear    int64
	rules      *rules
}

// ParseError states where an expression is wrong and which rule it breaks.
type ParseError struct {
	Expression string
	// Field is the name of the field, "hours" for example. Empty when the whole expression is meant.
	Field string
	// Position is where the wrong text begins, in characters counted from 1. 0 when there is no position.
	Position int
	// Text is the wrong text as it was written. Empty when something is missing.
	Text string
	// Rule states what would be right.
	Rule string
}

// Error returns one sentence: `hours "25" (character 5): hours must be 0 to 23`.
func (e *ParseError) Error() string {
	switch {
	case e.Field == "":
		return e.Rule
	case e.Text == "":
		return fmt.Sprintf("%s (character %d): %s", e.Field, e.Position, e.Rule)
	default:
		return fmt.Sprintf("%s %q (character %d): %s", e.Field, e.Text, e.Position, e.Rule)
	}
}

// fault returns the error at t. The message has the text as it was written.
func (p *parser) fault(f field, t token, rule string) error {
	written := []rune(p.expression)[t.start : t.start+len(t.text)]
	return &ParseError{Expression: p.expression, Field: f.String(), Position: t.start + 1, Text: string(written), Rule: rule}
}

func (p *parser) checkStep(f field, t token, step int64) error {
	if limit := fieldBounds[f].maxStep; limit > 0 && step > limit {
		return p.fault(f, t, fmt.Sprintf("the increment after / must be at most %d", limit))
	}
	return nil
}

// valueRange is a range of a field's values. A last of toEnd means the field's end.
type valueRange struct{ first, last, step int64 }

const toEnd = -1

func (p *parser) checkRange(f field, t token, first, last int64) error {
	b := fieldBounds[f]
	switch {
	case f == years || first == anyValue:
		return nil
	case first == unspecified && (f == daysOfMonth || f == daysOfWeek):
		return nil
	case first < b.min || first > b.max || last > b.max:
		return p.fault(f, t, fmt.Sprintf("%s must be %d to %d", b.name, b.min, b.max))
	}
	return nil
}

func (p *parser) addOne(f field, t token, n int64) error {
	if err := p.checkRange(f, t, n, toEnd); err != nil {
		return err
	}
	if n == anyValue {
		p.addAll(f, 1)
		return nil
	}
	p.add(f, n)
	return nil
}

func (p *parser) addAll(f field, step int64) { p.fill(f, fieldBounds[f].min, p.max(f), step) }

// max is the field's greatest value.
func (p *parser) max(f field) int64 {
	if f == years {
		return p.maxYear
	}
	return fieldBounds[f].max
}

func (p *parser) addRange(f field, t token, s valueRange) error {
	if err := p.checkRange(f, t, s.first, s.last); err != nil {
		return err
	}
	if s.step == 0 {
		if s.first != anyValue { // of 10-20/0 only the 10 counts
			p.add(f, s.first)
			return nil
		}
		s.step = 1
	}
	if s.last == toEnd {
		s.last = p.max(f)
	}
	if s.first == anyValue {
		s.first = fieldBounds[f].min
	}
	if s.first <= s.last {
		p.fill(f, s.first, s.last, s.step)
		return nil
	}
	wrap := fieldBounds[f].wrap
	if wrap == 0 {
		return p.fault(f, t, fmt.Sprintf("the range must not end before it begins (the last year is %d)", p.maxYear))
	}
	for v := s.first; v <= s.last+wrap; v += s.step {
		wrapped := v % wrap
		if wrapped == 0 && fieldBounds[f].min == 1 {
			wrapped = wrap
		}
		p.add(f, wrapped)
	}
	return nil
}

// beyond is the greatest number of a field that the search can distinguish: of all greater ones, the first is enough, since
// it is never reached.
const beyond = 128

// fill adds first, first+step … last.
func (p *parser) fill(f field, first, last, step int64) {
	limit := int64(beyond)
	if f == years {
		limit = p.maxYear
	}
	for v := first; v <= last; v += step {
		p.add(f, v)
		if v > limit {
			return
		}
	}
}

func (p *parser) add(f field, v int64) { p.rules.fields[f] = append(p.rules.fields[f], int32(v)) }
