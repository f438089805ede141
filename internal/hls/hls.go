// Package hls serves what a store has of a stream as HTTP Live Streaming (RFC 8216): playlists, and media segments in fragmented MP4 that
// are made from the recordings while they are sent. A media segment is one GOP, or several of together 2 s at most. It must not know how
// requests come, nor who may make them.
//
// No state is needed to answer for a range of time: the address of a media segment says which part of which recording it is. Only the live
// playlist of a stream is kept, since its numbers must continue.
//
// Nothing here holds a lock of the store while media is read, and a recording is kept from being deleted only while a request reads it.
package hls

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// The media types of answers. Source: RFC 8216, section 10; RFC 4337.
const (
	TypePlaylist = "application/vnd.apple.mpegurl"
	TypeMedia    = "video/mp4"
)

const (
	// MaxRange is the longest time that a playlist covers.
	MaxRange = 6 * time.Hour
	// longest is how long the GOPs of a media segment may be together, unless it is a single one.
	longest = 2 * time.Second
	// maxRecordings bounds how many recordings a playlist covers: those of MaxRange of 5 s each.
	maxRecordings = 4320
)

// Player serves the media of a store. Safe for concurrent use.
type Player struct {
	store *segment.Store
	now   func() time.Time

	mu      sync.Mutex
	indexes cache            // guarded by mu
	live    map[string]*live // by stream; guarded by mu
}

// New returns a Player. now is the wall clock.
func New(store *segment.Store, now func() time.Time) *Player {
	return &Player{store: store, now: now, indexes: newCache(), live: make(map[string]*live)}
}

// Span is a time range of a stream: [From, To). With two zero times it is what is recorded now.
type Span struct {
	Stream   string
	From, To time.Time
}

// Live reports whether it is what is recorded now.
func (s Span) Live() bool { return s.From.IsZero() && s.To.IsZero() }

// has reports whether media reaches into the span: the first GOP, which ends at end, and the last one, which begins at last.
func (s Span) has(first, last, end time.Time) bool {
	return (s.To.IsZero() || first.Before(s.To) && last.Before(s.To)) && (s.From.IsZero() || end.After(s.From))
}

// errElsewhere is the answer to a request of media outside of the span that may be played.
var errElsewhere = &Refusal{Text: "that media was recorded at another time than may be played"}

// Refusal is the answer to a request that cannot be followed.
type Refusal struct {
	// Missing says that there is no such media, or no longer. Otherwise the request is wrong.
	Missing bool
	Text    string
}

// Error implements error.
func (r *Refusal) Error() string { return r.Text }

func missing(text string) error { return &Refusal{true, text} }

// gone is the answer when the recording was deleted.
func gone(err error) error {
	if errors.Is(err, segment.ErrNotFound) {
		return missing("the recording was deleted: load the playlist again")
	}
	return err
}

// span checks a span, and sets its end to now where it has none.
func (p *Player) span(s Span) (Span, error) {
	if s.From.IsZero() {
		return s, &Refusal{Text: "from is missing: without from and to a playlist has the media that is recorded now"}
	}
	if s.To.IsZero() {
		s.To = p.now()
	}
	if s.To.Sub(s.From) > MaxRange {
		return s, &Refusal{Text: "a playlist covers at most 6 hours: ask for a shorter time, or export it"}
	}
	return s, nil
}

// recordings returns what is recorded in a span, oldest first.
func (p *Player) recordings(s Span) ([]segment.Info, error) {
	list := p.store.SegmentsFrom(segment.Before(s.Stream), s.From, s.To, maxRecordings+1)
	if len(list) > maxRecordings {
		return nil, &Refusal{Text: "that time has too many recordings for one playlist: ask for a shorter time"}
	}
	return list, nil
}

// find returns a recording.
func (p *Player) find(key segment.Key) (segment.Info, error) {
	list := p.store.SegmentsFrom(key, time.Time{}, time.Time{}, 1)
	if len(list) == 0 || list[0].Key != key {
		return segment.Info{}, gone(segment.ErrNotFound)
	}
	return list[0], nil
}

// newest returns the recording with the newest media, of those that have some, with its index.
func (p *Player) newest(ctx context.Context, stream string) (segment.Info, *index, error) {
	const several = 3 // the newest one may have no keyframe yet, or be torn
	var unread error
	list := p.store.SegmentsFrom(segment.Before(stream), p.store.LastRecorded(stream).Add(-liveWindow), time.Time{}, maxRecordings)
	for i := len(list) - 1; i >= max(0, len(list)-several); i-- {
		x, err := p.index(ctx, list[i])
		if err != nil && !errors.Is(err, segment.ErrNotFound) {
			unread = err
		}
		if err == nil && len(x.points) > 0 {
			return list[i], x, nil
		}
	}
	if unread != nil {
		return segment.Info{}, nil, unread
	}
	return segment.Info{}, nil, missing("there is no recording of that stream that can be played")
}
