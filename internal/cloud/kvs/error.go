package kvs

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs/mediabody"
)

// RequestError is an answer of KVS, or of a proxy before it, that is not 200, or that cannot be understood.
type RequestError struct {
	Operation string // PutMedia, GetDataEndpoint and so on
	Stream    string // "" when the request was not about one stream
	Status    int    // HTTP status code
	Name      string // of the exception, "" when the answer did not say
	Message   string // what the answer said, for people
	Err       error  // the SDK's error, or nil
	// Meaning is what the answer means.
	Meaning awserr.Error
}

// Error says what failed, on which stream, and what the answer was.
func (e *RequestError) Error() string {
	text := e.Operation
	if e.Stream != "" {
		text += " of stream " + e.Stream
	}
	text += fmt.Sprintf(" was answered with HTTP status %d", e.Status)
	if e.Status == http.StatusOK {
		text += ", but not as the service answers, as by a proxy"
	}
	if e.Name != "" {
		text += " " + e.Name
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Unwrap returns the SDK's error.
func (e *RequestError) Unwrap() error { return e.Err }

// MediaError means that the media could not be read from the hub's disk while it was being sent.
type MediaError = mediabody.MediaError

var (
	// ErrAborted is why a session ended that its owner gave up.
	ErrAborted = mediabody.ErrAborted
	// ErrEnded means that the service ended the answer although more media was to come.
	ErrEnded = errors.New("the service ended the PutMedia session")

	// ErrCredentials means that there were no credentials to sign a request with; it wraps the reason.
	ErrCredentials = errors.New("the hub has no AWS credentials")

	errNoResponse   = errors.New("the service did not answer PutMedia within the time for it")
	errDisconnected = errors.New("the connection was closed before the service answered PutMedia")
	errEmptyAnswer  = errors.New("the answer is empty")
)

// callError turns the SDK's error into a *RequestError when there was an answer.
func callError(operation, stream string, err error) error {
	if answer := awserr.Of(err); answer.Status != 0 {
		return requestError(operation, stream, answer, err)
	}
	if stream == "" {
		return fmt.Errorf("%s failed: %w", operation, err)
	}
	return fmt.Errorf("%s of stream %s failed: %w", operation, stream, err)
}

func requestError(operation, stream string, answer awserr.Error, err error) *RequestError {
	return &RequestError{
		Operation: operation, Stream: stream, Status: answer.Status, Name: answer.Name, Message: answer.Message, Err: err, Meaning: answer,
	}
}

// maxErrorBody is what is read of the body of an error.
const maxErrorBody = 4 << 10

// readError makes a RequestError of an answer that is not 200.
func readError(stream string, resp *http.Response) *RequestError {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // what came is better than nothing
	return requestError("PutMedia", stream, awserr.Parse(resp.StatusCode, resp.Header, body), nil)
}

// IsDenied reports whether the service refused a request as the hub's role lacks a right.
func IsDenied(err error) bool {
	var answer *RequestError
	return errors.As(err, &answer) && answer.Meaning.RightMissing()
}

// IsMissing reports whether the service said that a stream does not exist: a proxy's 404 has no name.
func IsMissing(err error) bool {
	var answer *RequestError
	return errors.As(err, &answer) && answer.Meaning.Kind == awserr.NotFound && answer.Name != ""
}
