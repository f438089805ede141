package localapi

import (
	"context"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/changes"
	"github.com/kvs-edge/kvs-edge-agent/internal/lost"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Gap is a time in which nothing was recorded.
type Gap struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Seconds float64   `json:"seconds"`
	// Cause is the code of the recorder's condition then, or one of the causes below.
	Cause string `json:"cause"`
	// Text is the condition's sentence, if there was one.
	Text string `json:"text,omitempty"`
	// Ongoing says that nothing is recorded yet: To is now.
	Ongoing bool `json:"ongoing,omitempty"`
}

// The causes of gaps, beside the codes of conditions.
const (
	CauseUnknown  = "unknown" // the agent does not know it, or not any more
	CauseDeleted  = "deleted" // recorded, but deleted before its upload
	CauseClock    = "clock"   // the times of the stream had to go back: before and after it they cannot be compared
	CauseSchedule = changes.CauseSchedule
	CauseStopped  = changes.CauseStopped
)

// GapPage is a page of a list of gaps, oldest first.
type GapPage struct {
	Gaps []Gap `json:"gaps"`
	// Next is the parameter after of the next page; "" for none.
	Next string `json:"next,omitempty"`
}

// gapList gathers the gaps between and within segments.
type gapList struct {
	server *Server
	stream string
	list   []Gap
	lost   []lost.Range
	end    time.Time // of the previous recording; zero: not known
	epoch  uint32    // of that
}

// add adds a gap that is long enough.
func (l *gapList) add(from, to time.Time, cause string) *Gap {
	g := Gap{From: from, To: to, Seconds: to.Sub(from).Seconds(), Cause: cause}
	if cause == CauseUnknown {
		if code, text := l.server.gapCause(l.stream, from, to, l.lost); code != "" {
			g.Cause, g.Text = code, text
		}
	}
	l.list = append(l.list, g)
	return &l.list[len(l.list)-1]
}

// lost is what was deleted of a stream before its upload, in a time range; a zero time is unbounded.
func (s *Server) lost(stream string, from, to time.Time) []lost.Range {
	if s.o.Agent.Lost == nil {
		return nil
	}
	return s.o.Agent.Lost(stream, from, to)
}

// gapCause says why there is nothing in a gap: its code and sentence, "" where that is not known. all are what the stream has lost; that
// counts where it is most of the gap, or where nothing else is known of it.
func (s *Server) gapCause(stream string, from, to time.Time, all []lost.Range) (code, text string) {
	if feed := s.o.Agent.Changes; feed != nil {
		code, text = feed.Cause(stream, from, to)
	}
	deleted, reason := lost.Share(all, from, to)
	if deleted > to.Sub(from)/2 || deleted > segment.GapAfter && code == "" {
		return CauseDeleted, "Deleted before the upload, because " + reason + "."
	}
	return code, text
}

// segment adds the gap before a segment, and those within it.
func (l *gapList) segment(ctx context.Context, info segment.Info, read bool) {
	line := newSegment(ctx, l.server.o.Store, info)
	from, to := line.Recorded()
	if !l.end.IsZero() && from.Sub(l.end) > segment.GapAfter {
		cause := CauseUnknown
		if info.Epoch != l.epoch {
			cause = CauseClock
		}
		l.add(l.end, from, cause)
	}
	l.end, l.epoch = to, info.Epoch
	gaps := info.Gaps
	if !info.GapsKnown && read {
		gaps = gapsWithin(ctx, l.server.o.Store, info)
	}
	offset := from.Sub(info.StartTime())
	for _, g := range gaps {
		l.add(g.From.Add(offset), g.To.Add(offset), CauseUnknown)
	}
}

// getGaps lists the gaps that reach into a time range.
func (s *Server) getGaps(r *request) (any, error) {
	if err := s.known(r.Stream); err != nil {
		return nil, err
	}
	list, last, more := s.page(r)
	l := gapList{server: s, stream: r.Stream, lost: s.lost(r.Stream, time.Time{}, time.Time{})}
	switch {
	case last != nil:
		_, l.end = newSegment(r.Context(), s.o.Store, *last).Recorded()
		l.epoch = last.Epoch
	case !r.From.IsZero() && len(list) > 0:
		l.end, l.epoch = s.o.Store.NewestBefore(r.Stream, r.From), list[0].Epoch
	case !r.From.IsZero():
		l.end = s.o.Store.NewestBefore(r.Stream, r.From)
	}
	read := 0
	for _, info := range list {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		if !info.GapsKnown {
			read++
		}
		l.segment(r.Context(), info, read <= r.Read)
	}
	if !more {
		s.lastGap(r, &l, list)
	}
	page := GapPage{Gaps: slices.DeleteFunc(l.list, func(g Gap) bool {
		return !r.From.IsZero() && !g.To.After(r.From) || !r.To.IsZero() && !g.From.Before(r.To)
	})}
	if page.Gaps == nil {
		page.Gaps = []Gap{}
	}
	if more {
		page.Next = list[len(list)-1].ID().String()
	}
	return page, nil
}

// lastGap adds the gap after the last segment of the range: up to the next one, or the one that lasts.
func (s *Server) lastGap(r *request, l *gapList, list []segment.Info) {
	if l.end.IsZero() || len(list) > 0 && list[len(list)-1].State == segment.Writing {
		return
	}
	if !r.To.IsZero() {
		if next := s.o.Store.SegmentsFrom(segment.Before(r.Stream), r.To, time.Time{}, 1); len(next) > 0 {
			if from := next[0].RecordedFrom; from.Sub(l.end) > segment.GapAfter {
				l.add(l.end, from, CauseUnknown)
			}
			return
		}
	}
	configured := s.o.Agent.Configured
	if configured == nil || !slices.Contains(configured(), r.Stream) {
		return // nobody is to record it
	}
	if now := s.now(); now.Sub(l.end) > segment.GapAfter {
		l.add(l.end, now, CauseUnknown).Ongoing = true
	}
}
