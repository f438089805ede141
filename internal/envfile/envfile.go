// Package envfile reads files of environment variables in the syntax of systemd's
// EnvironmentFile=. It must not know what the variables mean.
//
// Other readers of such files (shells, Docker, the dotenv libraries) differ in quotes, backslashes
// and comments; a file that systemd reads must mean the same here.
// Source: systemd.exec(5), EnvironmentFile=; systemd, src/basic/env-file.c.
package envfile

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Assignment is a variable that the file sets.
type Assignment struct {
	Name, Value string
	Line        int // the line of its name, from 1
}

// Fault is a line that is not an assignment. It holds no text of the file: values may be secret.
type Fault struct {
	Line int // from 1
	Text string
}

// Error names the line.
func (f Fault) Error() string { return fmt.Sprintf("line %d: %s", f.Line, f.Text) }

// Parse reads the text of a file. The later of two assignments of a name counts, and both are in
// the list. systemd passes over what it cannot use; here that is a fault, as somebody meant
// something by it.
func Parse(text string) (list []Assignment, faults []Fault) {
	p := parser{text: text, line: 1}
	for p.skipToName() {
		line := p.line
		name, ok := p.name()
		if !ok {
			p.fault(line, "there is no = in it")
			continue
		}
		value, closed := p.value()
		switch {
		case !closed:
			p.fault(line, "a quote is not closed")
		case !isName(name):
			p.fault(line, "the text before the = is not the name of a variable: only letters, digits and _, and no export")
		case !isValue(value):
			p.fault(line, "the value holds control characters, or is not UTF-8")
		default:
			list = append(list, Assignment{Name: name, Value: value, Line: line})
		}
	}
	return list, p.faults
}

const (
	blanks = " \t\r\n"
	// escaped are the characters that a backslash between double quotes escapes, as in shells.
	escaped = "\"\\`$"
)

// parser goes through the text byte by byte.
type parser struct {
	text   string
	at     int
	line   int
	faults []Fault
}

func (p *parser) fault(line int, text string) { p.faults = append(p.faults, Fault{line, text}) }

// next returns the next byte; ok is false at the end.
func (p *parser) next() (c byte, ok bool) {
	if p.at == len(p.text) {
		return 0, false
	}
	c = p.text[p.at]
	p.at++
	if c == '\n' {
		p.line++
	}
	return c, true
}

func endsLine(c byte) bool { return c == '\n' || c == '\r' }

// skipToName passes over blank lines and comments. A backslash at the end of a comment continues
// it in no version of systemd since 254.
func (p *parser) skipToName() bool {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case strings.IndexByte(blanks, c) >= 0:
			p.next()
		case c == '#' || c == ';':
			for c, ok := p.next(); ok && !endsLine(c); c, ok = p.next() {
			}
		default:
			return true
		}
	}
	return false
}

// name reads up to the =; ok is false when the line ends before.
func (p *parser) name() (name string, ok bool) {
	start := p.at
	for c, more := p.next(); more && !endsLine(c); c, more = p.next() {
		if c == '=' {
			return strings.TrimRight(p.text[start:p.at-1], blanks), true
		}
	}
	return "", false
}

// value reads up to the end of the line. Quotes count only at its beginning and after one another,
// and blanks around what is not quoted do not; closed is false when the file ends within quotes.
func (p *parser) value() (value string, closed bool) {
	var b strings.Builder
	solid := 0 // how much of b stays when blanks at the end are cut off
	plain := false
	for c, ok := p.next(); ok; c, ok = p.next() {
		switch {
		case endsLine(c):
			return b.String()[:solid], true
		case c == '\\':
			if c, ok = p.next(); ok && !endsLine(c) {
				b.WriteByte(c)
			}
			plain, solid = true, b.Len()
		case !plain && c == '\'':
			if !p.singleQuoted(&b) {
				return "", false
			}
			solid = b.Len()
		case !plain && c == '"':
			if !p.doubleQuoted(&b) {
				return "", false
			}
			solid = b.Len()
		case strings.IndexByte(blanks, c) < 0:
			b.WriteByte(c)
			plain, solid = true, b.Len()
		case plain:
			b.WriteByte(c)
		}
	}
	return b.String()[:solid], true
}

func (p *parser) singleQuoted(b *strings.Builder) (closed bool) {
	for c, ok := p.next(); ok; c, ok = p.next() {
		if c == '\'' {
			return true
		}
		b.WriteByte(c)
	}
	return false
}

func (p *parser) doubleQuoted(b *strings.Builder) (closed bool) {
	for c, ok := p.next(); ok; c, ok = p.next() {
		switch c {
		case '"':
			return true
		case '\\':
			if c, ok = p.next(); !ok {
				return false
			}
			if c == '\n' {
				continue
			}
			if strings.IndexByte(escaped, c) < 0 {
				b.WriteByte('\\')
			}
		}
		b.WriteByte(c)
	}
	return false
}

// isName is env_name_is_valid of systemd.
func isName(name string) bool {
	for i, c := range []byte(name) {
		letter := c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// isValue is env_value_is_valid of systemd.
func isValue(value string) bool {
	return utf8.ValidString(value) && !strings.ContainsFunc(value, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' || r == 0x7f
	})
}
