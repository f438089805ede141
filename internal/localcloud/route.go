package localcloud

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// The names of the services in signatures.
const (
	serviceKVS        = "kinesisvideo"
	serviceSecrets    = "secretsmanager"
	serviceCloudWatch = "monitoring"
	serviceSTS        = "sts"
	serviceIoT        = "iot"
	serviceIoTLegacy  = "execute-api" // of IoT's control plane, in SDKs until 2023
	serviceIoTData    = "iotdata"
	serviceIoTGateway = "iotdevicegateway"
)

// service is one of those that share the HTTPS endpoint.
type service struct {
	name        string
	contentType string // of answers, where wire is nil
	// wire is how a request of the service is spoken; nil = rest-json.
	wire func(r *http.Request) wire
	// operation names what is requested.
	operation func(r *http.Request, body []byte) string
	// resource names what the request is about; nil = nothing.
	resource func(r *http.Request, body []byte) string
	// call does it and returns the body of the answer.
	call func(c *Cloud, operation string, r *http.Request, body []byte) ([]byte, error)
	// get reports whether an operation is a GET and not a POST; nil = none is.
	get func(r *http.Request) bool
}

func (s service) wireOf(r *http.Request) wire {
	if s.wire != nil {
		return s.wire(r)
	}
	return wireREST
}

// servicesByScope are the services by their name in the scope of the credentials.
func servicesByScope(name string) (service, bool) {
	switch name {
	case serviceKVS:
		s := kvsService
		s.resource = kvsResource
		return s, true
	case serviceSecrets:
		return secretsService, true
	case serviceCloudWatch:
		return cloudWatchService, true
	case serviceSTS:
		return stsService, true
	case serviceIoT, serviceIoTLegacy:
		return named(iotService, name), true
	case serviceIoTData, serviceIoTGateway:
		return named(iotDataService, name), true
	}
	return service{}, false
}

// named is a service that may sign with several names, under the one of the request.
func named(s service, name string) service {
	s.name = name
	return s
}

// route finds the service of a request. What the protocol shows for certain decides, so that a
// request that was signed for another service is refused as that service's; else the scope of the
// credentials does. Without either it is KVS, whose operations are paths.
func route(r *http.Request, body []byte) (service, error) {
	scope := scopeOf(r)
	shown := shownService(r, body)
	if slices.Contains([]string{serviceIoT, serviceIoTData}, shown) {
		if s, ok := servicesByScope(scope); ok && actionOf(scope, "") == actionOf(shown, "") {
			return s, nil
		}
	}
	if s, ok := servicesByScope(scope); !ok && scope != "" {
		s.name = scope
		s.wire = func(r *http.Request) wire { return wireOfStranger(scope, r) }
		return s, noService(scope)
	}
	s, _ := servicesByScope(cmp.Or(shown, scope, serviceKVS))
	return s, nil
}

// strangersOperation is what a request of a service that is not here shows of its operation.
func strangersOperation(r *http.Request, body []byte) string {
	_, target, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return cmp.Or(target, formOf(body).Get("Action"), r.Method+" "+r.URL.Path)
}

func noService(name string) error {
	return &media.HTTPError{Status: http.StatusNotFound, Name: "UnknownService", Where: "the scope of the credentials", Message: fmt.Sprintf(
		"localcloud has no service %s; it has kinesisvideo, secretsmanager, monitoring (CloudWatch), sts, iot and iotdata", name)}
}

// scopeOf is the service that a request is signed for; "" = it is not signed.
func scopeOf(r *http.Request) string {
	a, err := parseAuthorization(r.Header.Get("Authorization"))
	if err != nil {
		return ""
	}
	return a.service
}

// shownService is the service whose protocol a request certainly speaks; "" = unknown.
func shownService(r *http.Request, body []byte) string {
	target := r.Header.Get("X-Amz-Target")
	switch {
	case strings.HasPrefix(target, secretsTarget):
		return serviceSecrets
	case strings.HasPrefix(target, cloudWatchTarget), strings.HasPrefix(r.URL.Path, cloudWatchPath):
		return serviceCloudWatch
	case r.URL.Path == iotEndpointPath:
		return serviceIoT
	case strings.HasPrefix(r.URL.Path, topicsPath), strings.HasPrefix(r.URL.Path, retainedPath):
		return serviceIoTData
	case strings.HasPrefix(r.Header.Get("Content-Type"), typeForm):
		return map[string]string{stsVersion: serviceSTS, cloudWatchVersion: serviceCloudWatch}[formOf(body).Get("Version")]
	}
	if _, ok := kvsOperations[kvsService.operation(r, nil)]; ok {
		return serviceKVS
	}
	return ""
}

// formOf reads the body of a query request; what cannot be read is not there.
func formOf(body []byte) url.Values {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return url.Values{}
	}
	return form
}

// kvsResource is the stream or hub that a request of KVS names.
func kvsResource(_ *http.Request, body []byte) string {
	var in struct{ StreamARN, StreamName, ResourceARN, HubDeviceArn string }
	_ = json.Unmarshal(body, &in) // the operation reports what is wrong with it
	return cmp.Or(in.StreamARN, in.StreamName, in.ResourceARN, in.HubDeviceArn)
}
