package apimodel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Rule is a constraint on a member.
type Rule string

// The rules.
const (
	Required  Rule = "required"
	Type      Rule = "type"
	MinLength Rule = "min length"
	MaxLength Rule = "max length"
	Matches   Rule = "pattern"
	InEnum    Rule = "enum"
	MinValue  Rule = "min value"
	MaxValue  Rule = "max value"
	MinSize   Rule = "min size"
	MaxSize   Rule = "max size"
)

// Fault is one constraint that a request breaks.
type Fault struct {
	Path string // EdgeConfig.DeletionConfig.EdgeRetentionInHours, Tags[0].Key, Tags.key or Tags.value
	Rule Rule
	Text string // names value, path and rule
}

// Invalid is the error of a request that breaks constraints.
type Invalid struct{ Faults []Fault }

// Error implements error.
func (e *Invalid) Error() string {
	texts := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		texts[i] = f.Text
	}
	errors := "errors"
	if len(texts) == 1 {
		errors = "error"
	}
	return fmt.Sprintf("%d validation %s detected: %s", len(texts), errors, strings.Join(texts, "; "))
}

// Malformed is the error of a request that is not JSON or has a value of the wrong JSON type.
type Malformed struct {
	Path string // "" = the whole
	Text string
}

// Error implements error.
func (e *Malformed) Error() string {
	if e.Path == "" {
		return e.Text
	}
	return e.Path + " " + e.Text
}

// Read checks the body of a request. What it returns holds only the members that the operation
// has, without those that are null; ignored are the paths of the others, which AWS ignores too. The
// error is *Malformed or *Invalid.
func Read(members []Member, body []byte) (known []byte, ignored []string, err error) {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var request any
	if err := d.Decode(&request); err != nil {
		return nil, nil, &Malformed{Text: "The request is not JSON: " + err.Error()}
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, nil, &Malformed{Text: "The request is followed by more text"}
	}
	return Check(members, request)
}

// Check is Read for a request that was decoded, with its numbers as json.Number.
func Check(members []Member, request any) (known []byte, ignored []string, err error) {
	var c check
	value := c.structure("", members, request)
	if c.malformed != nil {
		return nil, nil, c.malformed
	}
	if len(c.faults) > 0 {
		return nil, nil, &Invalid{Faults: c.faults}
	}
	known, err = json.Marshal(value)
	return known, c.ignored, err
}

// check gathers what is wrong with one request.
type check struct {
	faults    []Fault
	ignored   []string
	malformed *Malformed
}

func (c *check) wrongType(path, want string) any {
	if c.malformed == nil {
		c.malformed = &Malformed{Path: path, Text: "must be " + want}
	}
	return nil
}

// maxShown bounds how much of a value is repeated, in bytes.
const maxShown = 80

func (c *check) add(s *Shape, path string, value any, rule Rule, format string, args ...any) {
	shown := fmt.Sprint(value)
	if len(shown) > maxShown {
		shown = strings.ToValidUTF8(shown[:maxShown], "") + "…"
	}
	switch {
	case value == nil:
		shown = "Value null"
	case s.Sensitive:
		shown = "Value"
	default:
		shown = "Value '" + shown + "'"
	}
	c.faults = append(c.faults, Fault{Path: path, Rule: rule,
		Text: fmt.Sprintf("%s at '%s' failed to satisfy constraint: Member must %s", shown, path, fmt.Sprintf(format, args...))})
}

// value checks one value that is not null and returns its known members.
func (c *check) value(path string, s *Shape, value any) any {
	switch s.Kind {
	case Structure:
		return c.structure(path, s.Members, value)
	case List:
		return c.list(path, s, value)
	case Map:
		return c.mapping(path, s, value)
	case Integer, Long, Double, Time:
		return c.number(path, s, value)
	case Boolean:
		if _, ok := value.(bool); !ok {
			return c.wrongType(path, "true or false")
		}
	case String:
		text, ok := value.(string)
		if !ok {
			return c.wrongType(path, "a string")
		}
		c.text(path, s, text)
	}
	return value
}

