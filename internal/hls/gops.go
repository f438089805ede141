package hls

import (
	"context"
	"errors"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// UntilEnd is the end of a media segment that goes to the end of its recording.
const UntilEnd = time.Duration(-1)

// frameLength is how long the last frame of a GOP is taken to be shown, where nothing follows it.
const frameLength = 40 * time.Millisecond

// part is a part of a recording that a playlist lists: whole GOPs.
type part struct {
	key      segment.Key
	from, to time.Duration // of its first keyframe, and of that behind it; UntilEnd
	length   time.Duration
	recorded time.Time // when its first frame was recorded
	broken   bool      // it does not follow the part before it
	*played
}

// parts divides a recording into its GOPs, in order.
func (p *Player) parts(x *index, info segment.Info) []part {
	n := len(x.points)
	if !x.finished {
		n-- // the last one is not complete
	}
	list := make([]part, 0, max(n, 0))
	broken := false
	gaps := info.Gaps
	for i := range max(n, 0) {
		at := x.points[i].Time
		g := part{key: info.Key, from: at, to: UntilEnd, recorded: p.recordedAt(info, at), broken: broken, played: &x.played}
		end := info.End.Sub(info.StartTime()) + frameLength
		if i+1 < len(x.points) {
			end = x.points[i+1].Time
			g.to = end
		}
		broken = false
		for ; len(gaps) > 0 && gaps[0].From.Sub(info.StartTime()) < end; gaps = gaps[1:] {
			// A gap that ends at a keyframe is between two GOPs; another one is within one, and in the times of its frames.
			if from := gaps[0].From.Sub(info.StartTime()); from >= at && gaps[0].To.Sub(info.StartTime()) >= end {
				end, broken = from+frameLength, true
			}
		}
		g.length = max(end-at, time.Millisecond)
		list = append(list, g)
	}
	return list
}

// recordedAt returns when a frame was recorded.
func (p *Player) recordedAt(info segment.Info, at time.Duration) time.Time {
	t := info.StartTime().Add(at)
	if info.RecordedFrom.Equal(info.StartTime()) && info.RecordedTo.Equal(info.End) {
		return t // as most are
	}
	_, recorded := p.store.Offsets(info.Key, at)
	return t.Add(recorded)
}

// follow notes whether a part follows another one of the stream.
func (g *part) follow(before part) {
	switch {
	case before.key == g.key:
	case before.key.Epoch != g.key.Epoch, before.sum != g.sum:
		g.broken = true
	default:
		end := before.key.StartTime().Add(before.from + before.length)
		g.broken = g.broken || g.key.StartTime().Add(g.from).Sub(end) > segment.GapAfter
	}
}

// join joins GOPs that follow each other, up to the longest media segment.
func join(list []part) (joined []part) {
	for _, g := range list {
		if n := len(joined); n > 0 {
			if last := &joined[n-1]; !g.broken && last.key == g.key && last.length+g.length <= longest {
				last.length += g.length
				last.to = g.to
				continue
			}
		}
		joined = append(joined, g)
	}
	return joined
}

// partsOf lists the media segments of a span.
func (p *Player) partsOf(ctx context.Context, s Span) ([]part, error) {
	recordings, err := p.recordings(s)
	if err != nil {
		return nil, err
	}
	var list []part
	var unread error
	for _, info := range recordings {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		x, err := p.index(ctx, info)
		if err != nil {
			if !errors.Is(err, segment.ErrNotFound) {
				unread = err
			}
			continue
		}
		for _, g := range p.parts(x, info) {
			if !g.recorded.Before(s.To) || !g.recorded.Add(g.length).After(s.From) {
				continue
			}
			if n := len(list); n > 0 {
				g.follow(list[n-1])
			}
			list = append(list, g)
		}
	}
	if len(list) == 0 && unread != nil {
		return nil, unread
	}
	if len(list) == 0 {
		return nil, missing("nothing that can be played was recorded in that time")
	}
	list[0].broken = false
	return join(list), nil
}
