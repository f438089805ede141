package fragment

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

// Open is the fragment that is being recorded, up to the frame that comes next.
type Open struct {
	Age    time.Duration // from its start to that frame
	Lead   time.Duration // how long before its start its first frame is shown
	Bytes  int64         // its size in the file, without that frame
	GOPs   int           // how many have begun in it
	Frames int           // of video, without that frame
}

// GOPs decides at which keyframes fragments end, from the GOPs of the last minute. The zero value knows none. It allocates nothing,
// and is for one goroutine.
type GOPs struct {
	last    time.Time // of the newest keyframe, by producer time
	between bool      // the next keyframe ends no known GOP
	bytes   int64     // of the stream up to that keyframe
	lengths recent    // in ns
	sizes   recent    // in bytes
}

// Keyframe records a keyframe: its producer time, and how many bytes of video the stream had before it, since any time.
func (g *GOPs) Keyframe(at time.Time, bytes int64) {
	length := at.Sub(g.last)
	switch {
	case g.last.IsZero():
	case length <= 0: // times were set back: what is known has times that are still to come
		g.lengths, g.sizes = recent{}, recent{}
	case !g.between:
		g.lengths.add(at, int64(length))
		g.sizes.add(at, bytes-g.bytes)
	}
	g.last, g.bytes, g.between = at, bytes, false
}

// Interrupt records that the time to the next keyframe is not the length of a GOP: a session begins, or times were set.
func (g *GOPs) Interrupt() { g.between = true }

// Longest returns how long the longest GOP of the last minute was, up to the newest keyframe; 0 while none is known.
func (g *GOPs) Longest() time.Duration { return time.Duration(g.lengths.greatest(g.last)) }

// MayEnd reports whether a fragment may end at a keyframe, which Keyframe has recorded: it lasts Min, or nearly so where a GOP, or
// several, last about Min. Those of a camera with a keyframe a second last a few ms more or less: its clock is not the hub's, and
// encoders are late. Without that tolerance half of its fragments had two.
func (g *GOPs) MayEnd(o Open) bool {
	return o.Age >= Min || o.Age >= Least && time.Duration(o.GOPs)*g.Longest() >= nearlyMin
}

// End reports whether a fragment ends at a keyframe: it may end there, and with another GOP as long as the longest of the last minute it
// would be longer than target, or with one as large as the largest larger than MaxBytes. So fragments have as many whole GOPs as
// fit into target, and at least one.
func (g *GOPs) End(o Open, target time.Duration) bool {
	return g.MayEnd(o) && (o.Age+g.Longest() > min(target, Max) || o.Bytes+g.sizes.greatest(g.last) > MaxBytes)
}

// Reached returns how long the fragments of a camera become with a target, as GOPs.End decides, from the mean and the greatest length of
// its GOPs.
func Reached(target, gop, longest time.Duration) time.Duration {
	gop = min(gop, Max)
	room := max(0, min(target, Max)-longest)
	return max((Min+gop-1)/gop, room/gop+1) * gop
}

// Full reports whether a fragment ends before a frame of that many bytes between keyframes, as it would exceed the limits. One of
// several GOPs may last longer than Max, as far as KVS allows it up to the next frame: a GOP that lasts Max may follow one that is too
// short for a fragment of its own.
func (o Open) Full(bytes int64) bool {
	most := Max
	if o.GOPs > 1 && o.Frames > 0 {
		most = kvslimit.MaxFragment - min(o.Age/time.Duration(o.Frames), time.Second) - time.Millisecond
	}
	return o.Lead+o.Age > most || o.Bytes+bytes > MaxBytes
}

// minute is for how long a GOP is recent.
const minute = time.Minute

// recent has the greatest value of the last minute: a queue of values of which each is greater than all later ones.
type recent struct {
	list [32]measured
	n    int
}

// measured is a value with its time.
type measured struct {
	at    time.Time
	value int64
}

// add records a value. Times rise.
func (r *recent) add(at time.Time, value int64) {
	first := 0
	for first < r.n && at.Sub(r.list[first].at) > minute {
		first++
	}
	r.n = copy(r.list[:], r.list[first:r.n])
	for r.n > 0 && r.list[r.n-1].value <= value {
		r.n--
	}
	if r.n == len(r.list) { // values fall all the time: the last two become one, with the greater value for the longer time
		r.list[r.n-1].at = at
		return
	}
	r.list[r.n] = measured{at, value}
	r.n++
}

// greatest returns the greatest value of the minute before now, 0 without one.
func (r *recent) greatest(now time.Time) int64 {
	for _, m := range r.list[:r.n] {
		if now.Sub(m.at) <= minute {
			return m.value
		}
	}
	return 0
}