func (c *check) structure(path string, members []Member, value any) any {
	object, ok := value.(map[string]any)
	if !ok {
		if path == "" {
			return c.wrongType("", "a JSON object")
		}
		return c.wrongType(path, "an object")
	}
	known := map[string]any{}
	for _, m := range members {
		at := join(path, m.Name)
		switch given := object[m.Name]; {
		case given != nil:
			known[m.Name] = c.value(at, m.Shape, given)
		case m.Required:
			c.add(m.Shape, at, nil, Required, "not be null")
		}
		delete(object, m.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		c.ignored = append(c.ignored, join(path, name))
	}
	return known
}

func (c *check) list(path string, s *Shape, value any) any {
	elements, ok := value.([]any)
	if !ok {
		return c.wrongType(path, "a list")
	}
	c.size(path, s, len(elements))
	for i, element := range elements {
		at := fmt.Sprintf("%s[%d]", path, i)
		if element == nil {
			c.add(s.Element, at, nil, Required, "not be null")
			continue
		}
		elements[i] = c.value(at, s.Element, element)
	}
	return elements
}

func (c *check) mapping(path string, s *Shape, value any) any {
	entries, ok := value.(map[string]any)
	if !ok {
		return c.wrongType(path, "an object")
	}
	c.size(path, s, len(entries))
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		entry := entries[key]
		c.text(path+".key", s.Key, key)
		if entry == nil {
			c.add(s.Element, path+".value", nil, Required, "not be null")
			continue
		}
		entries[key] = c.value(path+".value", s.Element, entry)
	}
	return entries
}

func (c *check) size(path string, s *Shape, n int) {
	shown := fmt.Sprintf("%d entries", n)
	if int64(n) < s.Min {
		c.add(s, path, shown, MinSize, "have length greater than or equal to %d", s.Min)
	}
	if int64(n) > s.Max {
		c.add(s, path, shown, MaxSize, "have length less than or equal to %d", s.Max)
	}
}

func (c *check) number(path string, s *Shape, value any) any {
	number, ok := value.(json.Number)
	if !ok {
		return c.wrongType(path, numberWords[s.Kind])
	}
	if s.Kind == Double || s.Kind == Time {
		if x, err := number.Float64(); err != nil || math.IsInf(x, 0) {
			return c.wrongType(path, numberWords[s.Kind])
		}
		return number
	}
	n, ok := wholeNumber(number, s.Kind)
	if !ok {
		return c.wrongType(path, numberWords[s.Kind])
	}
	if n < s.Min {
		c.add(s, path, n, MinValue, "have value greater than or equal to %d", s.Min)
	}
	if n > s.Max {
		c.add(s, path, n, MaxValue, "have value less than or equal to %d", s.Max)
	}
	return n
}

var numberWords = map[Kind]string{Integer: "a whole number of 32 bits", Long: "a number of 64 bits", Double: "a number",
	Time: "a time in seconds since 1970"}

// wholeNumber reads a number. AWS cuts off the fraction of a long: its player sends times with one.
func wholeNumber(number json.Number, kind Kind) (n int64, ok bool) {
	if kind == Integer {
		n, err := strconv.ParseInt(number.String(), 10, 32)
		return n, err == nil
	}
	if n, err := strconv.ParseInt(number.String(), 10, 64); err == nil {
		return n, true
	}
	x, err := number.Float64()
	if err != nil || x <= math.MinInt64 || x >= math.MaxInt64 {
		return 0, false
	}
	return int64(x), true
}

func (c *check) text(path string, s *Shape, value string) {
	n := int64(utf8.RuneCountInString(value))
	if n < s.Min {
		c.add(s, path, value, MinLength, "have length greater than or equal to %d", s.Min)
	}
	if n > s.Max {
		c.add(s, path, value, MaxLength, "have length less than or equal to %d", s.Max)
	}
	if s.pattern != nil && !s.pattern.MatchString(value) {
		c.add(s, path, value, Matches, "satisfy regular expression pattern: %s", s.Pattern)
	}
	if s.Enum != nil && !slices.Contains(s.Enum, value) {
		c.add(s, path, value, InEnum, "satisfy enum value set: [%s]", strings.Join(s.Enum, ", "))
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
