package main

import (
	"context"
	"math"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
)

// storedSegment is one recording.
type storedSegment struct{ localapi.Segment }

// readForGaps is how many recordings of earlier versions are read for the gaps within them without being asked.
const readForGaps = 50

// listSegments lists the recordings; unread is the number of those that were not read for the gaps within them.
func listSegments(ctx context.Context, r recordings, readAll bool) (lines []storedSegment, unread int, err error) {
	lines = []storedSegment{}
	budget := readForGaps
	if readAll {
		budget = math.MaxInt
	}
	for _, stream := range r.streams {
		err := r.Segments(ctx, r.of(stream), func() int { return budget }, func(page []localapi.Segment, read int) {
			for _, l := range page {
				if l.GapsUnknown {
					unread++
				}
				lines = append(lines, storedSegment{l})
			}
			budget -= read
		})
		if err != nil {
			return nil, 0, err
		}
	}
	return lines, unread, nil
}
