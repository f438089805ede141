// Package kvsmodel owns the shape of the requests of the Kinesis Video Streams control plane and of its archived media, API
// version 2017-09-30: the members of each operation, their constraints, and the errors that an
// operation declares. It must not know what an operation does.
package kvsmodel

import (
	"math"
	"regexp"
	"slices"
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
	Timestamp // seconds since 1970, a number
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

// Operation of the API.
type Operation struct {
	Name    string
	Path    string // of its URL
	Members []Member
	Errors  []string // that it declares
}

// Declares reports whether the operation may answer that error.
func (o *Operation) Declares(name string) bool { return slices.Contains(o.Errors, name) }

// ByName returns the operation, or nil.
func ByName(name string) *Operation {
	for i := range Operations {
		if Operations[i].Name == name {
			return &Operations[i]
		}
	}
	return nil
}

// ByPath returns the name of the operation that AWS has at the path of a URL, or "". It may be one
// of NotHere.
func ByPath(path string) string {
	for i := range Operations {
		if Operations[i].Path == path {
			return Operations[i].Name
		}
	}
	for _, name := range NotHere {
		if lowerCamelPath(name) == path {
			return name
		}
	}
	return ""
}

func must(name string, shape *Shape) Member { return Member{Name: name, Shape: shape, Required: true} }

func may(name string, shape *Shape) Member { return Member{Name: name, Shape: shape} }

func text(name string, least, most int64, pattern string) *Shape {
	return &Shape{Name: name, Kind: String, Min: least, Max: most, Pattern: pattern, pattern: regexp.MustCompile(`\A(?:` + pattern + `)\z`)}
}

func oneOf(name string, values ...string) *Shape {
	return &Shape{Name: name, Kind: String, Min: NoMin, Max: NoMax, Enum: values}
}

func whole(name string, least, most int64) *Shape {
	return &Shape{Name: name, Kind: Integer, Min: least, Max: most}
}

func structure(name string, members ...Member) *Shape {
	return &Shape{Name: name, Kind: Structure, Min: NoMin, Max: NoMax, Members: members}
}

func listOf(name string, least, most int64, element *Shape) *Shape {
	return &Shape{Name: name, Kind: List, Min: least, Max: most, Element: element}
}

func mapOf(name string, least, most int64, key, value *Shape) *Shape {
	return &Shape{Name: name, Kind: Map, Min: least, Max: most, Key: key, Element: value}
}

func sensitive(s *Shape) *Shape {
	s.Sensitive = true
	return s
}
