package awsapi

import (
	"fmt"
	"net/http"
)

// Error is an answer that is not 200.
type Error struct {
	Status  int    // HTTP status code
	Name    string // exception name, as x-amzn-ErrorType has it
	Message string
	Where   string // header, member or part of the request at fault; only for the line about the refusal
	// Members are those that the answer has beside its message, in protocols whose errors have any.
	Members map[string]string
}

// Error has name, status and message.
func (e *Error) Error() string {
	return fmt.Sprintf("%s (HTTP %d): %s", e.Name, e.Status, e.Message)
}

// Errorf returns an error about where, a part of the request.
func Errorf(status int, name, where, format string, args ...any) *Error {
	return &Error{Status: status, Name: name, Where: where, Message: fmt.Sprintf(format, args...)}
}

// The names of what can be wrong with a signature.
const (
	MissingToken        = "MissingAuthenticationTokenException"
	IncompleteSignature = "IncompleteSignatureException"
	UnknownKey          = "UnrecognizedClientException"
	ExpiredToken        = "ExpiredTokenException"
	InvalidSignature    = "InvalidSignatureException"
)

// InAuthorization is where a signature is, as a refusal names it.
const InAuthorization = "header Authorization"

// Forbidden returns an error with status 403.
func Forbidden(name, where, format string, args ...any) *Error {
	return Errorf(http.StatusForbidden, name, where, format, args...)
}
