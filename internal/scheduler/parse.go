package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

func parseRules(expression string) (*rules, error) {
	maxYear := horizon()
	p := &parser{expression: expression, maxYear: maxYear, rules: &rules{maxYear: int(maxYear)}}
	runes := []rune(expression)
	for i, r := range runes {
		runes[i] = unicode.ToUpper(r)
	}
	tokens := token{text: runes}.split(" \t")
	for f := seconds; f < fieldCount && int(f) < len(tokens); f++ {
		if err := p.field(f, tokens[f].trim()); err != nil {
			return nil, err
		}
	}
	switch {
	case len(tokens) == 0:
		return nil, &ParseError{Expression: expression,
			Rule: "the expression is empty: it must have six or seven fields: seconds, minutes, hours, day of month, month, day of week, and " +
				"optionally year"}
	case len(tokens) <= int(daysOfWeek):
		return nil, &ParseError{
			Expression: expression,
			Field:      field(len(tokens)).String(),
			Position:   len(runes) + 1,
			Rule: fmt.Sprintf("the expression has %d of the six fields that it must have: seconds, minutes, hours, day of month, month, "+
				"day of week", len(tokens)),
		}
	case len(tokens) == int(years):
		p.addAll(years, 1)
	case len(tokens) > int(fieldCount):
		p.rules.ignored = string([]rune(expression)[tokens[fieldCount].start:])
	}
	return p.rules, p.finish(tokens)
}

// finish checks the rules that concern several fields.
func (p *parser) finish(tokens []token) error {
	for f := range p.rules.fields {
		slices.Sort(p.rules.fields[f])
		p.rules.fields[f] = slices.Compact(p.rules.fields[f])
	}
	r := p.rules
	r.byDayOfMonth = !r.fields[daysOfMonth].contains(unspecified)
	byDayOfWeek := !r.fields[daysOfWeek].contains(unspecified)
	switch {
	case r.byDayOfMonth && byDayOfWeek:
		return p.fault(daysOfWeek, tokens[daysOfWeek], "day of month and day of week cannot both be given: put ? in one of them")
	case !r.byDayOfMonth && !byDayOfWeek:
		return p.fault(daysOfWeek, tokens[daysOfWeek], "day of month and day of week cannot both be ?")
	}
	for f := seconds; f <= daysOfWeek; f++ {
		// A year that never comes is valid, and the expression never fires. Quartz accepts these too, and fails when it
		// computes the next time.
		ignored := f == daysOfMonth && (!r.byDayOfMonth || r.lastDay) || f == daysOfWeek && r.byDayOfMonth
		if len(r.fields[f]) == 0 && !ignored {
			return p.fault(f, tokens[f], "has no value")
		}
	}
	return nil
}

func (p *parser) field(f field, t token) error {
	hasLast, hasList := slices.Contains(t.text, 'L'), slices.Contains(t.text, ',')
	switch {
	case f == daysOfMonth && hasLast && hasList:
		return p.fault(f, t, "L and LW cannot be in a list with other days")
	case f == daysOfWeek && hasLast && hasList:
		return p.fault(f, t, "L cannot be in a list with other days")
	case f == daysOfWeek && strings.Count(t.String(), "#") > 1:
		return p.fault(f, t, "only one day can have #")
	}
	for _, term := range t.split(",") {
		if err := p.term(f, term); err != nil {
			return err
		}
	}
	return nil
}

// isLast reports whether t is one of L, LW, L-n, L-nW, which begin with a letter but are not names.
func isLast(t token) bool {
	rest, ok := strings.CutPrefix(t.String(), "L")
	if !ok {
		return false
	}
	if offset, ok := strings.CutPrefix(rest, "-"); ok {
		rest = strings.TrimLeft(offset, "0123456789")
	}
	return rest == "" || rest == "W"
}

// term parses one element of a field's list.
func (p *parser) term(f field, t token) error {
	switch c := t.at(0); {
	case isLast(t):
		return p.last(f, t)
	case c >= 'A' && c <= 'Z':
		return p.name(f, t)
	case c == '?':
		return p.questionMark(f, t)
	case c == '*' || c == '/':
		return p.star(f, t)
	case isDigit(c):
		return p.number(f, t)
	default:
		return p.fault(f, t, "cannot begin with this character")
	}
}
