package uploadrequest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

const (
	maxRequestID = 128
)

// The values of Status in upload/status.
const (
	Running = "RUNNING"
	Done    = "DONE"
	Failed  = "FAILED"
)

// request is the payload of upload/request.
type request struct {
	RequestID  string           `json:"RequestId"`
	StreamName string           `json:"StreamName"`
	From       edgeconfig.Epoch `json:"From"`
	To         edgeconfig.Epoch `json:"To"`
}

// answer is the payload of upload/status.
type answer struct {
	RequestID  string           `json:"RequestId"`
	StreamName string           `json:"StreamName"`
	Status     string           `json:"Status"`
	Details    string           `json:"Details,omitempty"`
	Done       int              `json:"FragmentsDone"`
	Total      int              `json:"FragmentsTotal"`
	Time       edgeconfig.Epoch `json:"Time"`
}

// encode dates and encodes the answer.
func (a answer) encode(now time.Time) ([]byte, error) {
	a.Time = edgeconfig.Epoch{Time: now.UTC().Truncate(time.Millisecond)}
	return json.Marshal(a)
}

// parse reads an upload/request. Where it cannot be followed, wrong is a sentence that
// says why; the request still has what could be read of RequestId and StreamName, by
// which the answer is recognised.
func parse(payload []byte) (in request, wrong string) {
	if len(payload) > kvslimit.MessageBytes {
		return in, fmt.Sprintf("The request has %d bytes; at most %d are allowed.", len(payload), kvslimit.MessageBytes)
	}
	// Each member by itself, so that a wrong one does not hide who asks.
	var members struct {
		RequestID            json.RawMessage `json:"RequestId"`
		StreamName, From, To json.RawMessage
	}
	if json.Unmarshal(payload, &members) != nil {
		return in, "The request is not a JSON object."
	}
	stream, id := "", ""
	if json.Unmarshal(members.StreamName, &stream) == nil && kvslimit.IsStreamName(stream) {
		in.StreamName = stream
	}
	if json.Unmarshal(members.RequestID, &id) != nil || id == "" {
		return in, "RequestId is missing or not a string."
	}
	in.RequestID = strings.ToValidUTF8(id[:min(len(id), maxRequestID)], "")
	switch {
	case len(id) > maxRequestID:
		return in, fmt.Sprintf("RequestId has %d bytes; at most %d are allowed.", len(id), maxRequestID)
	case in.StreamName == "":
		return in, "StreamName is missing or cannot be the name of a stream."
	case json.Unmarshal(members.From, &in.From) != nil:
		return in, "From is missing or wrong: it " + edgeconfig.ErrNotEpoch.Error() + "."
	case json.Unmarshal(members.To, &in.To) != nil:
		return in, "To is missing or wrong: it " + edgeconfig.ErrNotEpoch.Error() + "."
	case !in.From.Before(in.To.Time):
		return in, "To must be after From."
	}
	return in, ""
}
