package media

import "fmt"

// HTTPError is an answer of the service that is not 200. Options.Verify may return one to choose
// the answer to a bad signature.
type HTTPError struct {
	Status  int    // HTTP status code
	Name    string // exception name, sent as x-amzn-ErrorType
	Message string
	Where   string // header, member or part of the request at fault; only for the line about the refusal
}

// Error has name, status and message.
func (e *HTTPError) Error() string {
	return fmt.Sprintf("%s (HTTP %d): %s", e.Name, e.Status, e.Message)
}

// The exceptions of PutMedia and GetMedia with their HTTP status (API reference).
const (
	ClientLimitExceeded     = "ClientLimitExceededException"     // 400
	ConnectionLimitExceeded = "ConnectionLimitExceededException" // 400
	InvalidArgument         = "InvalidArgumentException"         // 400
	InvalidEndpoint         = "InvalidEndpointException"         // 400
	NotAuthorized           = "NotAuthorizedException"           // 401
	ResourceNotFound        = "ResourceNotFoundException"        // 404
	InvalidSignature        = "InvalidSignatureException"        // 403
)
