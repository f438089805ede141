package archivedmedia

import (
	"net/http"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia/playable"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
)

// mostChanges is how often the codec private data may change within a session of HLS (developer guide, "Video playback track
// requirements").
const mostChanges = 500

// inits lists, for each fragment of a window, the first one of those in front of it that have the same codec private data: their
// initialization fragment has its number. Fragments whose tracks cannot be read have that of the one in front of them.
func (s *Service) inits(w window) []int {
	files := s.o.Store.Reader()
	defer files.Close()
	known := map[string]playable.Tracks{} // by file: all fragments of one have the same
	out := make([]int, w.to)
	last, init := playable.Tracks(nil), 0
	for i, f := range w.all[:w.to] {
		tracks, read := known[f.File]
		if !read {
			if err := files.Open(f); err == nil {
				tracks, _ = playable.TracksOf(files.Header())
			}
			known[f.File] = tracks
		}
		switch {
		case tracks == nil:
		case last == nil:
			last = tracks
		case !last.Same(tracks):
			last, init = tracks, i
		}
		out[i] = init
	}
	return out
}

// changes is how often an initialization fragment follows another one, up to a fragment.
func changes(inits []int, at int) (n int) {
	for i := 1; i <= at; i++ {
		if inits[i] != inits[i-1] {
			n++
		}
	}
	return n
}

// tracksAt are those of a fragment of the session, if they fit those of its first one. In HLS their codec private data may differ.
func (p *play) tracksAt(w window, at int) (playable.Tracks, error) {
	first, err := p.tracks()
	if err != nil {
		return nil, err
	}
	f := w.all[at]
	tracks, err := p.service.tracks([]Fragment{f}, f.Number)
	refuse := func(why string) error {
		return awsapi.Errorf(http.StatusBadRequest, kvsmodel.InvalidCodecPrivate, "the fragment", "The fragment %s %s.", f.Number, why)
	}
	switch {
	case err != nil:
		return nil, err
	case !tracks.Alike(first):
		return nil, refuse("has other tracks than the first fragment of the session")
	case tracks.Same(first):
		return tracks, nil
	case p.session.DASH:
		return nil, refuse("has other codec private data than the first fragment of the session")
	case changes(p.service.inits(w), at) > mostChanges:
		return nil, refuse("follows more than 500 changes of codec private data in its session")
	}
	return tracks, nil
}
