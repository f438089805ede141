package holdrequest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

const (
	// maxRequestID bounds the id of a request, in bytes.
	maxRequestID = 128
	// maxShownID bounds the id of a hold in an answer, in bytes: a longer one is wrong.
	maxShownID = 64
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
	RequestID  string           `json:"RequestId"`
	Action     string           `json:"Action"`
	HoldID     string           `json:"HoldId"`
	StreamName string           `json:"StreamName"`
	From       edgeconfig.Epoch `json:"From"`
	To         edgeconfig.Epoch `json:"To"`
	Until      edgeconfig.Epoch `json:"Until"` // zero: the hold does not end by itself
	Reason     string           `json:"Reason"`
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

// parse reads a message. Where it cannot be followed, wrong is a sentence that says why; the request still has the members that
// could be read, and only so much of them that an answer can have it.
func parse(payload []byte) (in request, wrong string) {
	if len(payload) > kvslimit.MessageBytes {
		return in, fmt.Sprintf("The request has %d bytes; at most %d are allowed.", len(payload), kvslimit.MessageBytes)
	}
	// Each member by itself, so that a wrong one does not hide who asks.
	var members struct {
		RequestID                                   json.RawMessage `json:"RequestId"`
		HoldID                                      json.RawMessage `json:"HoldId"`
		Action, StreamName, From, To, Until, Reason json.RawMessage
	}
	if json.Unmarshal(payload, &members) != nil {
		return in, "The request is not a JSON object."
	}
	action, holdID, stream := text(members.Action), text(members.HoldID), text(members.StreamName)
	if action == ActionAdd || action == ActionRemove {
		in.Action = action
	}
	if kvslimit.IsStreamName(stream) {
		in.StreamName = stream
	}
	in.HoldID = cut(holdID, maxShownID)
	id := text(members.RequestID)
	in.RequestID = cut(id, maxRequestID)
	switch {
	case id == "":
		return in, "RequestId is missing or not a string."
	case len(id) > maxRequestID:
		return in, fmt.Sprintf("RequestId has %d bytes; at most %d are allowed.", len(id), maxRequestID)
	case in.Action == "":
		return in, "Action must be ADD or REMOVE."
	case holdID == "":
		return in, "HoldId is missing or not a string: choose one, so that the request can be repeated."
	case len(holdID) > maxShownID:
		return in, fmt.Sprintf("HoldId has %d bytes; at most %d are allowed.", len(holdID), maxShownID)
	case in.Action == ActionRemove:
		return in, ""
	case in.StreamName == "":
		return in, "StreamName is missing or cannot be the name of a stream."
	}
	return in, in.readHold(members.From, members.To, members.Until, members.Reason)
}

// readHold reads what only a request to add has, and returns what is wrong with that.
func (r *request) readHold(from, to, until, reason json.RawMessage) (wrong string) {
	for _, x := range []struct {
		name     string
		raw      json.RawMessage
		at       *edgeconfig.Epoch
		required bool
	}{{"From", from, &r.From, true}, {"To", to, &r.To, true}, {"Until", until, &r.Until, false}} {
		if !x.required && (len(x.raw) == 0 || string(x.raw) == "null") {
			continue
		}
		if json.Unmarshal(x.raw, x.at) != nil {
			return x.name + " is missing or wrong: it " + edgeconfig.ErrNotEpoch.Error() + "."
		}
	}
	switch {
	case !r.From.Before(r.To.Time):
		return "To must be after From."
	case json.Unmarshal(reason, &r.Reason) != nil || r.Reason == "":
		return "Reason is missing or not a string: it is for those who find the hold later."
	}
	return ""
}

// text is a string of JSON; empty where it is none.
func text(raw json.RawMessage) (s string) {
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// cut is the beginning of a text, in bytes.
func cut(s string, limit int) string { return strings.ToValidUTF8(s[:min(len(s), limit)], "") }

// hold is the hold that a request asks for. by is who asks.
func (r request) hold(by string) hold.Hold {
	return hold.Hold{
		ID: r.HoldID, Stream: r.StreamName, From: r.From.Time, To: r.To.Time, Until: r.Until.Time, Reason: r.Reason, Source: by,
	}
}
