package localapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/export"
)

// The types of media.
const (
	typeMatroska = "video/x-matroska"
	typeMP4      = "video/mp4"
)

var mediaTypes = map[export.Format]string{export.Matroska: typeMatroska, export.MP4: typeMP4}

// The fields around media. What is known at its end only is in the trailer, for clients that say `TE: trailers`.
const (
	headerMediaBytes  = "Kvs-Edge-Media-Bytes" // of the fragments, as far as is known at the start
	headerIndexBytes  = "Kvs-Edge-Index-Bytes" // of a file of MP4 at most; 0 for Matroska
	trailerMedia      = "Kvs-Edge-Media"       // Media as JSON
	maxTrailer        = 1 << 20                // bytes of a trailer that a Client reads
	maxMediaGaps      = 2000                   // of those in Media, so that it fits
	maxGapBytes       = 200                    // of one as JSON
	maxMediaDamage    = 500
	maxMediaChanged   = 100
	maxDamageBytes    = 1000
	mediaTrailerSlack = maxTrailer - maxMediaGaps*maxGapBytes - (maxMediaDamage+maxMediaChanged)*maxDamageBytes
)

var _ [mediaTrailerSlack]struct{} // what is bounded fits

// Media says what a stream of media held, when it is complete.
type Media struct {
	From      time.Time   `json:"from"`
	To        time.Time   `json:"to"`
	Fragments int         `json:"fragments"`
	Bytes     int64       `json:"bytes"`
	Gaps      []MediaGap  `json:"gaps,omitempty"`
	Damaged   []LostMedia `json:"damaged,omitempty"`
	// Changed is media that differs from what was recorded, and is in the stream as it is now.
	Changed []LostMedia  `json:"changed,omitempty"`
	Patches []MediaPatch `json:"patches,omitempty"`
	// LeftOut are the codecs of audio that is not in it, as players do not play them in this format.
	LeftOut     []string `json:"leftOut,omitempty"`
	AudioTracks int      `json:"audioTracks,omitempty"`
	// Error says why it is not complete.
	Error string `json:"error,omitempty"`
	// More says that there were more gaps, or more damage, than are listed.
	More bool `json:"more,omitempty"`
}

// MediaGap is a time without media. Deleted says that there was some when the request began.
type MediaGap struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Deleted bool      `json:"deleted,omitempty"`
}

// LostMedia was recorded, and cannot be read or was changed since.
type LostMedia struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Path string    `json:"path"`
}

// MediaPatch takes the place of bytes of the stream that were sent already: a file that has them can be sought in.
type MediaPatch = export.Patch

// getMedia streams what was recorded in a time range as one file. It is read as fast as the reader takes it, a
// fragment at a time, and one segment is kept from being deleted at most.
func (s *Server) getMedia(r *request) (any, error) {
	if err := s.known(r.Stream); err != nil {
		return nil, err
	}
	r.w.Header().Set("Accept-Ranges", "none")
	r.w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		r.w.Header().Set("Content-Type", mediaTypes[r.Format])
		return nil, nil
	}
	r.w.Stall = max(r.w.Stall, s.mediaStall)
	wantsTrailer := strings.Contains(strings.ToLower(r.Header.Get("TE")), "trailers")
	out := export.NewStream(r.w, func() {
		r.w.Header().Set("Content-Type", mediaTypes[r.Format])
		if wantsTrailer {
			r.w.Header().Set("Trailer", trailerMedia)
		}
	})
	done, err := export.Run(r.Context(), s.o.Store, export.Options{
		Stream: r.Stream, From: r.From, To: r.To, Format: r.Format,
		Planned: func(p export.Plan) {
			r.w.Header().Set(headerMediaBytes, strconv.FormatInt(p.Bytes, 10))
			r.w.Header().Set(headerIndexBytes, strconv.FormatInt(p.IndexBytes, 10))
		},
	}, out)
	if err != nil && out.Size() == 0 {
		return nil, noMedia(err)
	}
	if err != nil && r.Context().Err() == nil {
		logevent.MediaCut.Log(s.o.Log, zap.String("stream", r.Stream), zap.Error(err))
	}
	if err != nil && !wantsTrailer {
		panic(http.ErrAbortHandler) // so that it does not look complete
	}
	if wantsTrailer {
		media := mediaOf(done, out.Patches())
		if err != nil {
			media.Error = health.Clean(err.Error(), health.MaxText)
		}
		trailer, err := json.Marshal(media)
		if err != nil {
			return nil, err
		}
		r.w.Header().Set(trailerMedia, string(trailer))
	}
	return nil, nil
}

// noMedia is the answer when there is nothing to send.
func noMedia(err error) error {
	var fault *health.Fault
	switch {
	case errors.Is(err, export.ErrFormat):
		return &Error{http.StatusConflict, export.Code, err.Error()}
	case errors.As(err, &fault) && fault.Code == export.Code:
		return &Error{http.StatusNotFound, export.Code, fault.Error()}
	}
	return err
}

func mediaOf(done export.Result, patches []MediaPatch) Media {
	m := Media{From: done.From, To: done.To, Fragments: done.Fragments, Bytes: done.Bytes, Patches: patches, LeftOut: done.LeftOut,
		AudioTracks: done.AudioTracks}
	for _, g := range done.Gaps {
		if m.More = m.More || len(m.Gaps) == maxMediaGaps; !m.More {
			m.Gaps = append(m.Gaps, MediaGap{g.From, g.To, g.Deleted})
		}
	}
	m.Damaged = m.lost(done.Damaged, maxMediaDamage)
	m.Changed = m.lost(done.Changed, maxMediaChanged)
	return m
}

// lost lists at most that many, and notes when there are more.
func (m *Media) lost(all []export.Damage, most int) (list []LostMedia) {
	for _, d := range all {
		if len(list) == most || len(d.Path) > maxDamageBytes/2 {
			m.More = true
			continue
		}
		list = append(list, LostMedia{d.From, d.To, d.Path})
	}
	return list
}
