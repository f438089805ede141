package localapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/jsonfault"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/patience"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/query"
)

// request is a request that its peer may make, with the whole of its body.
type request struct {
	*http.Request
	query.Query
	w    *patience.Writer
	body []byte
}

// name is the body of a request that is a name.
func (r *request) name(longest int) (string, error) {
	if len(r.body) > longest {
		return "", fmt.Errorf("the name has more than %d bytes", longest)
	}
	return string(r.body), nil
}

// decode reads the body as JSON of what, which is for people.
func (r *request) decode(into any, what string) error {
	if err := json.Unmarshal(r.body, into); err != nil {
		return refused(fmt.Errorf("the request is not the JSON of %s: %s", what, jsonfault.Of(err)))
	}
	return nil
}

// text answers with a text.
func (r *request) text(text string) error {
	r.w.Header().Set("Content-Type", typeText)
	_, _ = io.WriteString(r.w, text) // a reader that is gone needs none
	return nil
}

// line sends a line of JSON at once.
func (r *request) line(value any) error {
	if err := json.NewEncoder(r.w).Encode(value); err != nil {
		return err
	}
	return http.NewResponseController(r.w).Flush()
}

// Error is the answer to a request that is refused: a sentence for people as the body, the code for machines in a header.
type Error struct {
	Status int
	Code   string
	Text   string
}

// ErrorHeader has the code of an Error.
const ErrorHeader = "Kvs-Edge-Error"

// Error implements error.
func (e *Error) Error() string { return e.Text }

// The codes of errors.
const (
	codeRefused  = "refused"
	codeNotHere  = "not-here"
	codeRights   = "rights"
	codeTooLarge = "too-large"
	codeTooSlow  = "too-slow"
	codeBusy     = "busy"
	codeInternal = "internal"

	codeParameter = "parameter"
	codeStream    = "unknown-stream"
	codeSegment   = "unknown-segment"
)

func badQuery(format string, args ...any) error {
	return &Error{http.StatusBadRequest, codeParameter, fmt.Sprintf(format, args...)}
}

var errNoWeb = &Error{http.StatusNotFound, codeNotHere,
	"this agent serves no web pages: set AWS_KVS_EDGE_WEB_ADDRESS, such as to :8443 for browsers on this machine alone, and restart the agent"}

var errNotHere = &Error{http.StatusNotFound, codeNotHere, "this agent does not have that"}

// refused is the answer to a request that the agent does not follow: the code is that of a fault.
func refused(err error) error {
	if err == nil {
		return nil
	}
	code := codeRefused
	if fault := new(health.Fault); errors.As(err, &fault) {
		code = fault.Code
	}
	return &Error{http.StatusBadRequest, code, err.Error()}
}

// busyAnswer is the answer to a connection beyond the bound. Source: RFC 9112.
var busyAnswer = strings.ReplaceAll(`HTTP/1.1 503 Service Unavailable
Content-Type: text/plain; charset=utf-8
`+ErrorHeader+`: `+codeBusy+`
Retry-After: 5
Connection: close

too many connections are open: try again in some seconds
`, "\n", "\r\n")

// writeError answers with an error.
func writeError(w http.ResponseWriter, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{http.StatusInternalServerError, codeInternal, err.Error()}
	}
	w.Header().Set(ErrorHeader, e.Code)
	http.Error(w, e.Text, e.Status)
}

// refuseBody answers a request whose body is too large, or else did not come in time.
func refuseBody(w http.ResponseWriter, large bool) {
	if large {
		writeError(w, &Error{http.StatusRequestEntityTooLarge, codeTooLarge,
			fmt.Sprintf("the body of the request has more than %d bytes", maxBody)})
		return
	}
	writeError(w, &Error{http.StatusRequestTimeout, codeTooSlow, fmt.Sprintf("the body of the request did not come within %v", bodyTimeout)})
}
