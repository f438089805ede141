package localapi

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
)

// RecordedStream is a stream that has recordings.
type RecordedStream struct {
	Stream           string    `json:"stream"`
	Segments         int       `json:"segments"`
	UsedBytes        int64     `json:"usedBytes"`
	QuarantineBytes  int64     `json:"quarantineBytes,omitempty"` // of usedBytes: unreadable files that were set aside
	NotUploadedBytes int64     `json:"notUploadedBytes"`
	HeldBytes        int64     `json:"heldBytes,omitempty"` // of usedBytes: kept by holds
	Holds            int       `json:"holds,omitempty"`
	Oldest           time.Time `json:"oldest,omitzero"`
	Newest           time.Time `json:"newest,omitzero"`
}

// Segment is one recording.
type Segment struct {
	Stream string `json:"stream"`
	// Segment names it among those of its stream.
	Segment      string    `json:"segment,omitempty"`
	Start        time.Time `json:"start"`
	End          time.Time `json:"end"`
	Bytes        int64     `json:"bytes"`
	State        string    `json:"state"` // writing, sealed, uploaded, refused
	PendingBytes int64     `json:"pendingBytes"`
	// RefusedFragments and RefusedBytes are not uploaded, as the service refused them; in any state.
	RefusedFragments int   `json:"refusedFragments,omitempty"`
	RefusedBytes     int64 `json:"refusedBytes,omitempty"`
	// Held says that a hold keeps it from being deleted.
	Held bool `json:"held,omitempty"`
	// ClockUnset says that it was recorded before the hub's clock was set; RealStart is its start
	// then, when it is known.
	ClockUnset bool       `json:"clockUnset,omitempty"`
	RealStart  *time.Time `json:"realStart,omitempty"`
	// Epoch counts how often the stream's times had to go back. ClockAhead says that it was recorded by a clock that
	// was ahead; RealStart is its start in that case as well.
	Epoch      uint32 `json:"epoch,omitempty"`
	ClockAhead bool   `json:"clockAhead,omitempty"`
	// RecordedFrom and RecordedTo are when it was recorded, when that is not start and end. Without RealStart it is not
	// known: then they are what is likely, and RecordedTo is not before it was.
	RecordedFrom *time.Time `json:"recordedFrom,omitempty"`
	RecordedTo   *time.Time `json:"recordedTo,omitempty"`
	// GapSeconds is how long nothing was recorded before it.
	GapSeconds float64 `json:"gapSeconds,omitempty"`
	// Gaps are those within it. GapsUnknown says that it was not read for them.
	Gaps        []SegmentGap `json:"gaps,omitempty"`
	GapsUnknown bool         `json:"gapsUnknown,omitempty"`
}

// SegmentGap is a time within a recording in which nothing was recorded.
type SegmentGap struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Seconds float64   `json:"seconds"`
}

// SegmentPage is a page of a list of segments, oldest first.
type SegmentPage struct {
	Segments []Segment `json:"segments"`
	// Read is how many of earlier versions were read for the gaps within them.
	Read int `json:"read,omitempty"`
	// Next is the parameter after of the next page; "" for none.
	Next string `json:"next,omitempty"`
}

// Recorded is when it was recorded, as far as is known.
func (l Segment) Recorded() (from, to time.Time) {
	if l.RecordedFrom == nil {
		return l.Start, l.End
	}
	return *l.RecordedFrom, *l.RecordedTo
}

func (s *Server) getStreams(*request) (any, error) {
	list := []RecordedStream{}
	for _, name := range s.o.Store.Streams() {
		usage := s.o.Store.Usage(name)
		list = append(list, RecordedStream{
			Stream: name, Segments: usage.Segments, UsedBytes: usage.Bytes, QuarantineBytes: usage.Quarantine,
			NotUploadedBytes: usage.PendingBytes, Oldest: usage.Oldest, Newest: usage.Newest, HeldBytes: usage.HeldBytes, Holds: usage.Holds,
		})
	}
	return list, nil
}

