package localapi

import (
	"errors"
	"net/http"

	"github.com/kvs-edge/kvs-edge-agent/internal/hls"
	"github.com/kvs-edge/kvs-edge-agent/internal/hls/hlshttp"
)

const (
	pathPlay    = "/v1/hls/"
	codeNoMedia = "no-media"
)

// playRoutes are those that a player of HLS asks for, one after the other.
func playRoutes() (list []Route) {
	known := map[string]Param{hls.ParamStream: paramStream, hls.ParamFrom: paramFrom, hls.ParamTo: paramTo, hls.ParamSegment: paramSegment,
		hlshttp.ParamAt: paramTo}
	for _, r := range hlshttp.Routes() {
		route := Route{Method: http.MethodGet, Path: pathPlay + r.Name, Type: r.Type, Doc: r.Doc, Most: readers, serve: ofStore(play(r))}
		if r.Type == hls.TypePlaylist {
			route.Answer = ""
		}
		for _, p := range r.Params {
			route.Params = append(route.Params, Param{p.Name, p.Doc, p.Required, known[p.Name].set})
		}
		list = append(list, route)
	}
	return list
}

// play serves a route of HLS.
func play(route hlshttp.Route) func(*Server, *request) (any, error) {
	return func(s *Server, r *request) (any, error) {
		if err := s.known(r.stream); err != nil {
			return nil, err
		}
		q := hlshttp.Request{Stream: r.stream, From: r.from, To: r.to, At: r.to, Segment: r.segment, Values: r.URL.Query()}
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
