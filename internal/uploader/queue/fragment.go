package queue

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Offsets says how far a segment's times are from those on the wire and from those of the recording.
type Offsets interface {
	Offsets(k segment.Key, at time.Duration) (wire, recorded time.Duration)
}

// ID tells a stream's fragments apart.
type ID struct {
	Segment  segment.Key
	Fragment time.Duration // its start in the segment
}

// Fragment is one that is to be sent, or a part of one.
type Fragment struct {
	Key    segment.Key
	Stored mkv.Fragment // as it is in the segment
	Split  *Split       // nil = it is sent whole
	Part   int          // of Split

	wire, recorded time.Duration // to be added to the file's times; see segment.Store.Offsets
}

// NewFragment is a whole fragment of a segment.
func NewFragment(store Offsets, key segment.Key, f mkv.Fragment) Fragment {
	s := Fragment{Key: key, Stored: f}
	s.wire, s.recorded = store.Offsets(key, f.Start)
	return s
}

// ID is the same for all parts of a fragment.
func (s Fragment) ID() ID { return ID{s.Key, s.Stored.Start} }

// Same reports whether both are the same fragment, and the same part of it.
func (s Fragment) Same(other Fragment) bool {
	return s.ID() == other.ID() && s.Split == other.Split && s.Part == other.Part
}

// times are its first and its last since the segment's start.
func (s Fragment) times() (first, last time.Duration) {
	if s.Split != nil {
		return s.Split.parts[s.Part].Start, s.Split.parts[s.Part].Last
	}
	return s.Stored.Start, s.Stored.Last
}

// At is the timecode on the wire: ms since 1970.
func (s Fragment) At() int64 {
	first, _ := s.times()
	return s.Key.Start + (first + s.wire).Milliseconds()
}

// End is the time of its last frame on the wire, in ms since 1970.
func (s Fragment) End() int64 {
	_, last := s.times()
	return s.Key.Start + (last + s.wire).Milliseconds()
}

// Wire is what has to be added to the times of its segment to have those on the wire.
func (s Fragment) Wire() time.Duration { return s.wire }

// Began is when it was recorded, as far as is known.
func (s Fragment) Began() time.Time {
	first, _ := s.times()
	return s.Key.StartTime().Add(first + s.recorded)
}

// Ended is when its last frame was recorded, as far as is known.
func (s Fragment) Ended() time.Time {
	_, last := s.times()
	return s.Key.StartTime().Add(last + s.recorded)
}

// In reports whether some of it was recorded in [from, to); a zero time is unbounded.
func (s Fragment) In(from, to time.Time) bool {
	return (from.IsZero() || !s.Ended().Before(from)) && (to.IsZero() || s.Began().Before(to))
}

// Whole is the fragment that it is a part of.
func (s Fragment) Whole() Fragment {
	s.Split, s.Part = nil, 0
	return s
}

// Bytes is the most that is sent of it.
func (s Fragment) Bytes() int64 {
	if s.Split != nil {
		return s.Split.parts[s.Part].Size
	}
	return s.Stored.Size
}
