package localapi

import (
	"errors"
	"net/http"

	"github.com/kvs-edge/kvs-edge-agent/internal/hls"
	"github.com/kvs-edge/kvs-edge-agent/internal/hls/hlshttp"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/query"
	"github.com/kvs-edge/kvs-edge-agent/internal/lost"
	"github.com/kvs-edge/kvs-edge-agent/internal/overview"
)

const (
	pathPlay     = "/v1/hls/"
	pathOverview = "/v1/overview"
	codeNoMedia  = "no-media"
)

// playRoutes are those that a player of HLS asks for, one after the other, and the overview of what can be played.
func playRoutes() (list []Route) {
	known := map[string]query.Param{hls.ParamStream: query.Stream, hls.ParamFrom: query.From, hls.ParamTo: query.To,
		hls.ParamSegment: query.Segment, hlshttp.ParamAt: query.To}
	for _, r := range hlshttp.Routes() {
		route := Route{Method: http.MethodGet, Path: pathPlay + r.Name, Type: r.Type, Doc: r.Doc, Most: readers, serve: ofStore(play(r))}
		if r.Type == hls.TypePlaylist {
			route.Answer = ""
		}
		for _, p := range r.Params {
			route.Params = append(route.Params, query.Param{Name: p.Name, Doc: p.Doc, Required: p.Required, Set: known[p.Name].Set})
		}
		list = append(list, route)
	}
	return append(list, Route{Method: http.MethodGet, Path: pathOverview, Answer: Overview{}, Most: scans,
		serve: ofStore((*Server).getOverview), Params: []query.Param{query.Stream, query.From, query.To, query.Columns},
		Doc: "What is recorded, uploaded and held in a time range, [in columns](playing.md#overview), with gaps, epochs and events."})
}

// play serves a route of HLS.
func play(route hlshttp.Route) func(*Server, *request) (any, error) {
	return func(s *Server, r *request) (any, error) {
		if err := s.known(r.Stream); err != nil {
			return nil, err
		}
		q := hlshttp.Request{Stream: r.Stream, From: r.From, To: r.To, At: r.To, Segment: r.Segment, Values: r.URL.Query()}
		err := route.Serve(r.Context(), s.player, q, r.w)
		var refusal *hls.Refusal
		switch {
		case !errors.As(err, &refusal):
			return nil, err
		case refusal.Missing && r.URL.Query().Has(hls.ParamSegment):
			return nil, &Error{http.StatusNotFound, codeSegment, refusal.Text}
		case refusal.Missing:
			return nil, &Error{http.StatusNotFound, codeNoMedia, refusal.Text}
		}
		return nil, &Error{http.StatusBadRequest, codeParameter, refusal.Text}
	}
}

// Overview sums up a time range of a stream.
type Overview struct {
	overview.Overview
	// Events are those of the time range, oldest first; of more than 200 the newest.
	Events []Event      `json:"events,omitempty"`
	Lost   []lost.Range `json:"lost,omitempty"` // what was deleted before its upload, oldest first, as far as the agent knows
}

// overviewEvents is how many events an overview lists.
const overviewEvents = 200

func (s *Server) getOverview(r *request) (any, error) {
	if err := s.known(r.Stream); err != nil {
		return nil, err
	}
	all, err := overview.Of(r.Context(), s.o.Store, overview.Request{Stream: r.Stream, From: r.From, To: r.To, Columns: r.Columns}, s.now())
	if err != nil {
		return nil, err
	}
	out := Overview{Overview: all, Lost: s.lost(r.Stream, all.From, all.To)}
	for i, g := range out.Gaps {
		out.Gaps[i].Cause, _ = s.gapCause(r.Stream, g.From, g.To, out.Lost)
	}
	if s.o.Agent.Events != nil {
		out.Events = s.o.Agent.Events(r.Stream, out.From, out.To, overviewEvents)
	}
	return out, nil
}
