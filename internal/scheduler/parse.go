package scheduler

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
)

// parser reads one expression as Quartz does: each field is a list of terms, of each term only the
// beginning counts, and what stands behind it is ignored in many places and refused in some.
type parser struct {
	expression string
	maxYear    int64
	rules      *rules
}

// token is a piece of the expression and where it begins, in characters from 0.
type token struct {
	text  []rune
	start int
}

func (t token) String() string { return string(t.text) }

// at returns the character at i, or 0 behind the end.
func (t token) at(i int) rune {
	if i < len(t.text) {
		return t.text[i]
	}
	return 0
}

// rest is the part from i on.
func (t token) rest(i int) token { return token{t.text[i:], t.start + i} }

// split cuts t at separators; there are no empty pieces.
func (t token) split(separators string) []token {
	var pieces []token
	begin := -1
	for i, r := range t.text {
		switch separator := strings.ContainsRune(separators, r); {
		case separator && begin >= 0:
			pieces = append(pieces, token{t.text[begin:i], t.start + begin})
			begin = -1
		case !separator && begin < 0:
			begin = i
		}
	}
	if begin >= 0 {
		pieces = append(pieces, t.rest(begin))
	}
	return pieces
}

// trim drops control characters and blanks from both ends: a line end pasted along, for example.
func (t token) trim() token {
	begin, end := 0, len(t.text)
	for begin < end && t.text[begin] <= ' ' {
		begin++
	}
	for end > begin && t.text[end-1] <= ' ' {
		end--
	}
	return token{t.text[begin:end], t.start + begin}
}

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

// finish checks what only the fields together show.
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
		// A year that never comes is valid, and the expression never fires. Quartz also takes these, and breaks down
		// when it is asked for the next time.
		ignored := f == daysOfMonth && (!r.byDayOfMonth || r.lastDay) || f == daysOfWeek && r.byDayOfMonth
		if len(r.fields[f]) == 0 && !ignored {
			return p.fault(f, tokens[f], "gives no value")
		}
	}
	return nil
}

// fault is the error at t. The message shows the text as it was written.
func (p *parser) fault(f field, t token, rule string) error {
	written := []rune(p.expression)[t.start : t.start+len(t.text)]
	return &ParseError{Expression: p.expression, Field: f.String(), Position: t.start + 1, Text: string(written), Rule: rule}
}

func (p *parser) field(f field, t token) error {
	hasLast, hasList := slices.Contains(t.text, 'L'), slices.Contains(t.text, ',')
	switch {
	case f == daysOfMonth && hasLast && hasList:
		return p.fault(f, t, "L and LW cannot stand in a list with other days")
	case f == daysOfWeek && hasLast && hasList:
		return p.fault(f, t, "L cannot stand in a list with other days")
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

// isLast reports whether t is one of L, LW, L-n, L-nW, which begin with a letter but are no names.
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

// term reads one element of a field's list.
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

// name reads JAN or JAN-MAR, MON or MON-FRI, MON#2 or MONL.
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
		return p.addRange(f, t, span{first, last, 1})
	case c == '#' && f == daysOfWeek:
		if err := p.nth(t, t.rest(4)); err != nil {
			return err
		}
	case c == 'L' && f == daysOfWeek:
		p.rules.lastWeekday = true
	}
	return p.addOne(f, t, first)
}

// lookUp finds the name of three letters that t begins with: 1 for the first, 0 for none.
func lookUp(names []string, t token) int64 {
	if len(t.text) < 3 {
		return 0
	}
	return int64(slices.Index(names, string(t.text[:3])) + 1)
}

// nth reads the number behind #.
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
	case len(t.text) > 2: // one character more is let pass
		return p.fault(f, t, "nothing can follow ?")
	case f != daysOfMonth && f != daysOfWeek:
		return p.fault(f, t, "? is for day of month and day of week only")
	case f == daysOfWeek && !p.rules.lastDay && len(p.rules.fields[daysOfMonth]) == 0:
		return p.fault(f, t, "day of month gives no value, so day of week cannot be ?")
	case f == daysOfWeek && !p.rules.lastDay && slices.Max(p.rules.fields[daysOfMonth]) == unspecified:
		return p.fault(f, t, "day of month and day of week cannot both be ?")
	}
	return p.addOne(f, t, unspecified)
}

// star reads *, */n, /n; with anything else behind it * is still *.
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

// last reads L, LW, L-n and L-nW. Where L has no meaning Quartz lets it pass without effect.
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

// number reads what begins with a digit: n, n-m, n-m/s, n/s, nL, nW, n#k. Any other text behind
// the number is ignored.
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
		return p.addRange(f, t, span{n, last, 1})
	}
	step, _, ok := leadingInt(t, i+1)
	if !ok {
		return p.fault(f, t, "/ must be followed by a number")
	}
	return p.addRange(f, t, span{n, last, step})
}

func (p *parser) numberStep(f field, t token, n int64, i int) error {
	step, end, ok := leadingInt(t, i+1)
	if !ok || end == i+2 && end < len(t.text) { // n/5x is refused, n/15x is not
		return p.fault(f, t, "/ must be followed by a number")
	}
	if err := p.checkStep(f, t, step); err != nil {
		return err
	}
	return p.addRange(f, t, span{n, open, step})
}

func (p *parser) checkStep(f field, t token, step int64) error {
	if limit := fieldBounds[f].maxStep; limit > 0 && step > limit {
		return p.fault(f, t, fmt.Sprintf("the increment behind / must be at most %d", limit))
	}
	return nil
}

// span is a range of values. A last of open reaches to the field's end.
type span struct{ first, last, step int64 }

const open = -1

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
	if err := p.checkRange(f, t, n, open); err != nil {
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

func (p *parser) addRange(f field, t token, s span) error {
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
	if s.last == open {
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

// beyond is the greatest number of a field that the search can tell apart: of all that are greater,
// the first is enough, since it is never passed.
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

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

// digits reads the decimal digits of t from i on behind those already in n. It returns the number,
// the place behind it, and whether it fits an int of Java.
func digits(t token, i int, n int64) (value int64, end int, ok bool) {
	for ; isDigit(t.at(i)); i++ {
		if n = n*10 + int64(t.at(i)-'0'); n > math.MaxInt32 {
			return 0, i, false
		}
	}
	return n, i, true
}

// leadingInt reads a number of t at i that has at least one digit. The first digit may be one of
// any script, the others not.
func leadingInt(t token, i int) (value int64, end int, ok bool) {
	first, ok := digitValue(t.at(i))
	if !ok {
		return 0, i, false
	}
	return digits(t, i+1, first)
}

// digitValue is the value of a decimal digit of any script in the basic plane.
func digitValue(r rune) (int64, bool) {
	if isDigit(r) {
		return int64(r - '0'), true
	}
	for _, block := range unicode.Nd.R16 {
		if lo, hi := rune(block.Lo), rune(block.Hi); r >= lo && r <= hi {
			return int64((r - lo) % 10), true
		}
	}
	return 0, false
}

// javaInt reads the whole of text as Java's Integer.parseInt does: with a sign if one is there.
func javaInt(text []rune) (int64, bool) {
	sign := int64(1)
	if len(text) > 1 && (text[0] == '-' || text[0] == '+') {
		if text[0] == '-' {
			sign = -1
		}
		text = text[1:]
	}
	n := int64(0)
	for _, r := range text {
		v, ok := digitValue(r)
		if n = n*10 + v; !ok || n > math.MaxInt32+1 {
			return 0, false
		}
	}
	n *= sign
	return n, len(text) > 0 && n <= math.MaxInt32
}
