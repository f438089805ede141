// Package kvsmodel owns the shape of the requests of the Kinesis Video Streams control plane and of its archived media, API
// version 2017-09-30: the members of each operation, their constraints, and the errors that an
// operation declares. It must not know what an operation does.
package kvsmodel

import (
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"
)

// What describes a request.
type (
	Shape  = apimodel.Shape
	Member = apimodel.Member
)

// The bounds of what has none.
const (
	NoMin = apimodel.NoMin
	NoMax = apimodel.NoMax
)

// How shapes are written down.
var (
	must      = apimodel.Must
	may       = apimodel.May
	text      = apimodel.Text
	oneOf     = apimodel.OneOf
	whole     = apimodel.Whole
	structure = apimodel.StructureOf
	listOf    = apimodel.ListOf
	mapOf     = apimodel.MapOf
	sensitive = apimodel.Sensitive
)

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
