// Package sitewise plays AWS IoT SiteWise: asset models, assets and their hierarchies, the values of properties, and the
// notifications about them. It must not know what the properties mean.
package sitewise

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/account"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/calls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewisemodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/state"
)

// defaultDelay is how long models and assets are CREATING and DELETING.
const defaultDelay = 300 * time.Millisecond

// Options of a Service.
type Options struct {
	Home  account.Home
	State state.Part[State]
	File  string // in which the values of properties are
	Now   func() time.Time
	// Delay is how long models and assets are CREATING and DELETING; 0 = 300 ms, negative = not at all.
	Delay time.Duration
	// Publish sends a notification to the message broker.
	Publish func(topic string, payload []byte)
	// Authorize refuses what the caller of a request may not do; "" is the user.
	Authorize func(thing, operation, resource string) error
}

// Service is SiteWise.
type Service struct {
	o      Options
	values *store
}

// Open reads the values that a file has.
func Open(o Options) (*Service, error) {
	if o.Delay == 0 {
		o.Delay = defaultDelay
	}
	values, err := openStore(o.File)
	if err != nil {
		return nil, err
	}
	return &Service{o: o, values: values}, nil
}

// Close closes the file of the values.
func (s *Service) Close() error { return s.values.close() }

// IsPath reports whether a request is certainly one of SiteWise.
func IsPath(r *http.Request) bool {
	o, _ := sitewisemodel.ByRequest(r.Method, r.URL.EscapedPath())
	return o != nil && o.Path != "/tags"
}

// API returns the service as the HTTPS endpoint has it.
func (s *Service) API() awsapi.Service {
	return awsapi.Service{
		Name:      awsapi.SiteWise,
		Protocol:  func(*http.Request) awsapi.Protocol { return awsapi.ModelREST },
		Operation: func(r *http.Request, _ []byte) string { return operationOf(r) },
		Resource:  func(r *http.Request, body []byte) string { return resourceOf(r, body) },
		AnyMethod: true,
		Success: func(operation string) int {
			if o := sitewisemodel.ByName(operation); o != nil {
				return o.Success
			}
			return http.StatusOK
		},
		Authorizes: authorizesEntries,
		Call:       s.call,
	}
}

func operationOf(r *http.Request) string {
	if o, _ := sitewisemodel.ByRequest(r.Method, r.URL.EscapedPath()); o != nil {
		return o.Name
	}
	return r.Method + " " + r.URL.Path
}

// resourceOf names the asset, model, property or resource that a request is about; "" = several or none.
func resourceOf(r *http.Request, _ []byte) string {
	_, members := sitewisemodel.ByRequest(r.Method, r.URL.EscapedPath())
	for _, name := range []string{"assetId", "assetModelId"} {
		if members[name] != "" {
			return members[name]
		}
	}
	for _, name := range []string{"resourceArn", "propertyAlias", "assetId"} {
		if value := r.URL.Query().Get(name); value != "" {
			return value
		}
	}
	return ""
}

// authorizesEntries reports whether an operation is authorized for each of its entries.
func authorizesEntries(operation string) bool {
	return operation == "BatchPutAssetPropertyValue" || strings.HasPrefix(operation, "BatchGet")
}

// request is what an operation acts on beside its members.
type request struct {
	*Service
	thing string // that asks; "" = the user
	now   time.Time
}

