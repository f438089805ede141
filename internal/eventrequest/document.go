package eventrequest

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

const (
	// maxShownID bounds the id in the answer to a message with a wrong one, in bytes.
	maxShownID = 64
	// maxShownStreams bounds the streams in such an answer, so that it has at most what a message may have.
	maxShownStreams = 16
	// maxSeconds bounds what is read of a length of time; what it may be is not decided here.
	maxSeconds = 1e9
)

// The values of Status in event/status.
const (
	Running = "RUNNING"
	Done    = "DONE"
	Failed  = "FAILED"
)

// Request is an event that the cloud triggers.
type Request struct {
	ID        string
	Streams   []string
	Time      time.Time      // zero: now
	Pre, Post *time.Duration // nil: as usual
	Reason    string
	Hold      time.Duration // how long after its end its media is held; 0: it is not
	// Repeated: the broker says that it may have sent the message before.
	Repeated bool
}

// message is the payload of event.
type message struct {
	EventID     string            `json:"EventId"`
	StreamName  string            `json:"StreamName"`
	StreamNames []string          `json:"StreamNames"`
	Time        *edgeconfig.Epoch `json:"Time"`
	Pre         *float64          `json:"PreRollInSeconds"`
	Post        *float64          `json:"PostRollInSeconds"`
	Reason      string            `json:"Reason"`
	Hold        *float64          `json:"HoldInSeconds"`
}

// answer is the payload of event/status.
type answer struct {
	EventID     string           `json:"EventId"`
	StreamNames []string         `json:"StreamNames,omitempty"`
	Status      string           `json:"Status"`
	Details     string           `json:"Details,omitempty"`
	NotHeld     string           `json:"NotHeld,omitempty"` // why its media is not, though it was to be
	Open        bool             `json:"Open"`              // it has not ended
	Done        int              `json:"FragmentsDone"`
	Total       int              `json:"FragmentsTotal"`
	Time        edgeconfig.Epoch `json:"Time"`
}

// encode dates and encodes the answer.
func (a answer) encode(now time.Time) ([]byte, error) {
	a.Time = edgeconfig.Epoch{Time: now.UTC().Truncate(time.Millisecond)}
	return json.Marshal(a)
}

// same reports whether two answers say the same.
func (a answer) same(b answer) bool {
	return a.Status == b.Status && a.Details == b.Details && a.NotHeld == b.NotHeld && a.Open == b.Open && a.Done == b.Done &&
		a.Total == b.Total
}

// parse reads a message. Where it cannot be followed, wrong is a sentence that says why; the request still has its id as far as it
// could be read.
func parse(payload []byte) (in Request, wrong string) {
	if len(payload) > kvslimit.MessageBytes {
		return in, fmt.Sprintf("The event has %d bytes; at most %d are allowed.", len(payload), kvslimit.MessageBytes)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(payload, &members) != nil || members == nil {
		return in, "The event is not a JSON object."
	}
	if json.Unmarshal(members["EventId"], &in.ID) != nil || in.ID == "" {
		in.ID = ""
		return in, "EventId is missing or not a string."
	}
	if len(in.ID) > maxShownID {
		n := len(in.ID)
		in.ID = in.ID[:maxShownID]
		return in, fmt.Sprintf("EventId has %d bytes; at most %d are allowed.", n, maxShownID)
	}
	var m message
	err := json.Unmarshal(payload, &m)
	if errors.Is(err, edgeconfig.ErrNotEpoch) {
		return in, "Time " + edgeconfig.ErrNotEpoch.Error() + "."
	}
	if err != nil {
		return in, "A member of the event is of the wrong kind: see docs/mqtt.md."
	}
	in.Streams, in.Reason = m.StreamNames, m.Reason
	if m.StreamName != "" {
		in.Streams = append(in.Streams, m.StreamName)
	}
	for _, name := range in.Streams {
		if !kvslimit.IsStreamName(name) {
			return in, "StreamName or StreamNames has something that cannot be the name of a stream."
		}
	}
	if len(in.Streams) == 0 {
		return in, "StreamName is missing, and so is StreamNames."
	}
	if m.Time != nil {
		in.Time = m.Time.Time
	}
	hold := new(time.Duration)
	for _, x := range []struct {
		name string
		from *float64
		to   **time.Duration
	}{{"PreRollInSeconds", m.Pre, &in.Pre}, {"PostRollInSeconds", m.Post, &in.Post}, {"HoldInSeconds", m.Hold, &hold}} {
		if x.from == nil {
			continue
		}
		if !(*x.from >= 0 && *x.from < maxSeconds) {
			return in, x.name + " must be a number of seconds that is not negative."
		}
		d := time.Duration(*x.from * float64(time.Second))
		*x.to = &d
	}
	in.Hold = *hold
	return in, ""
}
