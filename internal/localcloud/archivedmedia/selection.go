package archivedmedia

import (
	"cmp"
	"slices"
	"time"
)

// liveWindow is how old the newest fragment may be when a live session begins (API reference, ResourceNotFoundException).
const liveWindow = 30 * time.Second

// selection are fragments in the order in which they are played.
type selection []Fragment

// compareNumbers compares two fragment numbers: decimal, without leading zeros.
func compareNumbers(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

// archived selects what an ON_DEMAND session plays of the fragments that are stored, and what a LIVE_REPLAY session begins with:
// those that start within its range and were stored when it began, by time. Of those that start at the same time by the producer,
// the newest one is played.
func (of session) archived(stored []Fragment) selection {
	var list selection
	for _, f := range stored {
		if compareNumbers(f.Number, of.Last) <= 0 && of.within(f) {
			list = append(list, f)
		}
	}
	slices.SortStableFunc(list, of.compare)
	if of.By != byProducer {
		return list
	}
	unique := list[:0]
	for _, f := range list {
		if n := len(unique); n > 0 && unique[n-1].Producer.Equal(f.Producer) {
			unique[n-1] = f
			continue
		}
		unique = append(unique, f)
	}
	return unique
}

// compare orders fragments by their time, and those of the same time by arrival.
func (of session) compare(a, b Fragment) int {
	return cmp.Or(of.at(a).Compare(of.at(b)), compareNumbers(a.Number, b.Number))
}

// replayed selects what a LIVE_REPLAY session plays, and how many of these it shows now: as many as a playlist holds when it
// begins, and each further one when its own length has passed since the one in front of it. What arrives later is played where
// its place was not yet shown; what was shown stays as it was.
func (of session) replayed(stored []Fragment, now time.Time) (list selection, shown int) {
	list = of.archived(stored)
	shown = min(of.Max, len(list))
	due := time.UnixMilli(of.Created) // of the last one that is shown
	advance := func(to time.Time) {
		for shown < len(list) {
			next := due.Add(length(list[shown], nil))
			if next.After(to) {
				return
			}
			due, shown = next, shown+1
		}
	}
	for _, f := range stored {
		if compareNumbers(f.Number, of.Last) <= 0 || !of.within(f) {
			continue
		}
		advance(f.Server)
		at, _ := slices.BinarySearchFunc(list, f, of.compare)
		same := of.By == byProducer && at > 0 && list[at-1].Producer.Equal(f.Producer)
		switch {
		case same && at-1 >= shown:
			list[at-1] = f
		case !same && at >= shown:
			list = slices.Insert(list, at, f)
		}
	}
	advance(now)
	return list, shown
}

// live selects what a LIVE session plays, from its first fragment on: fragments in the order of arrival, without those that are not
// newer than the one in front of them.
func (of session) live(stored []Fragment) selection {
	var list selection
	for _, f := range stored {
		if f.Server.UnixMilli() < of.Since || of.First != "" && compareNumbers(f.Number, of.First) < 0 {
			continue
		}
		if n := len(list); n > 0 && !of.at(f).After(of.at(list[n-1])) {
			continue
		}
		list = append(list, f)
	}
	return list
}

// length is how long a fragment is played, given what follows it. What is stored says when its last frame begins; that frame lasts
// until the next fragment where this one follows at once, and otherwise as long as the others do on average.
func length(f Fragment, next *Fragment) time.Duration {
	frame := time.Duration(0)
	if f.Frames > 1 {
		frame = f.Duration / time.Duration(f.Frames-1)
	}
	if next != nil {
		if gap := next.Producer.Sub(f.Producer) - f.Duration; gap > 0 && (gap <= 2*frame || frame == 0 && gap <= longestFragment) {
			return f.Duration + gap
		}
	}
	if frame == 0 {
		frame = time.Second
	}
	return f.Duration + frame
}

// longestFragment is how long a fragment can be (quotas, PutMedia).
const longestFragment = 20 * time.Second

// lengths returns how long each fragment is played.
func (l selection) lengths() []time.Duration {
	out := make([]time.Duration, len(l))
	for i := range l {
		if i+1 < len(l) {
			out[i] = length(l[i], &l[i+1])
		} else {
			out[i] = length(l[i], nil)
		}
	}
	return out
}

// index finds a fragment by its number.
func (l selection) index(number string) int {
	return slices.IndexFunc(l, func(f Fragment) bool { return f.Number == number })
}

// window is what a playlist shows of a selection.
type window struct {
	all     selection
	lengths []time.Duration
	from    int // in all; those in front of it were in the playlist earlier
	to      int // exclusive
	ended   bool
}

// bandwidth is how many bits a second the densest fragment has of those that are shown.
func (w window) bandwidth() (most int64) {
	for i := w.from; i < w.to; i++ {
		most = max(most, int64(float64(w.all[i].Bytes*8)/w.lengths[i].Seconds()))
	}
	return most
}

// frameRate is that of the first fragment with several frames; 0 = there is none.
func (w window) frameRate() float64 {
	for i := w.from; i < w.to; i++ {
		if w.all[i].Frames > 1 {
			return float64(w.all[i].Frames) / w.lengths[i].Seconds()
		}
	}
	return 0
}

// window selects what the playlist of a session shows.
func (of session) window(stored []Fragment, now time.Time) window {
	w := window{}
	switch of.Mode {
	case modeOnDemand:
		w.all = of.archived(stored)
		w.all = w.all[:min(of.Max, len(w.all))]
		w.to, w.ended = len(w.all), true
	case modeReplay:
		w.all, w.to = of.replayed(stored, now)
		w.ended = of.End != 0 && now.UnixMilli() > of.End && w.to == len(w.all)
		w.from = max(0, w.to-of.Max)
	default:
		w.all = of.live(stored)
		w.to = len(w.all)
		w.from = max(0, w.to-of.Max)
	}
	w.lengths = w.all.lengths()
	return w
}

// apart is by how much two times may differ before there is a discontinuity (API reference, DiscontinuityMode).
const apart = 50 * time.Millisecond

// discontinuity reports whether the playlist has a mark in front of a fragment.
func (of session) discontinuity(w window, i int) bool {
	switch {
	case of.Gaps == always:
		return true
	case of.Gaps == never || i == 0:
		return false
	}
	gap := of.at(w.all[i]).Sub(of.at(w.all[i-1])) - w.lengths[i-1]
	return gap > apart || gap < -apart
}
