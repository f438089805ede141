package localapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"
)

// Evidence is what belongs into an archive of evidence beside the media, and of which time the media is to be exported as Matroska.
type Evidence struct {
	From        time.Time `json:"from"`
	To          time.Time `json:"to"`
	Manifest    []byte    `json:"manifest"`
	Signature   []byte    `json:"signature"`
	Certificate []byte    `json:"certificate"`
}

// getEvidence reads the media of a time range and signs what it is.
func (s *Server) getEvidence(r *request) (any, error) {
	if s.o.Agent.Evidence == nil {
		return nil, errNotHere
	}
	if err := s.known(r.stream); err != nil {
		return nil, err
	}
	made, err := s.o.Agent.Evidence(r.Context(), Span{Stream: r.stream, From: r.from, To: r.to})
	if err != nil {
		return nil, noMedia(err)
	}
	return made, nil
}

// ErrOlderEvidence means that the agent is of an earlier version.
var ErrOlderEvidence = errors.New("the running agent is of an earlier version, which makes no evidence: restart it")

// maxEvidence bounds what is read of an answer with evidence: the manifest takes a third more in it.
const maxEvidence = 100 << 20

// Evidence has the agent make evidence of a span, which takes as long as reading its media.
func (c *Client) Evidence(ctx context.Context, span Span) (e Evidence, err error) {
	resp, err := c.open(ctx, pathEvidence, span.values(), false)
	if errors.Is(err, ErrOlder) {
		return e, ErrOlderEvidence
	}
	if err != nil {
		return e, err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxEvidence)).Decode(&e); err != nil {
		return e, c.broken(ctx, "the evidence was made", err)
	}
	return e, nil
}
