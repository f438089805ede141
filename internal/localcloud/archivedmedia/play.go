package archivedmedia

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia/hls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia/playable"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/calls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// hlsPath is in front of the names of a session's resources.
const hlsPath = "/hls/v1/"

// IsSession reports whether a path is that of a session's resources.
func IsSession(path string) bool { return strings.HasPrefix(path, hlsPath) }

// resource is one that players ask for.
type resource struct {
	operation string // as the developer guide names it
	kind      string // of content
	read      func(*play) ([]byte, error)
}

var resources = map[string]resource{
	hls.MasterPlaylist: {"GetHLSMasterPlaylist", hls.ContentType, (*play).master},
	hls.MediaPlaylist:  {"GetHLSMediaPlaylist", hls.ContentType, (*play).media},
	hls.InitFragment:   {"GetMP4InitFragment", "video/mp4", (*play).initFragment},
	hls.MediaFragment:  {"GetMP4MediaFragment", "video/mp4", (*play).mediaFragment},
	hls.TSFragment:     {"GetTSFragment", "video/MP2T", (*play).tsFragment},
}

// play is a request of a player.
type play struct {
	service *Service
	session session
	token   string
	request *http.Request
	info    media.StreamInfo
	stored  []Fragment
}

// ServeHTTP answers players, who have a token in place of a signature. It implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := calls.Of(r.Context())
	call.Service, call.Operation = awsapi.KVS, "request of a session"
	w.Header().Set("Access-Control-Allow-Origin", "*") // players are pages of anybody
	found, known := resources[strings.TrimPrefix(r.URL.Path, hlsPath)]
	var body []byte
	err := error(awsapi.UnknownOperation(strings.TrimPrefix(r.URL.Path, "/")))
	if known {
		call.Operation = found.operation
		body, err = s.serve(found, call, r)
	}
	protocol := awsapi.REST
	if err == nil {
		protocol.ContentType = found.kind
	}
	s.o.Log.Answer(w, call, protocol, body, err)
}

func (s *Service) serve(what resource, call *calls.Call, r *http.Request) ([]byte, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, awsapi.Errorf(http.StatusMethodNotAllowed, "UnsupportedOperationException", "the method", "players GET what a session has")
	}
	token := r.URL.Query().Get("SessionToken")
	of, ok := s.open(token)
	switch {
	case !ok:
		return nil, awsapi.Forbidden(kvsmodel.NotAuthorized, "SessionToken", "Streaming session token is invalid")
	case of.expired(s.o.Now()):
		return nil, awsapi.Forbidden(kvsmodel.NotAuthorized, "SessionToken", "Streaming session token is expired")
	}
	info, found := s.o.Streams.Stream(of.Stream)
	if !found || info.ARN != of.Stream {
		return nil, awsapi.Errorf(http.StatusNotFound, kvsmodel.ResourceNotFound, "the session", "The stream of the session is not found.")
	}
	call.Resource = info.Name
	return what.read(&play{service: s, session: of, token: token, request: r, info: info, stored: s.stored(info)})
}

// tracks are those of the session.
func (p *play) tracks() (playable.Tracks, error) { return p.service.tracks(p.stored, p.session.First) }

func (p *play) window() (window, error) {
	w := p.session.window(p.stored, p.service.o.Now())
	if w.from == w.to {
		return w, noFragments("the session", "those that it had are no longer retained")
	}
	return w, nil
}

func (p *play) master() ([]byte, error) {
	tracks, err := p.tracks()
	if err != nil {
		return nil, err
	}
	w, err := p.window()
	if err != nil {
		return nil, err
	}
	m := hls.Master{Token: p.token, Width: tracks[0].Width, Height: tracks[0].Height, Track: tracks[0].Number}
	for _, t := range tracks {
		m.Codecs = append(m.Codecs, t.Name)
	}
	switch {
	case p.session.TS:
		m.Track = 0
	case len(tracks) > 1:
		m.Audio = tracks[1].Number
	}
	for i := w.from; i < w.to; i++ {
		f := w.all[i]
		m.Bandwidth = max(m.Bandwidth, int64(float64(f.Bytes*8)/w.lengths[i].Seconds()))
		if f.Frames > 1 && m.FrameRate == 0 && tracks[0].Video {
			m.FrameRate = float64(f.Frames) / w.lengths[i].Seconds()
		}
	}
	return []byte(m.String()), nil
}

