package localcloud

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// streamPattern is that of the names in tokens.
var streamPattern = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,256}$`)

var kvsService = service{
	name:        serviceKVS,
	contentType: "application/json",
	operation: func(r *http.Request, _ []byte) string {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" {
			return ""
		}
		return strings.ToUpper(name[:1]) + name[1:] // as actions are named, also those of the data plane
	},
	call: func(c *Cloud, _ string, r *http.Request, body []byte) ([]byte, error) {
		return c.callKVS(r.URL.Path, body)
	},
}

// callKVS checks a request against the model of the service and does what it asks for.
func (c *Cloud) callKVS(path string, body []byte) ([]byte, error) {
	name := kvsmodel.ByPath(path)
	operation, do := kvsmodel.ByName(name), kvsOperations[name]
	switch {
	case operation != nil && do != nil:
	case slices.Contains(kvsmodel.NotHere, name):
		return nil, at("the path", kvsError(http.StatusNotImplemented, "UnsupportedOperationException", "localcloud does not have %s", name))
	default:
		return nil, unknownOperation(strings.TrimPrefix(path, "/"))
	}
	known, _, err := operation.Read(body)
	if err != nil {
		return nil, modelError(operation, err)
	}
	answer, err := do(c, known)
	return answer, onlyDeclared(operation, err)
}

// onlyDeclared makes a failure of the stand-in of an error that the operation does not declare:
// clients could not expect it of the service.
func onlyDeclared(o *kvsmodel.Operation, err error) error {
	var refused *media.HTTPError
	if errors.As(err, &refused) && !o.Declares(refused.Name) {
		return fmt.Errorf("%s does not declare the error that localcloud was to answer: %s", o.Name, refused)
	}
	return err
}

// modelError is the answer to a request that does not have the shape of its operation.
func modelError(o *kvsmodel.Operation, err error) error {
	var malformed *kvsmodel.Malformed
	if errors.As(err, &malformed) {
		return at(cmp.Or(malformed.Path, "body"), kvsError(http.StatusBadRequest, "SerializationException", "%s", malformed))
	}
	var invalid *kvsmodel.Invalid
	if errors.As(err, &invalid) {
		return at(invalid.Faults[0].Path, kvsError(http.StatusBadRequest, o.ErrorFor(invalid), "%s", invalid))
	}
	return err
}

var kvsOperations = map[string]func(*Cloud, []byte) ([]byte, error){
	"CreateStream":        jsonOperation((*Cloud).createStream),
	"DescribeStream":      jsonOperation((*Cloud).describeStream),
	"ListStreams":         jsonOperation((*Cloud).listStreams),
	"DeleteStream":        jsonOperation((*Cloud).deleteStream),
	"UpdateStream":        jsonOperation((*Cloud).updateStream),
	"UpdateDataRetention": jsonOperation((*Cloud).updateDataRetention),
	"GetDataEndpoint":     jsonOperation((*Cloud).getDataEndpoint),

	"TagStream":           jsonOperation((*Cloud).tagStream),
	"UntagStream":         jsonOperation((*Cloud).untagStream),
	"ListTagsForStream":   jsonOperation((*Cloud).listTagsForStream),
	"TagResource":         jsonOperation((*Cloud).tagResource),
	"UntagResource":       jsonOperation((*Cloud).untagResource),
	"ListTagsForResource": jsonOperation((*Cloud).listTagsForResource),

	"UpdateImageGenerationConfiguration":   jsonOperation((*Cloud).updateImageGeneration),
	"DescribeImageGenerationConfiguration": jsonOperation((*Cloud).describeImageGeneration),
	"UpdateNotificationConfiguration":      jsonOperation((*Cloud).updateNotification),
	"DescribeNotificationConfiguration":    jsonOperation((*Cloud).describeNotification),
	"UpdateStreamStorageConfiguration":     jsonOperation((*Cloud).updateStreamStorage),
	"DescribeStreamStorageConfiguration":   jsonOperation((*Cloud).describeStreamStorage),

	"StartEdgeConfigurationUpdate": jsonOperation((*Cloud).startEdgeConfigurationUpdate),
	"DescribeEdgeConfiguration":    jsonOperation((*Cloud).describeEdgeConfiguration),
	"DeleteEdgeConfiguration":      jsonOperation((*Cloud).deleteEdgeConfiguration),
	"ListEdgeAgentConfigurations":  jsonOperation((*Cloud).listEdgeAgentConfigurations),
}

func kvsError(status int, name, format string, args ...any) *media.HTTPError {
	return &media.HTTPError{Status: status, Name: name, Message: fmt.Sprintf(format, args...)}
}

// at notes which member of the request an error is about.
func at(member string, e *media.HTTPError) *media.HTTPError {
	e.Where = member
	return e
}

// badMember is the error of a member that has a good shape and a value that does not fit.
func badMember(member, format string, args ...any) *media.HTTPError {
	return at(member, kvsError(http.StatusBadRequest, media.InvalidArgument, format, args...))
}

func notFound(member, named string) *media.HTTPError {
	return at(member, kvsError(http.StatusNotFound, media.ResourceNotFound, "The requested stream %s is not found or not active.", named))
}

// epoch is a time as KVS writes it: seconds since 1970, to the millisecond, a JSON number.
type epoch struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (e epoch) MarshalJSON() ([]byte, error) {
	ms := e.UnixMilli()
	return fmt.Appendf(nil, "%d.%03d", ms/1000, ms%1000), nil
}

// UnmarshalJSON implements json.Unmarshaler. 0 is no time.
func (e *epoch) UnmarshalJSON(data []byte) error {
	seconds, err := strconv.ParseFloat(string(data), 64)
	if err != nil || seconds < 0 || seconds > 1e11 {
		return fmt.Errorf("%.40s is not a time in seconds since 1970", data)
	}
	if e.Time = time.UnixMilli(int64(seconds*1000 + 0.5)).UTC(); seconds == 0 {
		e.Time = time.Time{}
	}
	return nil
}

// page reads which part of a list a request asks for: how many entries at most, and the name after
// which they start.
func page(maxResults *int, initial, most int, token string) (limit int, after string, err error) {
	limit = initial
	if maxResults != nil {
		if limit = *maxResults; limit < 1 || limit > most {
			return 0, "", badMember("MaxResults", "MaxResults must be 1 to %d", most)
		}
	}
	name, err := base64.RawURLEncoding.DecodeString(strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(token))
	if err != nil || token != "" && !streamPattern.Match(name) {
		return 0, "", foreignToken()
	}
	return limit, string(name), nil
}

func tokenAfter(name string) string { return base64.RawURLEncoding.EncodeToString([]byte(name)) }

// streamToken is tokenAfter in the characters that a NextToken of KVS may have.
func streamToken(name string) string { return base64.StdEncoding.EncodeToString([]byte(name)) }

func foreignToken() error {
	return badMember("NextToken", "NextToken is not one that an earlier answer returned")
}
