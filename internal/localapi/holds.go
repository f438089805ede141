package localapi

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/socket"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/holding"
)

// Hold keeps recordings from being deleted: each with media recorded from (inclusive) to (exclusive), those that exist and those that are
// recorded later.
type Hold struct {
	ID      string    `json:"id,omitempty"`
	Stream  string    `json:"stream"`
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	Reason  string    `json:"reason,omitempty"`
	Source  string    `json:"source,omitempty"` // who asked for it
	Created time.Time `json:"created,omitzero"`
	Until   time.Time `json:"until,omitzero"` // when it ends by itself; missing: never
	// Segments and Bytes are what it holds now. Those of different holds may be the same.
	Segments int   `json:"segments"`
	Bytes    int64 `json:"bytes"`
	// Unreadable is true for a stream whose holds cannot be read: all of its recordings are held.
	Unreadable bool `json:"unreadable,omitempty"`
}

// HoldRequest is the body of POST /v1/holds. Without an ID the hold gets one; the second of two equal requests with the same ID changes
// nothing.
type HoldRequest struct {
	ID     string    `json:"id,omitempty"`
	Stream string    `json:"stream"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero"`
}

// HoldOf describes a hold.
func HoldOf(k holding.Kept) Hold {
	return Hold{ID: k.ID, Stream: k.Stream, From: k.From, To: k.To, Reason: k.Reason, Source: k.Source, Created: k.Created, Until: k.Until,
		Segments: k.Segments, Bytes: k.Bytes, Unreadable: k.Unreadable}
}

func (s *Server) getHolds(r *request) (any, error) {
	if r.Stream != "" {
		if err := s.known(r.Stream); err != nil {
			return nil, err
		}
	}
	list := []Hold{}
	for _, k := range s.o.Store.Holding().List(r.Stream) {
		list = append(list, HoldOf(k))
	}
	return list, nil
}

func (s *Server) addHold(r *request) (any, error) {
	if s.o.Agent.AddHold == nil {
		return nil, errNotHere
	}
	var in HoldRequest
	if err := r.decode(&in, "a hold"); err != nil {
		return nil, err
	}
	done, err := s.o.Agent.AddHold(r.Context(), in, r.peer())
	return done, refused(err)
}

func (s *Server) removeHold(r *request) (any, error) {
	if s.o.Agent.RemoveHold == nil {
		return nil, errNotHere
	}
	done, err := s.o.Agent.RemoveHold(r.Hold, r.peer())
	return done, refused(err)
}

// peer says who makes the request, for people.
func (r *request) peer() string {
	if who, ok := r.Context().Value(whoKey{}).(string); ok {
		return health.Clean(who, 100)
	}
	uid, ok := r.Context().Value(userKey{}).(int)
	if !ok {
		return "an unknown user of this hub"
	}
	return socket.NameOf(uid)
}

// holdTimeout bounds the addition of a hold, which waits for deletions in its time.
const holdTimeout = time.Minute

// Holds lists the holds of a stream, or of all with "".
func (c *Client) Holds(ctx context.Context, stream string) (list []Hold, err error) {
	path := pathHolds
	if stream != "" {
		path += "?stream=" + url.QueryEscape(stream)
	}
	err = c.json(ctx, http.MethodGet, path, &list)
	return list, err
}

// patient is the client for what adds a hold.
func (c *Client) patient() *Client {
	patient := *c.http
	patient.Timeout = holdTimeout
	return &Client{socket: c.socket, http: &patient}
}

// AddHold adds a hold.
func (c *Client) AddHold(ctx context.Context, in HoldRequest) (done Hold, err error) {
	err = c.patient().exchange(ctx, http.MethodPost, pathHolds, in, &done)
	return done, err
}

// RemoveHold ends a hold, and returns it.
func (c *Client) RemoveHold(ctx context.Context, id string) (done Hold, err error) {
	err = c.json(ctx, http.MethodDelete, pathHolds+"?hold="+url.QueryEscape(id), &done)
	return done, err
}
