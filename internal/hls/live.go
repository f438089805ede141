package hls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

const (
	// liveWindow is how much a live playlist has, and liveParts how many media segments at least.
	liveWindow = time.Minute
	liveParts  = 6
	// shortest is how long a media segment of a live playlist is at least, unless a gap follows: so its number rises once a second at most.
	shortest = time.Second
	// forgetAfter is how long a live playlist is kept without a viewer.
	forgetAfter = 5 * time.Minute
)

// live is the live playlist of a stream. Its numbers rise with each media segment that leaves it, as players rely on them. They begin with
// the time of the clock, so that higher ones follow when the playlist was forgotten, or the agent restarted.
type live struct {
	used time.Time // guarded by Player.mu

	mu              sync.Mutex
	list            []livePart
	open            []part // GOPs that are too short for a media segment, and whose number is not known yet
	sequence        int64  // of the first one
	discontinuities int64  // before the first one
}

// livePart is a media segment, and the recording by which its tracks are described.
type livePart struct {
	part
	tracks segment.Key
}

// liveMedia returns the live playlist of a stream.
func (p *Player) liveMedia(ctx context.Context, stream string) (out Playlist, err error) {
	l := p.liveOf(stream)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := p.extend(ctx, l, stream); err != nil {
		return out, err
	}
	l.shorten(p)
	if len(l.list) == 0 {
		return out, missing("there is no recording of that stream that can be played yet")
	}
	out.LeftOut = l.list[len(l.list)-1].leftOut
	var b bytes.Buffer
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n")
	out.sayLeftOut(&b)
	parts := make([]part, len(l.list))
	for i, g := range l.list {
		parts[i] = g.part
	}
	fmt.Fprintf(&b, "#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-DISCONTINUITY-SEQUENCE:%d\n", target(parts), l.sequence,
		l.discontinuities)
	var w entries
	for _, g := range l.list {
		w.add(&b, g.part, g.tracks)
	}
	out.Text = b.Bytes()
	return out, nil
}

// liveOf returns the live playlist of a stream, a new one where there is none. It forgets those that nobody uses.
func (p *Player) liveOf(stream string) *live {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for name, l := range p.live {
		if now.Sub(l.used) > forgetAfter {
			delete(p.live, name)
		}
	}
	l := p.live[stream]
	if l == nil {
		l = &live{sequence: now.Unix(), discontinuities: now.Unix()}
		p.live[stream] = l
	}
	l.used = now
	return l
}

// last returns the newest GOP that was listed, or waits to be.
func (l *live) last() (g part, ok bool) {
	if n := len(l.open); n > 0 {
		return l.open[n-1], true
	}
	if n := len(l.list); n > 0 {
		return l.list[n-1].part, true
	}
	return g, false
}

// extend adds what was recorded since the last time.
func (p *Player) extend(ctx context.Context, l *live, stream string) error {
	from, first := p.store.LastRecorded(stream).Add(-liveWindow), segment.Before(stream)
	last, resumes := l.last()
	var unread error
	if resumes {
		from, first = time.Time{}, last.key
	}
	for _, info := range p.store.SegmentsFrom(first, from, time.Time{}, maxRecordings) {
		x, err := p.index(ctx, info)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if !errors.Is(err, segment.ErrNotFound) {
				unread = err
			}
			continue
		}
		for _, g := range p.parts(x, info) {
			listed := resumes && g.key == last.key && (last.to == UntilEnd || g.from < last.to)
			if listed || !resumes && g.recorded.Add(g.length).Before(from) {
				continue
			}
			if before, ok := l.last(); ok {
				g.follow(before)
			}
			l.add(g)
		}
		if !x.finished {
			break // the next one follows when this one is complete
		}
	}
	if len(l.list) == 0 {
		return unread
	}
	return nil
}

// add adds a GOP.
func (l *live) add(g part) {
	if n := len(l.open); n > 0 && (g.broken || g.key != l.open[n-1].key) {
		l.close()
	}
	if l.open = append(l.open, g); sum(l.open) >= shortest {
		l.close()
	}
}

func sum(list []part) (length time.Duration) {
	for _, g := range list {
		length += g.length
	}
	return length
}

// close lists the GOPs that wait, as one media segment, or as more where they are long.
func (l *live) close() {
	for _, g := range join(l.open) {
		one := livePart{part: g, tracks: g.key}
		if n := len(l.list); n > 0 && l.list[n-1].sum == g.sum {
			one.tracks = l.list[n-1].tracks
		}
		l.list = append(l.list, one)
	}
	l.open = l.open[:0]
}

// shorten removes the oldest media segments: those that are older than the window, and those that were deleted.
func (l *live) shorten(p *Player) {
	total := time.Duration(0)
	for _, g := range l.list {
		total += g.length
	}
	n := 0
	for ; len(l.list)-n > liveParts && total-l.list[n].length >= liveWindow; n++ {
		total -= l.list[n].length
	}
	for ; n < len(l.list); n++ {
		if _, err := p.find(l.list[n].key); err == nil {
			break
		}
	}
	for _, g := range l.list[:n] {
		if l.sequence++; g.broken {
			l.discontinuities++
		}
	}
	l.list = slices.Delete(l.list, 0, n)
}
