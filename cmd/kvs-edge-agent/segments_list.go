package main

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// storedSegment is one recording.
type storedSegment struct {
	Stream       string    `json:"stream"`
	Start        time.Time `json:"start"`
	End          time.Time `json:"end"`
	Bytes        int64     `json:"bytes"`
	State        string    `json:"state"` // writing, sealed, uploaded, refused
	PendingBytes int64     `json:"pendingBytes"`
	// RefusedFragments and RefusedBytes are not uploaded, as the service refused them; in any state.
	RefusedFragments int   `json:"refusedFragments,omitempty"`
	RefusedBytes     int64 `json:"refusedBytes,omitempty"`
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
	Gaps        []storedGap `json:"gaps,omitempty"`
	GapsUnknown bool        `json:"gapsUnknown,omitempty"`
}

// storedGap is a time within a recording in which nothing was recorded.
type storedGap struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Seconds float64   `json:"seconds"`
}

// readForGaps is how many recordings of earlier versions are read for the gaps within them without being asked.
const readForGaps = 50

// listSegments lists the recordings; unread is the number of those that were not read for the gaps within them.
func listSegments(store *segment.Store, streams []string, from, to time.Time, readAll bool) (lines []storedSegment, unread int) {
	lines = []storedSegment{}
	read := 0
	for _, stream := range streams {
		var before time.Time
		for _, info := range store.Segments(stream, from, to) {
			line := newStoredSegment(store, info)
			gaps := info.Gaps
			if !info.GapsKnown {
				if line.GapsUnknown = !readAll && read == readForGaps; line.GapsUnknown {
					unread++
				} else {
					read++
					gaps = gapsOf(store, info)
				}
			}
			for _, g := range gaps {
				line.Gaps = append(line.Gaps, storedGap{g.From, g.To, g.To.Sub(g.From).Seconds()})
			}
			recordedFrom, recordedTo := line.recorded()
			if gap := recordedFrom.Sub(before); !before.IsZero() && gap > segment.GapAfter {
				line.GapSeconds = gap.Seconds()
			}
			before = recordedTo
			lines = append(lines, line)
		}
	}
	return lines, unread
}

// gapsOf reads a recording for the gaps within it, as far as it can be read.
func gapsOf(store *segment.Store, info segment.Info) []segment.Gap {
	r, err := store.OpenSegment(info.Key)
	if err != nil {
		return nil
	}
	defer func() { _ = r.Close() }()
	gaps, _ := r.Gaps() // `verify` says what is wrong
	return gaps
}

func newStoredSegment(store *segment.Store, info segment.Info) storedSegment {
	l := storedSegment{
		Stream: info.Stream, Start: info.StartTime(), End: info.End, Bytes: info.Bytes, State: info.State.String(),
		PendingBytes: info.PendingBytes, ClockUnset: info.ClockUnset, Epoch: info.Epoch, ClockAhead: info.ClockAhead,
		RefusedFragments: info.RefusedFragments, RefusedBytes: info.RefusedBytes,
	}
	if info.ClockOffset != 0 {
		start := info.StartTime().Add(info.ClockOffset)
		l.RealStart = &start
	}
	if info.Refused {
		l.State = "refused"
	}
	if info.State == segment.Writing {
		l.End = endOf(store, info)
	}
	if !info.RecordedFrom.Equal(l.Start) || !info.RecordedTo.Equal(info.End) {
		to := info.RecordedTo.Add(l.End.Sub(info.End))
		l.RecordedFrom, l.RecordedTo = &info.RecordedFrom, &to
	}
	return l
}

// recorded is when it was recorded, as far as is known.
func (l storedSegment) recorded() (from, to time.Time) {
	if l.RecordedFrom == nil {
		return l.Start, l.End
	}
	return *l.RecordedFrom, *l.RecordedTo
}

// endOf returns the end of a segment that is being written, as far as it is completed.
func endOf(store *segment.Store, info segment.Info) time.Time {
	r, err := store.OpenSegment(info.Key)
	if err != nil {
		return info.End
	}
	defer func() { _ = r.Close() }()
	if list, _, err := r.Fragments(); err == nil && len(list) > 0 {
		return info.StartTime().Add(list[len(list)-1].Last)
	}
	return info.End
}
