package script

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// line is a line of a section of rules. Exactly one of its functions is set.
type line struct {
	when    selector
	picture func(*Packer, *picture)
	packet  func(*Packer, *packet)
	setup   func(*Audio)
}

// rule is a kind of line. The words after its name determine one of the functions of line.
type rule struct {
	name, takes, about string
	video, audio       bool // the sections in which it is allowed
	read               func(values []string) (line, error)
}

// rules returns all known rules, in the order of the documentation.
func rules() []rule { return slices.Concat(pictureRules, packetRules, audioRules) }

// parseRule reads a line.
func parseRule(text string, audio bool) (l line, err error) {
	var when selector
	first, _, _ := strings.Cut(text, " ")
	if slices.ContainsFunc(selections, func(s selection) bool { return s.name == strings.TrimRight(first, ":,") }) {
		before, after, found := strings.Cut(text, ":")
		if !found {
			return l, fmt.Errorf("a colon is missing after %q", text)
		}
		if when, err = parseSelector(before); err != nil {
			return l, err
		}
		text = strings.TrimSpace(after)
	}
	name, rest, _ := strings.Cut(text, " ")
	elsewhere := false
	for _, r := range rules() {
		if r.name != name {
			continue
		}
		if audio && !r.audio || !audio && !r.video {
			elsewhere = true
			continue
		}
		values := strings.Fields(rest)
		if name == "send" { // a verbatim text
			values = []string{strings.TrimSpace(rest)}
		}
		if l, err = r.read(values); err != nil {
			return l, err
		}
		if l.picture != nil && when.needsPackets() {
			return l, fmt.Errorf("the rule %s applies to pictures, not to single packets", name)
		}
		if l.setup != nil && when.holdsLess() {
			return l, fmt.Errorf("the rule %s always applies, without conditions", name)
		}
		l.when = when
		return l, nil
	}
	if elsewhere {
		return l, fmt.Errorf("the rule %s is not allowed in this section", name)
	}
	return l, fmt.Errorf("there is no rule %q", name)
}

// holdsLess reports whether a selector excludes anything.
func (s *selector) holdsLess() bool {
	return s.needsPackets() || s.pictures.set || s.sessions.set || s.every > 0 || s.keys
}

// takesOne returns the only value of a rule.
func takesOne(values []string) (string, error) {
	if len(values) != 1 {
		return "", fmt.Errorf("the rule needs one value, not %d", len(values))
	}
	return values[0], nil
}

// takesNumber returns the only value of a rule, a number.
func takesNumber(values []string, least, most int64) (int64, error) {
	text, err := takesOne(values)
	if err != nil {
		return 0, err
	}
	return number(text, least, most)
}

const (
	maxBytes     = 60000 // of a payload or a NAL unit: a packet has to fit into an interleaved frame
	maxExtension = 1024  // bytes
)

// takesBytes returns bytes in hexadecimal digits, with optional blanks.
func takesBytes(values []string) ([]byte, error) {
	b, err := hex.DecodeString(strings.Join(values, ""))
	if err != nil || len(b) == 0 || len(b) > maxBytes {
		return nil, fmt.Errorf("%q is not bytes in hexadecimal digits", strings.Join(values, " "))
	}
	return b, nil
}

// ticks reads a distance of timestamps: a number of ticks, or a duration at a clock of 90 kHz. Both may be negative.
func ticks(text string) (int64, error) {
	const clock = 90000
	if d, err := time.ParseDuration(text); err == nil && d.Abs() <= maxDuration && strings.TrimLeft(text, "+-0123456789") != "" {
		return int64(d.Seconds() * clock), nil
	}
	n, err := number(strings.TrimPrefix(text, "+"), -1<<40, 1<<40)
	if err != nil {
		return 0, fmt.Errorf("%q is neither a number of ticks nor a duration", text)
	}
	return n, nil
}
