package media

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// HTTPError is an answer of the service that is not 200. Options.Verify may return one to choose
// the answer to a bad signature.
type HTTPError struct {
	Status  int    // HTTP status code
	Name    string // exception name, sent as x-amzn-ErrorType
	Message string
	Where   string // header, member or part of the request at fault; only for the line about the refusal
}

// Error gives name, status and message.
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

func badRequest(format string, args ...any) *HTTPError {
	return &HTTPError{Status: http.StatusBadRequest, Name: InvalidArgument, Message: fmt.Sprintf(format, args...)}
}

// refuse answers with an error, as the data plane of KVS words it.
func refuse(w http.ResponseWriter, err error) {
	var answer *HTTPError
	if !errors.As(err, &answer) {
		answer = &HTTPError{Status: http.StatusForbidden, Name: InvalidSignature, Message: err.Error()}
	}
	body, _ := json.Marshal(map[string]string{"Message": answer.Message}) // a map of strings always marshals
	w.Header().Set("Content-Type", "application/json")
	if answer.Name != "" {
		w.Header().Set("x-amzn-ErrorType", answer.Name)
	}
	w.Header().Set("Connection", "close")
	w.WriteHeader(answer.Status)
	_, _ = w.Write(body) // the client may be gone; there is nobody else to tell
}