// known fails for a stream that neither has recordings nor is configured.
func (s *Server) known(stream string) error {
	var recorded []string
	if s.o.Store != nil {
		recorded = s.o.Store.Streams()
	}
	if slices.Contains(recorded, stream) || s.o.Agent.Configured != nil && slices.Contains(s.o.Agent.Configured(), stream) {
		return nil
	}
	return &Error{http.StatusNotFound, codeStream, "there are no recordings of such a stream; there are those of: " + humanize.List(recorded)}
}

// page returns the segments of a page, the segment that precedes them when it is known, and whether more follow.
func (s *Server) page(r *request) (list []segment.Info, before *segment.Info, more bool) {
	list = s.o.Store.SegmentsFrom(streams.KeyOf(r.Stream, r.After), r.From, r.To, r.Limit+2)
	if r.Resumes && len(list) > 0 && list[0].ID() == r.After {
		before, list = &list[0], list[1:]
	}
	if more = len(list) > r.Limit; more {
		list = list[:r.Limit]
	}
	return list, before, more
}

func (s *Server) getSegments(r *request) (any, error) {
	if err := s.known(r.Stream); err != nil {
		return nil, err
	}
	list, last, more := s.page(r)
	page := SegmentPage{Segments: []Segment{}}
	var before time.Time
	if last != nil {
		_, before = newSegment(r.Context(), s.o.Store, *last).Recorded()
	}
	for _, info := range list {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		line := newSegment(r.Context(), s.o.Store, info)
		gaps := info.Gaps
		if !info.GapsKnown {
			if line.GapsUnknown = page.Read >= r.Read; !line.GapsUnknown {
				page.Read++
				gaps = gapsWithin(r.Context(), s.o.Store, info)
			}
		}
		for _, g := range gaps {
			line.Gaps = append(line.Gaps, SegmentGap{g.From, g.To, g.To.Sub(g.From).Seconds()})
		}
		from, to := line.Recorded()
		if gap := from.Sub(before); !before.IsZero() && gap > segment.GapAfter {
			line.GapSeconds = gap.Seconds()
		}
		before = to
		page.Segments = append(page.Segments, line)
	}
	if more {
		page.Next = list[len(list)-1].ID().String()
	}
	return page, nil
}

// gapsWithin reads a recording for the gaps within it, as far as it can be read.
func gapsWithin(ctx context.Context, store *segment.Store, info segment.Info) []segment.Gap {
	r, err := store.OpenSegmentWhile(ctx, info.Key)
	if err != nil {
		return nil
	}
	defer func() { _ = r.Close() }()
	gaps, _ := r.Gaps() // `verify` says what is wrong
	return gaps
}

func newSegment(ctx context.Context, store *segment.Store, info segment.Info) Segment {
	l := Segment{
		Stream: info.Stream, Segment: info.ID().String(), Start: info.StartTime(), End: info.End, Bytes: info.Bytes, State: info.State.String(),
		PendingBytes: info.PendingBytes, ClockUnset: info.ClockUnset, Epoch: info.Epoch, ClockAhead: info.ClockAhead,
		RefusedFragments: info.RefusedFragments, RefusedBytes: info.RefusedBytes, Held: info.Held,
	}
	if info.ClockOffset != 0 {
		start := info.StartTime().Add(info.ClockOffset)
		l.RealStart = &start
	}
	if info.Refused {
		l.State = stateRefused
	}
	if info.State == segment.Writing {
		l.End = endOf(ctx, store, info)
	}
	if !info.RecordedFrom.Equal(l.Start) || !info.RecordedTo.Equal(info.End) {
		to := info.RecordedTo.Add(l.End.Sub(info.End))
		l.RecordedFrom, l.RecordedTo = &info.RecordedFrom, &to
	}
	return l
}

// stateRefused is the state of an uploaded segment of which fragments were refused.
const stateRefused = "refused"

// endOf returns the end of a segment that is being written, as far as it is completed.
func endOf(ctx context.Context, store *segment.Store, info segment.Info) time.Time {
	r, err := store.OpenSegmentWhile(ctx, info.Key)
	if err != nil {
		return info.End
	}
	defer func() { _ = r.Close() }()
	if list, _, err := r.Fragments(); err == nil && len(list) > 0 {
		return info.StartTime().Add(list[len(list)-1].Last)
	}
	return info.End
}
