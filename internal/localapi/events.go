package localapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/changes"
)

const (
	typeEvents = "text/event-stream"

	// heartbeatEvery is how often a follower hears something: what hears nothing for longer may connect again.
	heartbeatEvery = 15 * time.Second
	// eventStall is how long a follower may take nothing: who is slower is cut off, and comes back with its last id.
	eventStall = 10 * time.Second
	// retryAfter is how long a follower waits before it comes back.
	retryAfter = 2 * time.Second

	// Events in addition to those of the kinds of changes.
	eventBegin  = "begin"  // the first one: what is asked for after it and what follows have no gap between them
	eventMissed = "missed" // replaces it when changes were missed: the agent was restarted, or the follower was away for long
)

// getChanges sends what changes as server-sent events, until the client disconnects. Source: WHATWG HTML, section 9.2.
func (s *Server) getChanges(r *request) (any, error) {
	feed := s.o.Agent.Changes
	if feed == nil {
		return nil, errNotHere
	}
	if r.Stream != "" {
		if err := s.known(r.Stream); err != nil {
			return nil, err
		}
	}
	r.w.Header().Set("Content-Type", typeEvents)
	r.w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return nil, nil
	}
	r.w.Stall = min(r.w.Stall, s.eventStall)
	changed, stop := feed.Watch()
	defer stop()
	position, first := feed.End(), eventBegin
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		first = eventMissed
		if known, ok := changes.ParsePosition(last); ok {
			if _, ok := feed.After(known); ok {
				position, first = known, eventBegin
			}
		}
	}
	_, err := fmt.Fprintf(r.w, "retry: %d\nid: %s\nevent: %s\ndata: {}\n\n", retryAfter.Milliseconds(), position, first)
	heartbeat := time.NewTicker(s.heartbeat)
	defer heartbeat.Stop()
	for err == nil {
		list, ok := feed.After(position)
		if !ok {
			break // too slow: it reconnects, and receives eventMissed
		}
		for _, c := range list {
			position = position.Behind(c)
			if err = s.event(r, position, c); err != nil {
				return nil, nil
			}
		}
		if err = http.NewResponseController(r.w).Flush(); err != nil {
			break
		}
		select {
		case <-r.Context().Done():
			return nil, nil
		case <-changed:
		case <-heartbeat.C:
			_, err = fmt.Fprint(r.w, ": heartbeat\n\n")
		}
	}
	return nil, nil
}

// event sends a change, if it is of the stream that is followed or of the agent.
func (s *Server) event(r *request, id changes.Position, c changes.Change) error {
	if r.Stream != "" && c.Stream != "" && c.Stream != r.Stream {
		return nil
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.w, "id: %s\nevent: %s\ndata: %s\n\n", id, c.Kind, data)
	return err
}