// operations is what each operation of the model does.
var operations = map[string]func(request, []byte) ([]byte, error){
	"CreateAssetModel":                   awsapi.JSONOperation(request.createAssetModel),
	"DescribeAssetModel":                 awsapi.JSONOperation(request.describeAssetModel),
	"DeleteAssetModel":                   awsapi.JSONOperation(request.deleteAssetModel),
	"ListAssetModels":                    awsapi.JSONOperation(request.listAssetModels),
	"ListAssetModelProperties":           awsapi.JSONOperation(request.listAssetModelProperties),
	"CreateAsset":                        awsapi.JSONOperation(request.createAsset),
	"DescribeAsset":                      awsapi.JSONOperation(request.describeAsset),
	"UpdateAsset":                        awsapi.JSONOperation(request.updateAsset),
	"DeleteAsset":                        awsapi.JSONOperation(request.deleteAsset),
	"ListAssets":                         awsapi.JSONOperation(request.listAssets),
	"AssociateAssets":                    awsapi.JSONOperation(request.associateAssets),
	"DisassociateAssets":                 awsapi.JSONOperation(request.disassociateAssets),
	"ListAssociatedAssets":               awsapi.JSONOperation(request.listAssociatedAssets),
	"UpdateAssetProperty":                awsapi.JSONOperation(request.updateAssetProperty),
	"DescribeAssetProperty":              awsapi.JSONOperation(request.describeAssetProperty),
	"ListAssetProperties":                awsapi.JSONOperation(request.listAssetProperties),
	"TagResource":                        awsapi.JSONOperation(request.tagResource),
	"UntagResource":                      awsapi.JSONOperation(request.untagResource),
	"ListTagsForResource":                awsapi.JSONOperation(request.listTagsForResource),
	"BatchPutAssetPropertyValue":         awsapi.JSONOperation(request.batchPut),
	"GetAssetPropertyValue":              awsapi.JSONOperation(request.getValue),
	"BatchGetAssetPropertyValue":         awsapi.JSONOperation(request.batchGetValue),
	"GetAssetPropertyValueHistory":       awsapi.JSONOperation(request.getHistory),
	"BatchGetAssetPropertyValueHistory":  awsapi.JSONOperation(request.batchGetHistory),
	"GetInterpolatedAssetPropertyValues": awsapi.JSONOperation(request.getInterpolated),
}

func (s *Service) call(operation string, r *http.Request, body []byte) ([]byte, error) {
	o, path := sitewisemodel.ByRequest(r.Method, r.URL.EscapedPath())
	if o == nil {
		return nil, awsapi.UnknownOperation(operation)
	}
	known, err := read(o, path, r, body)
	var malformed *apimodel.Malformed
	var invalid *apimodel.Invalid
	switch {
	case errors.As(err, &malformed):
		return nil, awsapi.Errorf(http.StatusBadRequest, "SerializationException", malformed.Path, "%s", malformed.Error())
	case errors.As(err, &invalid):
		return nil, refused(sitewisemodel.InvalidRequest, invalid.Faults[0].Path, "%s", invalid.Error())
	case err != nil:
		return nil, err
	}
	answer, err := operations[operation](request{s, calls.Of(r.Context()).Thing, s.o.Now()}, known)
	var answered *awsapi.Error
	if errors.As(err, &answered) && answered.Status < http.StatusInternalServerError && !o.Declares(answered.Name) &&
		answered.Name != accessDenied {
		return nil, fmt.Errorf("%s must not answer %s: %w", operation, answered.Name, err)
	}
	return answer, err
}

const accessDenied = "AccessDeniedException"

// read gathers the members of a request from its path, its query and its body, and checks them.
func read(o *sitewisemodel.Operation, path map[string]string, r *http.Request, body []byte) ([]byte, error) {
	all := map[string]any{}
	if text := bytes.TrimSpace(body); len(text) > 0 && (r.Method == http.MethodPost || r.Method == http.MethodPut) {
		if _, _, err := apimodel.Read(nil, text); err != nil {
			return nil, err
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&all); err != nil {
			return nil, fmt.Errorf("cannot read a request that is JSON: %w", err)
		}
	}
	if err := addLocated(all, o, path, r); err != nil {
		return nil, err
	}
	known, _, err := apimodel.Check(o.Members, all)
	return known, err
}

// refused returns an error of SiteWise about a part of the request.
func refused(name, where, format string, args ...any) *awsapi.Error {
	return awsapi.Errorf(sitewisemodel.Status[name], name, where, format, args...)
}

// refusedFor is refused for errors that name the resource at fault.
func refusedFor(name, where, id, arn, format string, args ...any) *awsapi.Error {
	e := refused(name, where, format, args...)
	e.Members = map[string]string{"resourceId": id, "resourceArn": arn}
	return e
}
