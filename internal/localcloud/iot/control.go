package iot

import (
	"net/http"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
)

// EndpointPath is that of DescribeEndpoint, the one operation of IoT's control plane that is here.
const EndpointPath = "/endpoint"

// Addresses are those of the endpoints, each host:port.
type Addresses struct{ Data, Credentials func() string }

// ControlAPI returns the control plane as the HTTPS endpoint has it.
func ControlAPI(at Addresses) awsapi.Service {
	return awsapi.Service{
		Name:     awsapi.IoT,
		Protocol: func(*http.Request) awsapi.Protocol { return awsapi.IoTREST },
		Operation: func(r *http.Request, _ []byte) string {
			if r.URL.Path == EndpointPath {
				return "DescribeEndpoint"
			}
			return r.Method + " " + r.URL.Path // the path is all that a request shows of its operation
		},
		Resource: func(r *http.Request, _ []byte) string { return r.URL.Query().Get("endpointType") },
		Get:      func(r *http.Request) bool { return r.Method == http.MethodGet || r.URL.Path == EndpointPath },
		Call: func(operation string, r *http.Request, _ []byte) ([]byte, error) {
			if operation != "DescribeEndpoint" {
				return nil, awsapi.Errorf(http.StatusNotFound, "UnknownOperationException", "the path",
					"localcloud has no IoT operation at %s; of IoT's control plane it has DescribeEndpoint only: things come from the seed or with "+
						"--thing", operation)
			}
			return at.describe(r.URL.Query().Get("endpointType"))
		},
	}
}

// describe answers DescribeEndpoint, with ports. iot:Data is the default, and differs from
// iot:Data-ATS in the authority that signs, of which there is one here.
func (at Addresses) describe(kind string) ([]byte, error) {
	address := ""
	switch kind {
	case "", "iot:Data", "iot:Data-ATS":
		address = at.Data()
	case "iot:CredentialProvider":
		address = at.Credentials()
	default:
		return nil, awsapi.Errorf(http.StatusBadRequest, "InvalidRequestException", "endpointType",
			"localcloud has no endpoint of type %.100q; it has iot:Data-ATS, iot:Data and iot:CredentialProvider", kind)
	}
	return awsapi.JSONText(map[string]string{"endpointAddress": address}), nil
}
