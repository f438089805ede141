package media

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/refusal"
)

// The operations, as refusals name them.
const (
	opPutMedia = "PutMedia"
	opGetMedia = "GetMedia"

	opListFragments = "ListFragments"
)

// The exceptions of the data plane that are answered, with their HTTP status (API reference).
const (
	ClientLimitExceeded     = "ClientLimitExceededException"     // 400
	ConnectionLimitExceeded = "ConnectionLimitExceededException" // 400
	InvalidArgument         = "InvalidArgumentException"         // 400
	ResourceNotFound        = "ResourceNotFoundException"        // 404
)

// badRequest is an InvalidArgumentException; where is the header or member at fault.
func badRequest(where, format string, args ...any) *awsapi.Error {
	return &awsapi.Error{Status: http.StatusBadRequest, Name: InvalidArgument, Where: where, Message: fmt.Sprintf(format, args...)}
}

// refuse answers with an error, as the data plane of KVS words it, and writes the line about it.
func (s *Service) refuse(w http.ResponseWriter, r *http.Request, operation, stream string, err error) {
	var answer *awsapi.Error
	if !errors.As(err, &answer) {
		answer = &awsapi.Error{Status: http.StatusForbidden, Name: awsapi.InvalidSignature, Where: "header Authorization", Message: err.Error()}
	}
	s.o.Refusals.Add(refusal.Refusal{
		What: operation, Of: stream, By: s.caller(r), Code: codeWithNumber(answer.Name, answer.Status), Where: answer.Where, Why: answer.Message,
	})
	body, _ := json.Marshal(map[string]string{"Message": answer.Message}) // a map of strings always marshals
	w.Header().Set("Content-Type", "application/json")
	if answer.Name != "" {
		w.Header().Set("x-amzn-ErrorType", answer.Name)
	}
	w.Header().Set("Connection", "close")
	w.WriteHeader(answer.Status)
	_, _ = w.Write(body) // the client may be gone; there is nobody else to inform
}

// refuseFragment writes the line about an ERROR acknowledgement; f is the fragment that it names, or nil.
func (se *session) refuseFragment(why *failure, f *fragment) {
	where := why.where
	if where == "" && f != nil {
		where = f.where()
	}
	se.service.o.Refusals.Add(refusal.Refusal{
		What: opPutMedia, Of: se.st.name, By: se.caller, Code: codeWithNumber(why.code, why.id), Where: where, Why: why.why,
	})
}

// refuseEnd writes the line about a session that the service ends without an ERROR. Sessions that
// the producer ends, and those that a fault resets, have none here.
func (se *session) refuseEnd(why error) {
	where := ""
	switch {
	case errors.Is(why, errDisplaced):
		where = "the stream"
	case errors.Is(why, errIdle):
		where = fmt.Sprintf("byte %d", se.reader.Offset())
	case errors.Is(why, errNotTaken) && errors.Is(why, os.ErrDeadlineExceeded):
		where = "the answer"
	default:
		return
	}
	se.service.o.Refusals.Add(refusal.Refusal{
		What: opPutMedia, Of: se.st.name, By: se.caller, Code: "connection closed", Where: where, Why: why.Error(),
	})
}

func (s *Service) caller(r *http.Request) string {
	if s.o.Caller == nil {
		return ""
	}
	return s.o.Caller(r)
}

// refuseByReset resets a connection on order, and writes the line about it.
func (s *Service) refuseByReset(w http.ResponseWriter, r *http.Request, operation, stream, when string) {
	s.o.Refusals.Add(refusal.Refusal{What: operation, Of: stream, By: s.caller(r), Code: "connection reset", Why: "injected " + when})
	reset(w)
}

// codeWithNumber is the name of an error with its ErrorId or HTTP status.
func codeWithNumber(name string, number int) string {
	switch {
	case number == 0:
		return name
	case name == "":
		return fmt.Sprintf("HTTP %d", number)
	}
	return fmt.Sprintf("%s (%d)", name, number)
}
