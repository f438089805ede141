package localapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/evidence"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/export"
)

// typeZip is the type of an archive.
const typeZip = "application/zip"

// Evidence is what belongs into an archive of evidence beside the media, and of which time the media is to be exported as Matroska.
type Evidence struct {
	From        time.Time `json:"from"`
	To          time.Time `json:"to"`
	Manifest    []byte    `json:"manifest"`
	Signature   []byte    `json:"signature"`
	Certificate []byte    `json:"certificate"`
	// Sums are what an archive needs that is sent while its media is exported.
	Sums evidence.Sums `json:"-"`
}

// getEvidence reads the media of a time range and signs what it is.
func (s *Server) getEvidence(r *request) (any, error) {
	made, err := s.evidence(r)
	if err != nil {
		return nil, err
	}
	return made, nil
}

func (s *Server) evidence(r *request) (made Evidence, err error) {
	if s.o.Agent.Evidence == nil {
		return made, errNotHere
	}
	if err := s.known(r.Stream); err != nil {
		return made, err
	}
	made, err = s.o.Agent.Evidence(r.Context(), Span{Stream: r.Stream, From: r.From, To: r.To})
	if err != nil {
		return made, noMedia(err)
	}
	return made, nil
}

// getArchive sends an archive of evidence: its media is read twice, first for what is signed and then for what is sent. Media that was
// deleted or changed in between cuts the answer off, so that it does not look complete.
func (s *Server) getArchive(r *request) (any, error) {
	if r.Method == http.MethodHead {
		return nil, s.evidenceReady(r)
	}
	made, err := s.evidence(r)
	if err != nil {
		return nil, err
	}
	out, err := evidence.NewSending(r.w, evidence.Signed{Manifest: made.Manifest, Signature: made.Signature, Certificate: made.Certificate},
		made.Sums)
	if err != nil {
		return nil, err
	}
	h := r.w.Header()
	h.Set("Content-Type", typeZip)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.FormatInt(out.Size(), 10))
	r.w.Stall = max(r.w.Stall, s.mediaStall)
	_, err = export.Run(r.Context(), s.o.Store, export.Options{Stream: r.Stream, From: made.From, To: made.To}, out)
	if err == nil {
		err = out.Finish()
	}
	switch {
	case err != nil && out.Began():
		if r.Context().Err() == nil {
			logevent.MediaCut.Log(s.o.Log, zap.String("stream", r.Stream), zap.Error(err))
		}
		panic(http.ErrAbortHandler)
	case err != nil:
		h.Del("Content-Length")
		return nil, noMedia(err)
	}
	return nil, nil
}

// evidenceReady answers whether evidence can be made, without reading media for it.
func (s *Server) evidenceReady(r *request) error {
	if s.o.Agent.Evidence == nil {
		return errNotHere
	}
	if err := s.known(r.Stream); err != nil {
		return err
	}
	if s.o.Agent.EvidenceReady != nil {
		if err := s.o.Agent.EvidenceReady(r.Stream); err != nil {
			return noMedia(err)
		}
	}
	r.w.Header().Set("Content-Type", typeZip)
	r.w.Header().Set("Cache-Control", "no-store")
	return nil
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
