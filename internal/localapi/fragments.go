package localapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
)

// Fragment is a part of a segment that begins at a keyframe, and is uploaded as one.
type Fragment struct {
	Segment string `json:"segment"`
	// Start and End are when its first and its last frame were recorded.
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// Offset and Bytes say where it is in the segment's file: a whole Matroska cluster.
	Offset   int64 `json:"offset"`
	Bytes    int64 `json:"bytes"`
	Frames   int   `json:"frames"` // of video
	Keyframe bool  `json:"keyframe"`
	// State is pending, uploaded or refused.
	State string `json:"state"`
}

// FragmentPage is a page of a list of fragments, oldest first.
type FragmentPage struct {
	Fragments []Fragment `json:"fragments"`
	// Unreadable are the segments that could not be read, or not to their end.
	Unreadable []string `json:"unreadable,omitempty"`
	// Next is the parameter after of the next page; "" for none.
	Next string `json:"next,omitempty"`
}

// The states of fragments.
const (
	statePending  = "pending"
	stateUploaded = "uploaded"
)

// segmentsAtOnce is how many segments are looked up at once for their fragments.
const segmentsAtOnce = 100

// fragmentList gathers a page of fragments.
type fragmentList struct {
	*request
	store   *segment.Store
	refused map[segment.Key]map[time.Duration]bool
	page    FragmentPage
}

func (s *Server) getFragments(r *request) (any, error) {
	if err := s.known(r.Stream); err != nil {
		return nil, err
	}
	l := fragmentList{request: r, store: s.o.Store, page: FragmentPage{Fragments: []Fragment{}}}
	l.refused = make(map[segment.Key]map[time.Duration]bool)
	for _, f := range s.o.Store.Refused(r.Stream) {
		if l.refused[f.Key] == nil {
			l.refused[f.Key] = make(map[time.Duration]bool)
		}
		l.refused[f.Key][f.Fragment.Start] = true
	}
	for first := streams.KeyOf(r.Stream, r.After); ; {
		list := s.o.Store.SegmentsFrom(first, r.From, r.To, segmentsAtOnce)
		for _, info := range list {
			if err := r.Context().Err(); err != nil {
				return nil, err
			}
			if full := l.segment(info); full {
				return l.page, nil
			}
		}
		if len(list) < segmentsAtOnce {
			return l.page, nil
		}
		first = streams.KeyOf(r.Stream, list[len(list)-1].ID().Next())
	}
}

// segment adds the fragments of a segment, and reports whether the page is full.
func (l *fragmentList) segment(info segment.Info) (full bool) {
	r, err := l.store.OpenSegmentWhile(l.Context(), info.Key)
	var list []mkv.Fragment
	if err == nil {
		defer func() { _ = r.Close() }()
		list, _, err = r.Fragments()
	}
	if err != nil && !errors.Is(err, segment.ErrNotFound) && info.State != segment.Writing {
		l.page.Unreadable = append(l.page.Unreadable, info.ID().String())
	}
	name := info.ID().String()
	for i, f := range list {
		if l.Resumes && info.ID() == l.After && i < l.Skip {
			continue
		}
		start, end := r.RecordedAt(f.Start), r.RecordedAt(f.Last)
		if !l.From.IsZero() && end.Before(l.From) || !l.To.IsZero() && !start.Before(l.To) {
			continue
		}
		if len(l.page.Fragments) == l.Limit {
			l.page.Next = fmt.Sprintf("%s/%d", name, i)
			return true
		}
		state := statePending
		switch {
		case l.refused[info.Key][f.Start]:
			state = stateRefused
		case l.store.Done(info.Key, f.Start):
			state = stateUploaded
		}
		l.page.Fragments = append(l.page.Fragments, Fragment{
			Segment: name, Start: start, End: end, Offset: f.Offset, Bytes: f.Size, Frames: f.Frames, Keyframe: f.Keyframe, State: state,
		})
	}
	return false
}

// getSegment answers with the file of a segment, or with a range of it. One that is being written ends with its last
// complete fragment.
func (s *Server) getSegment(r *request) (any, error) {
	if err := s.known(r.Stream); err != nil {
		return nil, err
	}
	key := streams.KeyOf(r.Stream, r.Segment)
	found := s.o.Store.SegmentsFrom(key, time.Time{}, time.Time{}, 1)
	reader, err := s.o.Store.OpenSegmentWhile(r.Context(), key)
	switch {
	case errors.Is(err, segment.ErrNotFound) || err == nil && (len(found) == 0 || found[0].Key != key):
		return nil, &Error{http.StatusNotFound, codeSegment, "there is no such segment: it was deleted, or never there"}
	case err != nil:
		return nil, err
	}
	defer func() { _ = reader.Close() }()
	size := found[0].Bytes
	if found[0].State == segment.Writing {
		size = 0
		if list, _, err := reader.Fragments(); err == nil && len(list) > 0 {
			size = list[len(list)-1].Offset + list[len(list)-1].Size
		}
	}
	r.w.Header().Set("Content-Type", typeMatroska)
	r.w.Header().Set("ETag", fmt.Sprintf(`"%s-%d-%d"`, r.Segment, found[0].State, size))
	http.ServeContent(r.w, r.Request, "", time.Time{}, io.NewSectionReader(reader, 0, size))
	return nil, nil
}
