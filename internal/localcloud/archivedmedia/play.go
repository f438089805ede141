package archivedmedia

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia/dash"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia/hls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia/playable"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/calls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// hlsPath and dashPath are in front of the names of a session's resources.
const (
	hlsPath  = "/hls/v1/"
	dashPath = "/dash/v1/"
)

// IsSession reports whether a path is that of a session's resources.
func IsSession(path string) bool {
	return strings.HasPrefix(path, hlsPath) || strings.HasPrefix(path, dashPath)
}

// resource is one that players ask for.
type resource struct {
	operation string // as the developer guide names it
	kind      string // of content
	read      func(*play) ([]byte, error)
}

// What players ask for, as the developer guide names it.
const (
	opManifest = "GetDASHManifest"
	opMaster   = "GetHLSMasterPlaylist"
	opPlaylist = "GetHLSMediaPlaylist"
	opInit     = "GetMP4InitFragment"
	opFragment = "GetMP4MediaFragment"
	opTS       = "GetTSFragment"
)

// resources are all that sessions have, by path.
var resources = map[string]resource{
	hlsPath + hls.MasterPlaylist:  {opMaster, hls.ContentType, (*play).master},
	hlsPath + hls.MediaPlaylist:   {opPlaylist, hls.ContentType, (*play).media},
	hlsPath + hls.InitFragment:    {opInit, typeMP4, (*play).initFragment},
	hlsPath + hls.MediaFragment:   {opFragment, typeMP4, (*play).mediaFragment},
	hlsPath + hls.TSFragment:      {opTS, "video/MP2T", (*play).tsFragment},
	dashPath + dash.Manifest:      {opManifest, dash.ContentType, (*play).manifest},
	dashPath + dash.InitFragment:  {opInit, typeMP4, (*play).initFragment},
	dashPath + dash.MediaFragment: {opFragment, typeMP4, (*play).mediaFragment},
}

// typeMP4 is the content type of MP4.
const typeMP4 = "video/mp4"

// play is a request of a player.
type play struct {
	service *Service
	session session
	token   string
	request *http.Request
	info    media.StreamInfo
	stored  []Fragment
	first   playable.Tracks // once they are asked for: see tracks
}

// ServeHTTP answers players, who have a token in place of a signature. It implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := calls.Of(r.Context())
	call.Service, call.Operation = awsapi.KVS, "request of a session"
	w.Header().Set("Access-Control-Allow-Origin", "*") // players are pages of anybody
	found, known := resources[r.URL.Path]
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
	case !ok || of.DASH != strings.HasPrefix(r.URL.Path, dashPath):
		return nil, awsapi.Forbidden(kvsmodel.NotAuthorized, "SessionToken", "Streaming session token is invalid")
	case of.expired(s.o.Now()):
		return nil, awsapi.Forbidden(kvsmodel.NotAuthorized, "SessionToken", "Streaming session token is expired")
	}
	info, found := s.o.Streams.Stream(of.Stream)
	if !found || info.ARN != of.Stream {
		return nil, awsapi.Errorf(http.StatusNotFound, kvsmodel.ResourceNotFound, "the session", "The stream of the session is not found.")
	}
	call.Resource = info.Name
	if s.o.AsAWS {
		if err := s.admitPlayer(what.operation, token, of, info); err != nil {
			return nil, err
		}
	}
	return what.read(&play{service: s, session: of, token: token, request: r, info: info, stored: s.stored(info)})
}

// admitPlayer counts a request of a player, who uses the quotas of the stream too.
func (s *Service) admitPlayer(operation, token string, of session, info media.StreamInfo) error {
	err := s.quotas.admitPlayer(operation, token)
	switch {
	case err != nil:
		return err
	case operation == opManifest || operation == opPlaylist:
		return s.quotas.lookUp(info.Name, of.Max)
	case operation == opFragment || operation == opTS:
		return s.quotas.read(info.Name, 1)
	}
	return nil
}

// tracks are those of the session, which are read once.
func (p *play) tracks() (tracks playable.Tracks, err error) {
	if p.first == nil {
		p.first, err = p.service.tracks(p.stored, p.session.First)
	}
	return p.first, err
}

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
	m.Bandwidth = w.bandwidth()
	if tracks[0].Video {
		m.FrameRate = w.frameRate()
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
	inits := p.service.inits(w)
	for i := range w.to {
		mark := p.session.discontinuity(w, i) || i > 0 && inits[i] != inits[i-1]
		if i < w.from {
			if mark {
				m.Discontinuities++
			}
			continue
		}
		e := hls.Entry{Init: inits[i], Number: w.all[i].Number, Length: w.lengths[i], Discontinuity: mark}
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

// initFragment is that of the codec private data of a fragment of the session, 0 the first one: in HLS they may change.
func (p *play) initFragment() ([]byte, error) {
	track, err := p.track()
	if err != nil {
		return nil, err
	}
	number := p.request.URL.Query().Get("SequenceNumber")
	if p.session.DASH || number == "" || number == "0" {
		return track.Init()
	}
	w, err := p.window()
	if err != nil {
		return nil, err
	}
	at, err := strconv.Atoi(number)
	if err != nil || at < 0 || at >= w.to {
		return nil, invalid("SequenceNumber", "the session has no initialization fragment %q", number)
	}
	tracks, err := p.tracksAt(w, at)
	if err != nil {
		return nil, err
	}
	if track, found := tracks.ByNumber(track.Number); found {
		return track.Init()
	}
	return nil, invalid("TrackNumber", "the fragment has no track %d", track.Number)
}

// placed is a fragment at its place in a session.
type placed struct {
	Fragment
	tracks        playable.Tracks
	at            int           // in the selection
	after, length time.Duration // since the start of the session
}

// fragment finds that of the request.
func (p *play) fragment() (placed, error) {
	w, err := p.window()
	if err != nil {
		return placed{}, err
	}
	name, at := "FragmentNumber", -1
	if p.session.DASH {
		name = "SequenceNumber"
		at = w.inSequence(p.request.URL.Query().Get(name))
	} else {
		at = w.all[:w.to].index(p.request.URL.Query().Get(name))
	}
	if at < 0 || !p.info.Retains(w.all[at], p.service.o.Now()) {
		return placed{}, awsapi.Errorf(http.StatusNotFound, kvsmodel.ResourceNotFound, name,
			"The fragment is not one of the session, or no longer retained.")
	}
	tracks, err := p.tracksAt(w, at)
	if err != nil {
		return placed{}, err
	}
	f := placed{Fragment: w.all[at], at: at, tracks: tracks, after: p.session.at(w.all[at]).Sub(time.UnixMilli(p.session.Zero)),
		length: w.lengths[at]}
	if p.session.DASH {
		f.after = w.start(at)
	}
	return f, nil
}

func (p *play) mediaFragment() ([]byte, error) {
	first, err := p.track()
	if err != nil {
		return nil, err
	}
	f, err := p.fragment()
	if err != nil {
		return nil, err
	}
	track, _ := f.tracks.ByNumber(first.Number) // all fragments have the tracks of the first one
	files := p.service.o.Store.Reader()
	defer files.Close()
	samples, err := track.Samples(files, f.Fragment)
	if err != nil {
		return nil, err
	}
	return track.Part(samples, uint32(f.at+1), f.after, f.length)
}

func (p *play) tsFragment() ([]byte, error) {
	f, err := p.fragment()
	if err != nil {
		return nil, err
	}
	files := p.service.o.Store.Reader()
	defer files.Close()
	return f.tracks.TransportStream(files, f.Fragment, f.after)
}
