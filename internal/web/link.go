package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
)

// linkPath begins the addresses of links.
const linkPath = "/link/"

// The routes of the local API to which links lead: a file, and the resources of HLS, whose playlists refer to each other by relative
// addresses, so that each carries the token.
const (
	linkedMedia = "v1/media"
	linkedHLS   = "v1/hls/"
	formatHLS   = "hls"
)

// maxPlaylist is how much a playlist of the local API covers.
const maxPlaylist = 6 * time.Hour

// linked says how the range of a request of a link is checked: true where the request names it, and false where it is added, as the
// addresses in playlists have none. What is not here is not for links.
var linked = map[string]bool{linkedMedia: true, linkedHLS + "master.m3u8": true, linkedHLS + "media.m3u8": true,
	linkedHLS + "init.mp4": false, linkedHLS + "media.mp4": false}

// linkRequest is the body of POST /link: of which media a link is to be. Format is mkv, mp4 or hls.
type linkRequest struct {
	Stream string    `json:"stream"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Format string    `json:"format"`
}

// linkAnswer is a link, as a path of this hub.
type linkAnswer struct {
	Path    string    `json:"path"`
	Expires time.Time `json:"expires"`
}

func (s *Server) postLink(w http.ResponseWriter, r *http.Request) {
	var in linkRequest
	if _, ok := s.role(r); !ok {
		refuseUnknown(w)
		return
	}
	if !readJSON(w, r, &in) {
		return
	}
	token, expires, err := s.links.Make(in.Stream, in.From, in.To)
	if err == nil {
		err = in.check()
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "parameter", err.Error())
		return
	}
	values := url.Values{"stream": {in.Stream}, "from": {inAddress(in.From)}, "to": {inAddress(in.To)}}
	path := linkPath + token + "/" + linkedMedia
	if in.Format == formatHLS {
		path = linkPath + token + "/" + linkedHLS + "master.m3u8"
	} else if in.Format != "" {
		values.Set("format", in.Format)
	}
	writeJSON(w, linkAnswer{path + "?" + values.Encode(), expires})
}

// check checks what the token does not know of.
func (in linkRequest) check() error {
	switch in.Format {
	case "", "mkv", "mp4":
		return nil
	case formatHLS:
		if in.To.Sub(in.From) > maxPlaylist {
			return fmt.Errorf("a playlist has at most %.0f hours: mark a shorter range, or make a link to a file", maxPlaylist.Hours())
		}
		return nil
	}
	return fmt.Errorf("the format %q is not known: it is mkv, mp4 or hls", in.Format)
}

// inAddress is how a time is written in the address of a link: in milliseconds, as in playlists.
func inAddress(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// fromAddress reads it; times before 1970 and after 9999 are not there.
func fromAddress(text string) (time.Time, bool) {
	const latest = 253402300799999
	ms, err := strconv.ParseInt(text, 10, 64)
	return time.UnixMilli(ms), err == nil && ms > 0 && ms <= latest
}

// getLinked serves a link: the media that its token is for, to anybody who has it.
func (s *Server) getLinked(w http.ResponseWriter, r *http.Request) {
	grant, ok := s.links.Read(r.PathValue("token"))
	path := r.PathValue("path")
	named, known := linked[path]
	values := r.URL.Query()
	if ok = ok && known && len(values["stream"]) == 1; ok && named {
		from, fromOK := fromAddress(values.Get("from"))
		to, toOK := fromAddress(values.Get("to"))
		ok = fromOK && toOK && len(values["from"]) == 1 && len(values["to"]) == 1 && grant.Covers(values.Get("stream"), from, to)
	} else if ok {
		ok = values.Get("stream") == grant.Stream
		values["from"], values["to"] = []string{inAddress(grant.From)}, []string{inAddress(grant.To)}
	}
	if !ok {
		refuse(w, http.StatusForbidden, "link", "the link is not valid, or older than an hour: make another one in the hub's pages")
		return
	}
	r = r.Clone(r.Context())
	r.URL.RawQuery = values.Encode()
	s.forward(w, r, "/"+path, localapi.Read, "a link of the web pages")
}
