package progress

import (
	"slices"
	"sort"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Spans returns the media that is persisted or refused according to the side file, in order and not overlapping.
func (p *Progress) Spans() []layout.Span {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.spans)
}

// SpansOf is Spans for a segment of which all fragments are known. Then the time between two of them is known to be covered,
// also for a camera that sends a frame every few seconds.
func (p *Progress) SpansOf(fragments []mkv.Fragment) (spans []layout.Span) {
	p.mu.Lock()
	defer p.mu.Unlock()
	end := int64(0) // of the previous fragment
	for _, f := range fragments {
		last := f.Last.Milliseconds()
		switch n := len(spans); {
		case !p.done[f.Start]:
		case n > 0 && spans[n-1].To == end:
			spans[n-1].To = last
		default:
			spans = append(spans, layout.Span{From: end, To: last})
		}
		end = last
	}
	return spans
}

// spansApart is the least distance between two fragments with another one between them: none is shorter.
const spansApart = int64(fragment.Least / time.Millisecond)

// cover adds media to spans, which are in order and do not overlap.
func cover(spans []layout.Span, s layout.Span) []layout.Span {
	i := sort.Search(len(spans), func(i int) bool { return spans[i].To+spansApart > s.From })
	j := sort.Search(len(spans), func(j int) bool { return spans[j].From >= s.To+spansApart })
	if i < j {
		s = layout.Span{From: min(s.From, spans[i].From), To: max(s.To, spans[j-1].To)}
	}
	return slices.Replace(spans, i, j, s)
}

// uncover removes media from spans.
func uncover(spans []layout.Span, s layout.Span) []layout.Span {
	var left []layout.Span
	for _, x := range spans {
		if x.To <= s.From || x.From >= s.To {
			left = append(left, x)
			continue
		}
		if x.From < s.From {
			left = append(left, layout.Span{From: x.From, To: s.From})
		}
		if s.To < x.To {
			left = append(left, layout.Span{From: s.To, To: x.To})
		}
	}
	return left
}
