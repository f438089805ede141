package export

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// What is read ahead: the samples of a fragment last until the first ones of the next fragment, which may be of another segment.

// ahead knows when the samples of the planned segments begin.
type ahead struct {
	find func(t mkv.Track) int
	next map[segment.Key][]time.Time // behind a segment, of each track; the zero time: unknown
	last segment.Key                 // the newest segment
}

// note takes note of the first fragment of the next segment.
func (a *ahead) note(r *segment.Reader, first mkv.Fragment) error {
	firsts, err := firstSamples(r, first, a.find)
	if err != nil {
		return err
	}
	times := make([]time.Time, len(firsts))
	for i, at := range firsts {
		if at != unknown {
			times[i] = r.RecordedAt(at)
		}
	}
	if a.next == nil {
		a.next = make(map[segment.Key][]time.Time)
	}
	a.next[a.last] = times
	a.last = r.Key()
	return nil
}

// after returns when the samples behind a fragment of a list begin, for each track; 0, or none: unknown.
func (a *ahead) after(r *segment.Reader, fragments []mkv.Fragment, i int) ([]time.Duration, error) {
	if i+1 < len(fragments) {
		list, err := firstSamples(r, fragments[i+1], a.find)
		for i, at := range list {
			list[i] = max(at, 0)
		}
		return list, err
	}
	var list []time.Duration
	start := r.RecordedAt(fragments[i].Start)
	for _, at := range a.next[r.Key()] {
		since := time.Duration(0)
		if at.After(start) {
			since = fragments[i].Start + at.Sub(start)
		}
		list = append(list, since)
	}
	return list, nil
}

// unknown stands for the time of a track without samples.
const unknown = -time.Hour

// firstSamples returns when the samples of a fragment begin to be decoded, for each track of the file, since the segment's start.
func firstSamples(r *segment.Reader, f mkv.Fragment, find func(t mkv.Track) int) (list []time.Duration, err error) {
	tracks, missing := make(map[uint8]int), 0
	for _, t := range r.Header().Tracks {
		if i := find(t); i >= 0 {
			tracks[t.Number] = i
			missing++
			for len(list) <= i {
				list = append(list, unknown)
			}
		}
	}
	leading := true // pictures before the keyframe in presentation follow it at once
	for p, err := range mkv.Places(r, f) {
		if err != nil {
			return nil, err
		}
		i, ok := tracks[p.Track]
		if ok && list[i] == unknown {
			list[i] = p.Time
			missing--
		}
		if ok && p.Track == 1 {
			list[i] = min(list[i], p.Time)
			leading = leading && p.Time <= f.Start
		}
		if missing == 0 && !leading {
			break
		}
	}
	return list, nil
}

// lead returns by how much the samples of a fragment begin before it.
func lead(r *segment.Reader, f mkv.Fragment, find func(t mkv.Track) int) (before time.Duration, err error) {
	firsts, err := firstSamples(r, f, find)
	for _, at := range firsts {
		if at != unknown {
			before = max(before, f.Start-at)
		}
	}
	return before, err
}
