package localcloud

import (
	"fmt"
	"net/http"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// iotEndpointPath is that of DescribeEndpoint, the one operation of IoT's control plane that is here.
const iotEndpointPath = "/endpoint"

var iotService = service{
	name: serviceIoT,
	wire: func(*http.Request) wire { return wireIoT },
	operation: func(r *http.Request, _ []byte) string {
		if r.URL.Path == iotEndpointPath {
			return "DescribeEndpoint"
		}
		return r.Method + " " + r.URL.Path // the path is all that a request shows of its operation
	},
	resource: func(r *http.Request, _ []byte) string { return r.URL.Query().Get("endpointType") },
	get:      func(r *http.Request) bool { return r.Method == http.MethodGet || r.URL.Path == iotEndpointPath },
	call: func(c *Cloud, operation string, r *http.Request, _ []byte) ([]byte, error) {
		if operation != "DescribeEndpoint" {
			return nil, &media.HTTPError{Status: http.StatusNotFound, Name: "UnknownOperationException", Where: "the path", Message: fmt.Sprintf(
				"localcloud has no IoT operation at %s; of IoT's control plane it has DescribeEndpoint only: things come from the seed or with "+
					"--thing", operation)}
		}
		return c.describeEndpoint(r.URL.Query().Get("endpointType"))
	},
}

// describeEndpoint names our endpoints, with their ports. iot:Data is the default, and differs from
// iot:Data-ATS in the authority that signs, of which there is one here.
func (c *Cloud) describeEndpoint(kind string) ([]byte, error) {
	address := ""
	switch kind {
	case "", "iot:Data", "iot:Data-ATS":
		address = c.MQTTEndpoint()
	case "iot:CredentialProvider":
		address = c.CredentialEndpoint()
	default:
		return nil, iotError(http.StatusBadRequest, "InvalidRequestException", "endpointType",
			"localcloud has no endpoint of type %.100q; it has iot:Data-ATS, iot:Data and iot:CredentialProvider", kind)
	}
	return jsonText(map[string]string{"endpointAddress": address}), nil
}

// iotError is an error about where, a part of the request.
func iotError(status int, name, where, format string, args ...any) *media.HTTPError {
	return at(where, kvsError(status, name, format, args...))
}
