// Package hlshttp answers the requests of players of HLS: which there are, which parameters each has, and which fields its answer has. It
// must not know where requests come from, nor who may make them.
package hlshttp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hls"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// The fields of answers.
const (
	// HeaderLeftOut is the codec of audio that is not in the media, as browsers do not play it in MP4.
	HeaderLeftOut = "Kvs-Edge-Left-Out"
	// HeaderRecorded is when the first frame of the media was recorded, RFC 3339.
	HeaderRecorded = "Kvs-Edge-Recorded"
)

// ParamAt is the name of the parameter of a keyframe with its time.
const ParamAt = "at"

// Param is a parameter of a route.
type Param struct {
	Name, Doc string
	Required  bool
}

// Request is what the parameters of a request say. At is that of a keyframe.
type Request struct {
	Stream       string
	From, To, At time.Time
	Segment      layout.ID
	Values       url.Values // all of them
}

// Route is one resource, of the name that playlists refer to.
type Route struct {
	Name   string
	Type   string // of the answer
	Doc    string // one sentence
	Params []Param

	serve func(context.Context, *hls.Player, Request, http.ResponseWriter) error
}

// The parameters.
var (
	paramStream  = Param{hls.ParamStream, "The name of a stream that has recordings or is configured.", true}
	paramFrom    = Param{hls.ParamFrom, "The earliest time: RFC 3339, or milliseconds since 1970. Default: what is recorded now.", false}
	paramTo      = Param{hls.ParamTo, "The latest time, exclusive, at most 6 hours after `from`. Default: now.", false}
	paramSegment = Param{hls.ParamSegment, "The `segment` of a list of segments.", true}
	paramTracks  = Param{hls.ParamTracks, "Which tracks a playlist means: also those of a later segment will do.", false}
	paramStart   = Param{hls.ParamStart, "Milliseconds from the start of the segment to a keyframe. Default: 0.", false}
	paramEnd     = Param{hls.ParamEnd, "The same of the keyframe that follows. Default: the end of the segment.", false}
	paramAfter   = Param{hls.ParamFrom, "Only what was recorded after that time, as far as whole GOPs allow. Default: all.", false}
	paramBefore  = Param{hls.ParamTo, "Only what was recorded before that time, as far as whole GOPs allow. Default: all.", false}
	paramAt      = Param{ParamAt, "A time, as `from`. Default: now.", false}
)

// Routes are the resources, in the order in which a player asks for them.
func Routes() []Route {
	list := func(name, doc string, of func(*hls.Player, context.Context, hls.Span) (hls.Playlist, error)) Route {
		return Route{name, hls.TypePlaylist, doc, []Param{paramStream, paramFrom, paramTo}, playlist(of)}
	}
	return []Route{
		list(hls.NameMaster, "The address for a player of HLS: [a stream as it is recorded, or a time range](playing.md).", (*hls.Player).Master),
		list(hls.NameMedia, "The media of that, as a list of media segments of whole GOPs.", (*hls.Player).Media),
		{hls.NameInit, hls.TypeMedia, "What precedes the media of a segment: the description of its tracks.",
			[]Param{paramStream, paramSegment, paramTracks, paramAfter, paramBefore}, resource(initOf)},
		{hls.NamePart, hls.TypeMedia, "The media of a segment from a keyframe to another one, as fragmented MP4.",
			[]Param{paramStream, paramSegment, paramStart, paramEnd, paramAfter, paramBefore}, resource(partOf)},
		{hls.NameFrame, hls.TypeMedia, "The newest keyframe, or the last one up to a time, as a movie of one frame.",
			[]Param{paramStream, paramAt}, resource(keyframeOf)},
	}
}

// Serve answers a request. After an error nothing was written, and the error may be a *hls.Refusal.
func (r Route) Serve(ctx context.Context, p *hls.Player, q Request, w http.ResponseWriter) error {
	return r.serve(ctx, p, q, w)
}

// handler is how a route is served.
type handler = func(context.Context, *hls.Player, Request, http.ResponseWriter) error

func playlist(of func(*hls.Player, context.Context, hls.Span) (hls.Playlist, error)) handler {
	return func(ctx context.Context, p *hls.Player, q Request, w http.ResponseWriter) error {
		out, err := of(p, ctx, hls.Span{Stream: q.Stream, From: q.From, To: q.To})
		if err != nil {
			return err
		}
		if out.LeftOut != "" {
			w.Header().Set(HeaderLeftOut, strconv.QuoteToASCII(out.LeftOut))
		}
		w.Header().Set("Content-Type", hls.TypePlaylist)
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(out.Text) // a reader that is gone needs none
		return nil
	}
}

func initOf(ctx context.Context, p *hls.Player, q Request) (*hls.Resource, error) {
	return p.Init(ctx, hls.Span{Stream: q.Stream, From: q.From, To: q.To}, q.Segment, q.Values.Get(hls.ParamTracks))
}

func partOf(ctx context.Context, p *hls.Player, q Request) (*hls.Resource, error) {
	start, err := offset(q.Values, hls.ParamStart)
	if err != nil {
		return nil, err
	}
	end := hls.UntilEnd
	if q.Values.Has(hls.ParamEnd) {
		if end, err = offset(q.Values, hls.ParamEnd); err != nil {
			return nil, err
		}
		if end <= start {
			return nil, &hls.Refusal{Text: "end is not after start"}
		}
	}
	return p.Part(ctx, hls.Span{Stream: q.Stream, From: q.From, To: q.To}, q.Segment, start, end)
}

func keyframeOf(ctx context.Context, p *hls.Player, q Request) (*hls.Resource, error) {
	return p.Keyframe(ctx, q.Stream, q.At)
}

// offset reads a time within a segment.
func offset(values url.Values, name string) (time.Duration, error) {
	if !values.Has(name) {
		return 0, nil
	}
	ms, err := strconv.ParseUint(values.Get(name), 10, 32)
	if err != nil {
		return 0, &hls.Refusal{Text: name + " must be milliseconds from the start of the segment"}
	}
	return time.Duration(ms) * time.Millisecond, nil
}

func resource(of func(context.Context, *hls.Player, Request) (*hls.Resource, error)) handler {
	return func(ctx context.Context, p *hls.Player, q Request, w http.ResponseWriter) error {
		m, err := of(ctx, p, q)
		if err != nil {
			return err
		}
		defer func() { _ = m.Close() }()
		h := w.Header()
		h.Set("Content-Type", hls.TypeMedia)
		h.Set("Cache-Control", "no-store")
		h.Set(HeaderRecorded, m.Recorded.UTC().Format(time.RFC3339Nano))
		h.Set("Content-Length", strconv.FormatInt(m.Size, 10))
		n, err := m.WriteTo(w)
		switch {
		case err != nil && n > 0:
			panic(http.ErrAbortHandler) // so that it does not look complete
		case err != nil:
			h.Del("Content-Length")
			return fmt.Errorf("cannot read the recording: %w", err)
		}
		return nil
	}
}
