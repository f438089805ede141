package localapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/query"
)

// EventRequest is the body of POST /v1/events: what happened, on which streams, and which media belongs to it.
type EventRequest struct {
	ID      string    `json:"id,omitempty"`     // default: a new one
	Stream  string    `json:"stream,omitempty"` // or Streams
	Streams []string  `json:"streams,omitempty"`
	Time    time.Time `json:"time,omitzero"`         // default: now
	Pre     *float64  `json:"preSeconds,omitempty"`  // default: 10
	Post    *float64  `json:"postSeconds,omitempty"` // default: 30
	Reason  string    `json:"reason,omitempty"`
	Source  string    `json:"source,omitempty"` // default: "api"
	// Hold is how long after the end of the event a hold keeps its media on the hub. Missing or 0: no hold does.
	Hold float64 `json:"holdSeconds,omitempty"`
}

// TriggeredEvent is the answer: the event is on the disk.
type TriggeredEvent struct {
	Event Event  `json:"event"`
	Began bool   `json:"began"` // else it was known already, and may end later now
	Note  string `json:"note,omitempty"`
}

// Event is an event with its progress.
type Event struct {
	ID       string        `json:"id"`
	Time     time.Time     `json:"time"`
	From     time.Time     `json:"from"` // its media is that from From (inclusive)
	To       time.Time     `json:"to"`   // to To (exclusive)
	Reason   string        `json:"reason,omitempty"`
	Source   string        `json:"source,omitempty"`
	Triggers int           `json:"triggers"` // those after the first have extended it
	Open     bool          `json:"open"`     // it has not ended
	Streams  []EventStream `json:"streams"`
}

// EventStream is the progress of an event on a stream, in complete fragments.
type EventStream struct {
	Stream        string `json:"stream"`
	Recorded      int    `json:"recorded"` // also those that were deleted
	Uploaded      int    `json:"uploaded"`
	Refused       int    `json:"refused,omitempty"` // stay on the hub, as the service does not accept them
	Lost          int    `json:"lost,omitempty"`    // were deleted on the hub before they were in the cloud
	Unsent        int    `json:"unsent,omitempty"`  // stay on the hub, as it does not upload the stream
	Bytes         int64  `json:"bytes"`             // of Recorded
	UploadedBytes int64  `json:"uploadedBytes"`
	Final         bool   `json:"final"` // all of it is in the cloud, but for what is refused, lost or unsent
	OnHub         bool   `json:"onHub"` // some of it is on the hub too
	// Hold is the ID of the hold that keeps its media until HeldUntil (missing: until it is removed), where the trigger asked for one.
	Hold      string    `json:"hold,omitempty"`
	HeldUntil time.Time `json:"heldUntil,omitzero"`
	// NotHeld says why the media is not held although the trigger asked for that, or what was added to it is not.
	NotHeld string `json:"notHeld,omitempty"`
}

func (s *Server) postEvent(r *request) (any, error) {
	if s.o.Agent.TriggerEvent == nil {
		return nil, errNotHere
	}
	var in EventRequest
	if err := r.decode(&in, "an event"); err != nil {
		return nil, err
	}
	out, err := s.o.Agent.TriggerEvent(r.Context(), in, r.peer())
	return out, refused(err)
}

func (s *Server) getEvents(r *request) (any, error) {
	if s.o.Agent.Events == nil {
		return nil, errNotHere
	}
	list := s.o.Agent.Events(r.Stream, r.From, r.To, r.Limit)
	if len(list) == 0 && r.Stream != "" {
		return list, s.known(r.Stream)
	}
	return list, nil
}

// TriggerEvent triggers an event, and returns it once it is on the disk.
func (c *Client) TriggerEvent(ctx context.Context, r EventRequest) (done TriggeredEvent, err error) {
	err = c.patient().exchange(ctx, http.MethodPost, pathEvents, r, &done)
	health.CleanAll(&done)
	return done, err
}

// Events lists the last most events of a stream, or with an empty name of all, in a time range, the oldest first.
func (c *Client) Events(ctx context.Context, stream string, from, to time.Time, most int) (list []Event, err error) {
	if most < 1 || most > query.MaxLimit {
		return nil, fmt.Errorf("the number of events must be from 1 to %d", query.MaxLimit)
	}
	values := url.Values{query.Limit.Name: {strconv.Itoa(most)}}
	if stream != "" {
		values.Set(query.Stream.Name, stream)
	}
	for name, at := range map[string]time.Time{query.From.Name: from, query.To.Name: to} {
		if !at.IsZero() {
			values.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	err = c.json(ctx, http.MethodGet, pathEvents+"?"+values.Encode(), &list)
	return list, err
}
