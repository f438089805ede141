// Package sitewisemodel owns the shape of the requests of AWS IoT SiteWise, API version 2019-12-02: the method, path and members
// of each operation, their constraints, and the errors that an operation declares. It must not know what an operation does.
package sitewisemodel

import (
	"net/http"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"
)

// The errors that operations declare.
const (
	InvalidRequest     = "InvalidRequestException"
	ResourceNotFound   = "ResourceNotFoundException"
	AlreadyExists      = "ResourceAlreadyExistsException"
	Conflict           = "ConflictingOperationException"
	LimitExceeded      = "LimitExceededException"
	TooManyTags        = "TooManyTagsException"
	internalFailure    = "InternalFailureException"
	throttling         = "ThrottlingException"
	serviceUnavailable = "ServiceUnavailableException"
	unauthorized       = "UnauthorizedException"
	preconditionFailed = "PreconditionFailedException"
)

// Status is the HTTP status that an error has in the service model.
var Status = map[string]int{
	InvalidRequest: http.StatusBadRequest, ResourceNotFound: http.StatusNotFound, AlreadyExists: http.StatusConflict,
	Conflict: http.StatusConflict, LimitExceeded: http.StatusGone, TooManyTags: http.StatusBadRequest,
	internalFailure: http.StatusInternalServerError, throttling: http.StatusTooManyRequests,
	serviceUnavailable: http.StatusServiceUnavailable, unauthorized: http.StatusUnauthorized,
	preconditionFailed: http.StatusPreconditionFailed,
}

// NoID is the one UUID that the patterns of the service exclude.
const NoID = "00000000-0000-0000-0000-000000000000"

// Operation of the API. Members that are neither in the path nor in the query are in the body.
type Operation struct {
	Name    string
	Method  string
	Path    string // of its URL, with {member} for those that are in it
	Success int    // HTTP status of an answer
	Prefix  string // that clients put before the name of the endpoint: api. or data.
	Query   []string
	Members []apimodel.Member
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

// ByRequest returns the operation of a request and the members that are in its path, still escaped; nil = there is none.
func ByRequest(method, path string) (o *Operation, members map[string]string) {
	for i := range Operations {
		if Operations[i].Method != method {
			continue
		}
		if members, ok := match(Operations[i].Path, path); ok {
			return &Operations[i], members
		}
	}
	return nil, nil
}

// match compares a path with that of an operation, whose parts may be {member}.
func match(template, path string) (members map[string]string, ok bool) {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	members = map[string]string{}
	for i, part := range want {
		name, isMember := strings.CutPrefix(part, "{")
		switch {
		case isMember && got[i] != "":
			members[strings.TrimSuffix(name, "}")] = got[i]
		case part != got[i]:
			return nil, false
		}
	}
	return members, true
}

// declared returns the list that an operation declares: three errors are declared by all.
func declared(others ...string) []string {
	return append([]string{InvalidRequest, internalFailure, throttling}, others...)
}

// How shapes are written down.
var (
	must      = apimodel.Must
	may       = apimodel.May
	text      = apimodel.Text
	oneOf     = apimodel.OneOf
	whole     = apimodel.Whole
	structure = apimodel.StructureOf
	list      = apimodel.ListOf
	mapping   = apimodel.MapOf
)

const (
	noMin = apimodel.NoMin
	noMax = apimodel.NoMax
)

func long(name string, least, most int64) *apimodel.Shape {
	return &apimodel.Shape{Name: name, Kind: apimodel.Long, Min: least, Max: most}
}
