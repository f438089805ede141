package awsapi

import "net/http"

// The names of the services in signatures.
const (
	KVS            = "kinesisvideo"
	SecretsManager = "secretsmanager"
	CloudWatch     = "monitoring"
	STS            = "sts"
	IoT            = "iot"
	IoTLegacy      = "execute-api" // of IoT's control plane, in SDKs until 2023
	IoTData        = "iotdata"
	IoTGateway     = "iotdevicegateway"
	SiteWise       = "iotsitewise"
	TwinMaker      = "iottwinmaker"
)

// Service is one of those that share the HTTPS endpoint.
type Service struct {
	Name string
	// Protocol is how a request of the service is spoken; nil = REST.
	Protocol func(r *http.Request) Protocol
	// Operation names what is requested.
	Operation func(r *http.Request, body []byte) string
	// Resource names what the request is about; nil = nothing.
	Resource func(r *http.Request, body []byte) string
	// Call does it and returns the body of the answer.
	Call func(operation string, r *http.Request, body []byte) ([]byte, error)
	// Get reports whether an operation is a GET and not a POST; nil = none is.
	Get func(r *http.Request) bool
	// AnyMethod leaves it to Operation which methods there are: those of a request belong to its operation.
	AnyMethod bool
	// Success is the HTTP status of an operation's answer; nil = 200 for all.
	Success func(operation string) int
	// Authorizes reports whether an operation checks rights itself, for each part of a request; nil = none does.
	Authorizes func(operation string) bool
}

// ProtocolOf returns the protocol that a request is answered in.
func (s Service) ProtocolOf(r *http.Request) Protocol {
	if s.Protocol != nil {
		return s.Protocol(r)
	}
	return REST
}

// Method returns the HTTP method that a request must have.
func (s Service) Method(r *http.Request) string {
	if s.AnyMethod {
		return r.Method
	}
	if s.Get != nil && s.Get(r) {
		return http.MethodGet
	}
	return http.MethodPost
}
