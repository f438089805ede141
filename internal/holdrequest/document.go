package holdrequest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

const (
	// maxMessage is what a message may have. Source: AWS IoT Core quotas, payload of a publication: 128 KB.
	maxMessage = 128 << 10
	// maxRequestID bounds the id of a request, in bytes.
	maxRequestID = 128
)

// The values of Action in hold.
const (
	ActionAdd    = "ADD"
	ActionRemove = "REMOVE"
)

// The values of Status in hold/status.
const (
	Done   = "DONE"
	Failed = "FAILED"
)

// request is the payload of hold.
type request struct {
	RequestID  string            `json:"RequestId"`
	Action     string            `json:"Action"`
	HoldID     string            `json:"HoldId"`
	StreamName string            `json:"StreamName"`
	From       *edgeconfig.Epoch `json:"From"`
	To         *edgeconfig.Epoch `json:"To"`
	Until      *edgeconfig.Epoch `json:"Until"`
	Reason     string            `json:"Reason"`
}

// answer is the payload of hold/status.
type answer struct {
	RequestID  string           `json:"RequestId"`
	Action     string           `json:"Action,omitempty"`
	HoldID     string           `json:"HoldId,omitempty"`
	StreamName string           `json:"StreamName,omitempty"`
	Status     string           `json:"Status"`
	Details    string           `json:"Details,omitempty"`
	Segments   int              `json:"Segments"` // that an added hold keeps
	Bytes      int64            `json:"Bytes"`    // of Segments
	Time       edgeconfig.Epoch `json:"Time"`
}

// encode dates and encodes the answer.
func (a answer) encode(now time.Time) ([]byte, error) {
	a.Time = edgeconfig.Epoch{Time: now.UTC().Truncate(time.Millisecond)}
	return json.Marshal(a)
}

// parse reads a message. Where it cannot be followed, wrong is a sentence that says why; the request still has its id as far as it
// could be read.
func parse(payload []byte) (in request, wrong string) {
	if len(payload) > maxMessage {
		return in, fmt.Sprintf("The request has %d bytes; at most %d are allowed.", len(payload), maxMessage)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(payload, &members) != nil || members == nil {
		return in, "The request is not a JSON object."
	}
	if json.Unmarshal(members["RequestId"], &in.RequestID) != nil || in.RequestID == "" {
		return request{}, "RequestId is missing or not a string."
	}
	if n := len(in.RequestID); n > maxRequestID {
		return request{RequestID: in.RequestID[:maxRequestID]}, fmt.Sprintf("RequestId has %d bytes; at most %d are allowed.", n, maxRequestID)
	}
	id := in.RequestID
	if err := json.Unmarshal(payload, &in); err != nil {
		return request{RequestID: id}, "A member of the request is of the wrong kind: see docs/mqtt.md."
	}
	return in, in.wrong()
}

// wrong says what a request lacks, in a sentence.
func (r request) wrong() string {
	switch r.Action {
	case ActionAdd:
		switch {
		case r.HoldID == "":
			return "HoldId is missing: choose one, so that the same request again is the same hold."
		case !kvslimit.IsStreamName(r.StreamName):
			return "StreamName is missing, or cannot be the name of a stream."
		case r.From == nil || r.To == nil:
			return "From or To is missing: both must be times in seconds since 1970, numbers."
		}
	case ActionRemove:
		if r.HoldID == "" {
			return "HoldId is missing."
		}
	default:
		return "Action must be ADD or REMOVE."
	}
	return ""
}

// hold is the hold that a request asks for. by is who asks.
func (r request) hold(by string) hold.Hold {
	h := hold.Hold{ID: r.HoldID, Stream: r.StreamName, From: r.From.Time, To: r.To.Time, Reason: r.Reason, Source: by}
	if r.Until != nil {
		h.Until = r.Until.Time
	}
	return h
}
