// Package apimodel owns how the shape of a request is described and checked: the members that a request of an AWS API may
// have and their constraints, as service models state them. It must not know any service.
package apimodel

import (
	"math"
	"regexp"
)

// Kind is the JSON type of a member.
type Kind uint8

// The kinds.
const (
	String Kind = iota
	Integer
	Boolean
	Structure
	List
	Map
	Long   // a whole number of 64 bits; a fraction is cut off, as AWS does
	Double // any number
	Time   // a number of seconds since 1970
)

// NoMin and NoMax are the bounds of what has none.
const (
	NoMin = math.MinInt64
	NoMax = math.MaxInt64
)

// Shape is a type of the API with its constraints.
type Shape struct {
	Name      string // as the API reference names it
	Kind      Kind
	Min, Max  int64    // characters of a string, value of an integer, entries of a list or map
	Pattern   string   // that the whole string must match; "" = any
	Enum      []string // nil = any
	Sensitive bool     // the value must not be repeated in messages
	Members   []Member // of a structure
	Key       *Shape   // of a map
	Element   *Shape   // of a list; the values of a map

	pattern *regexp.Regexp
}

// Member of a structure or of an operation's request.
type Member struct {
	Name     string
	Shape    *Shape
	Required bool
}

// Must returns a member that is required.
func Must(name string, shape *Shape) Member { return Member{Name: name, Shape: shape, Required: true} }

// May returns a member that may be absent.
func May(name string, shape *Shape) Member { return Member{Name: name, Shape: shape} }

// Text returns a string of a length and a pattern that the whole of it must match; "" = any.
func Text(name string, least, most int64, pattern string) *Shape {
	s := &Shape{Name: name, Kind: String, Min: least, Max: most, Pattern: pattern}
	if pattern != "" {
		s.pattern = regexp.MustCompile(`\A(?:` + pattern + `)\z`)
	}
	return s
}

// OneOf returns a string that is one of the values; without values it is any.
func OneOf(name string, values ...string) *Shape {
	return &Shape{Name: name, Kind: String, Min: NoMin, Max: NoMax, Enum: values}
}

// Whole returns a whole number of 32 bits.
func Whole(name string, least, most int64) *Shape {
	return &Shape{Name: name, Kind: Integer, Min: least, Max: most}
}

// Of returns a shape without constraints.
func Of(name string, kind Kind) *Shape { return &Shape{Name: name, Kind: kind, Min: NoMin, Max: NoMax} }

// StructureOf returns a structure.
func StructureOf(name string, members ...Member) *Shape {
	return &Shape{Name: name, Kind: Structure, Min: NoMin, Max: NoMax, Members: members}
}

// ListOf returns a list of a number of elements.
func ListOf(name string, least, most int64, element *Shape) *Shape {
	return &Shape{Name: name, Kind: List, Min: least, Max: most, Element: element}
}

// MapOf returns a map of a number of entries.
func MapOf(name string, least, most int64, key, value *Shape) *Shape {
	return &Shape{Name: name, Kind: Map, Min: least, Max: most, Key: key, Element: value}
}

// Sensitive marks a shape whose values must not be repeated in messages.
func Sensitive(s *Shape) *Shape {
	s.Sensitive = true
	return s
}