func (p *play) media() ([]byte, error) {
	w, err := p.window()
	if err != nil {
		return nil, err
	}
	m := hls.Media{Token: p.token, Sequence: w.from, VOD: p.session.Mode == modeOnDemand, Ended: w.ended}
	if !p.session.TS {
		track, err := p.track()
		if err != nil {
			return nil, err
		}
		m.Track = track.Number
	}
	for i := range w.to {
		mark := p.session.discontinuity(w, i)
		if i < w.from {
			if mark {
				m.Discontinuities++
			}
			continue
		}
		e := hls.Entry{Number: w.all[i].Number, Length: w.lengths[i], Discontinuity: mark}
		if p.session.Dates {
			e.At = p.session.at(w.all[i])
		}
		m.Entries = append(m.Entries, e)
	}
	return []byte(m.String()), nil
}

// track finds that of the request.
func (p *play) track() (*playable.Track, error) {
	tracks, err := p.tracks()
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(p.request.URL.Query().Get("TrackNumber"), 10, 64)
	if err != nil {
		return nil, invalid("TrackNumber", "TrackNumber must be the number of a track")
	}
	track, found := tracks.ByNumber(number)
	if !found {
		return nil, invalid("TrackNumber", "the session has no track %d", number)
	}
	return track, nil
}

func (p *play) initFragment() ([]byte, error) {
	track, err := p.track()
	if err != nil {
		return nil, err
	}
	return track.Init()
}

// fragment finds that of the request, and when it begins in the session.
func (p *play) fragment() (f Fragment, at int, after, length time.Duration, err error) {
	w, err := p.window()
	if err != nil {
		return f, 0, 0, 0, err
	}
	at = w.all[:w.to].index(p.request.URL.Query().Get("FragmentNumber"))
	if at < 0 || !p.info.Retains(w.all[at], p.service.o.Now()) {
		return f, 0, 0, 0, awsapi.Errorf(http.StatusNotFound, kvsmodel.ResourceNotFound, "FragmentNumber",
			"The fragment is not one of the session, or no longer retained.")
	}
	f = w.all[at]
	return f, at, p.session.at(f).Sub(time.UnixMilli(p.session.Zero)), w.lengths[at], p.sameTracks(f)
}

func (p *play) mediaFragment() ([]byte, error) {
	track, err := p.track()
	if err != nil {
		return nil, err
	}
	f, at, after, length, err := p.fragment()
	if err != nil {
		return nil, err
	}
	files := p.service.o.Store.Reader()
	defer files.Close()
	samples, err := track.Samples(files, f)
	if err != nil {
		return nil, err
	}
	return track.Part(samples, uint32(at+1), after, length)
}

func (p *play) tsFragment() ([]byte, error) {
	tracks, err := p.tracks()
	if err != nil {
		return nil, err
	}
	f, _, after, _, err := p.fragment()
	if err != nil {
		return nil, err
	}
	files := p.service.o.Store.Reader()
	defer files.Close()
	return tracks.TransportStream(files, f, after)
}

// sameTracks checks that a fragment has the tracks with which the session began.
func (p *play) sameTracks(f Fragment) error {
	first, err := p.tracks()
	if err != nil {
		return err
	}
	tracks, err := p.service.tracks([]Fragment{f}, f.Number)
	if err != nil {
		return err
	}
	if !tracks.Same(first) {
		return awsapi.Errorf(http.StatusBadRequest, kvsmodel.InvalidCodecPrivate, "FragmentNumber",
			"The fragment %s has other tracks or other codec private data than the first fragment of the session.", f.Number)
	}
	return nil
}
