// Package cloudwatch plays the metrics of CloudWatch, in the three protocols that its clients speak.
package cloudwatch

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
)

// How the three protocols of CloudWatch name its operations.
const (
	PathPrefix   = "/service/GraniteServiceVersion20100801/operation/" // Smithy RPC v2 CBOR: Go SDK
	TargetPrefix = "GraniteServiceVersion20100801."                    // JSON 1.0: newer SDKs of other languages
	Version      = "2010-08-01"                                        // query: boto3 and command lines until 2025
	xmlNamespace = "http://monitoring.amazonaws.com/doc/2010-08-01/"
)

// Service is CloudWatch.
type Service struct {
	store *store
	clock func() time.Time
}

// Open reads the metrics that a file has; now is the clock of the service.
func Open(path string, now func() time.Time) (*Service, error) {
	store, err := openStore(path, now())
	if err != nil {
		return nil, err
	}
	return &Service{store: store, clock: now}, nil
}

// Close closes the file.
func (c *Service) Close() error { return c.store.close() }

// API returns the service as the HTTPS endpoint has it.
func (c *Service) API() awsapi.Service {
	return awsapi.Service{
		Name:      awsapi.CloudWatch,
		Protocol:  protocolOf,
		Operation: operationOf,
		Resource: func(r *http.Request, body []byte) string {
			in, _ := decode(r, body) // the operation reports what is wrong with it
			namespace, _ := in["Namespace"].(string)
			return namespace
		},
		Call: c.call,
	}
}

func operationOf(r *http.Request, body []byte) string {
	if operation, ok := strings.CutPrefix(r.URL.Path, PathPrefix); ok {
		return operation
	}
	if operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), TargetPrefix); ok {
		return operation
	}
	return awsapi.Form(body).Get("Action")
}

func (c *Service) call(operation string, r *http.Request, body []byte) ([]byte, error) {
	do, ok := map[string]func(*Service, fields) (tree, error){
		"PutMetricData":       (*Service).putMetricData,
		"ListMetrics":         (*Service).listMetrics,
		"GetMetricStatistics": (*Service).getMetricStatistics,
	}[operation]
	if !ok {
		return nil, errorf("InvalidAction", "the operation",
			"localcloud has no operation %.100q of CloudWatch; it has PutMetricData, ListMetrics and GetMetricStatistics", operation)
	}
	if len(body) > maxMetricBytes {
		return nil, awsapi.Errorf(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "body",
			"The request has %d bytes; at most %d are allowed.", len(body), maxMetricBytes)
	}
	in, err := decode(r, body)
	if err != nil {
		return nil, err
	}
	out, err := do(c, fields{values: in})
	if err != nil {
		return nil, err
	}
	return encode(r, operation, out)
}

// errorf is an error about where, a parameter of the request. It has the names of the query
// protocol; the others have longer ones for some.
func errorf(name, where, format string, args ...any) *awsapi.Error {
	return awsapi.Errorf(http.StatusBadRequest, name, where, format, args...)
}

func missingParameter(name string) error {
	return errorf("MissingParameter", name, "The parameter %s is required.", name)
}

func invalidParameter(name, format string, args ...any) error {
	return errorf("InvalidParameterValue", name, "The parameter %s %s", name, fmt.Sprintf(format, args...))
}

// tree is a request or an answer in the form that all protocols lead to: text, float64, bool,
// time.Time, lists of those and further trees. In a query all leaves are text.
type tree = map[string]any

// fields reads a tree; at is where it lies in the request.
type fields struct {
	values tree
	at     string
}

// path names a member as CloudWatch does.
func (f fields) path(name string) string { return f.at + name }

func (f fields) has(name string) bool { _, ok := f.values[name]; return ok }

func (f fields) text(name string) (string, error) {
	switch v := f.values[name].(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	default:
		return "", invalidParameter(f.path(name), "must be a text.")
	}
}

// required is text of 1 to most bytes.
func (f fields) required(name string, most int) (string, error) {
	text, err := f.text(name)
	switch {
	case err != nil:
		return "", err
	case text == "":
		return "", missingParameter(f.path(name))
	case len(text) > most:
		return "", invalidParameter(f.path(name), "must be at most %d characters long.", most)
	}
	return text, nil
}

func (f fields) number(name string) (float64, error) { return readNumber(f.path(name), f.values[name]) }

// moment reads a time; there must be one.
func (f fields) moment(name string) (time.Time, error) {
	switch v := f.values[name].(type) {
	case nil:
		return time.Time{}, missingParameter(f.path(name))
	case time.Time:
		return v.UTC(), nil
	case float64:
		return time.UnixMilli(int64(v * 1000)).UTC(), nil
	case string:
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05"} { // without a zone it is UTC
			if t, err := time.Parse(layout, v); err == nil {
				return t.UTC(), nil
			}
		}
	}
	return time.Time{}, invalidParameter(f.path(name), "is not a time.")
}

func (f fields) list(name string) ([]any, error) {
	switch v := f.values[name].(type) {
	case nil:
		return nil, nil
	case []any:
		return v, nil
	case string:
		if v == "" { // how a query spells an empty list
			return nil, nil
		}
	}
	return nil, invalidParameter(f.path(name), "must be a list.")
}

// members reads a list of structures.
func (f fields) members(name string) ([]fields, error) {
	list, err := f.list(name)
	if err != nil {
		return nil, err
	}
	out := make([]fields, len(list))
	for i, v := range list {
		member, ok := v.(tree)
		if !ok {
			return nil, invalidParameter(fmt.Sprintf("%s.member.%d", f.path(name), i+1), "must be a structure.")
		}
		out[i] = fields{values: member, at: fmt.Sprintf("%s.member.%d.", f.path(name), i+1)}
	}
	return out, nil
}

// without refuses members that the local cloud would otherwise not follow.
func (f fields) without(names ...string) error {
	for _, name := range names {
		if f.has(name) {
			return invalidParameter(f.path(name), "is not supported by localcloud.")
		}
	}
	return nil
}
