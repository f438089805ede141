package queue

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Offsets returns how far a segment's times are from the producer timestamps and from the times of the recording.
type Offsets interface {
	Offsets(k segment.Key, at time.Duration) (wire, recorded time.Duration)
}

// ID identifies a fragment of a stream.
type ID struct {
	Segment  segment.Key
	Fragment time.Duration // its start in the segment
}

// Fragment is a fragment to be sent, or a part of one.
type Fragment struct {
	Key    segment.Key
	Stored mkv.Fragment // as it is in the segment
	Split  *Split       // nil = it is sent in one piece
	Part   int          // index in Split

	wire, recorded time.Duration // to be added to the file's times; see segment.Store.Offsets
}

// NewFragment returns a whole fragment of a segment.
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

// times returns its first and its last time since the segment's start.
func (s Fragment) times() (first, last time.Duration) {
	if s.Split != nil {
		return s.Split.parts[s.Part].Start, s.Split.parts[s.Part].Last
	}
	return s.Stored.Start, s.Stored.Last
}

// At returns its producer timestamp, which is the cluster's timecode: ms since 1970.
func (s Fragment) At() int64 {
	first, _ := s.times()
	return s.Key.Start + (first + s.wire).Milliseconds()
}

// End returns the producer timestamp of its last frame, in ms since 1970.
func (s Fragment) End() int64 {
	_, last := s.times()
	return s.Key.Start + (last + s.wire).Milliseconds()
}

// Wire returns what has to be added to the times of its segment to obtain producer timestamps.
func (s Fragment) Wire() time.Duration { return s.wire }

// Began returns when its recording began, as far as is known.
func (s Fragment) Began() time.Time {
	first, _ := s.times()
	return s.Key.StartTime().Add(first + s.recorded)
}

// Ended returns when its last frame was recorded, as far as is known.
func (s Fragment) Ended() time.Time {
	_, last := s.times()
	return s.Key.StartTime().Add(last + s.recorded)
}

// In reports whether some of it was recorded in [from, to); a zero time is unbounded.
func (s Fragment) In(from, to time.Time) bool {
	return (from.IsZero() || !s.Ended().Before(from)) && (to.IsZero() || s.Began().Before(to))
}

// Whole returns the fragment that it is a part of.
func (s Fragment) Whole() Fragment {
	s.Split, s.Part = nil, 0
	return s
}

// Bytes returns an upper bound of the bytes that are sent for it.
func (s Fragment) Bytes() int64 {
	if s.Split != nil {
		return s.Split.parts[s.Part].Size
	}
	return s.Stored.Size
}
