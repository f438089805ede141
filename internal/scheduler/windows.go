package scheduler

import (
	"math"
	"time"
)

// lookAhead is how far windows that touch are followed: a day of windows of a minute would take long to join, and a caller
// that needs the end calls again.
const lookAhead = int64(6 * time.Hour / time.Second)

// Windows opens a window [start, start + d) whenever e fires. Windows that touch or overlap are one. d is rounded down to
// whole seconds.
func Windows(e *Expression, d time.Duration) Plan {
	return &windows{expression: e, length: int64(d / time.Second)}
}

type windows struct {
	expression *Expression
	length     int64 // seconds
}

func (w *windows) At(t time.Time, system *time.Location) (bool, time.Time) {
	if w.length <= 0 {
		return false, time.Time{}
	}
	zone := w.expression.zone
	if zone == nil {
		zone = system
	}
	f := firings{rules: w.expression.rules, offsets: &offsets{zone: zone}}
	now := t.Unix()
	start, ok := f.next(now - w.length)
	switch {
	case !ok:
		return false, time.Time{}
	case start > now:
		return false, time.Unix(start, 0).In(zone)
	}
	for start+w.length < now+lookAhead {
		last, ok := f.last(start, start+w.length)
		if !ok {
			break
		}
		start = last
	}
	return true, time.Unix(start+w.length, 0).In(zone)
}

// firings returns the times at which rules fire in a zone, in Unix seconds.
type firings struct {
	rules   *rules
	offsets *offsets
}

// next returns the first firing after after. Where the clock is set back, Quartz fires in the second of two equal hours
// only; but for a time within the first it assumes the second, and skips the firings between. A caller that starts there
// must get the same windows as one that started earlier, so the search starts before.
func (f firings) next(after int64) (int64, bool) {
	first := f.offsets.at(after + 1)
	if first.end != math.MaxInt64 {
		repeated := first.offset - f.offsets.at(first.end).offset
		if begin := first.end - repeated; repeated > 0 && after >= begin {
			after = begin - 1
		}
	}
	return f.rules.next(after, f.offsets)
}

// last returns the last firing in (after, through]. It costs a few calls of next, however many firings there are.
func (f firings) last(after, through int64) (int64, bool) {
	found, ok := f.next(after)
	if !ok || found > through {
		return 0, false
	}
	if last, ok := f.next(through - 1); ok && last == through {
		return through, true
	}
	// The last one is in [found, none].
	for none := through; found < none; {
		middle := found + (none-found)/2
		if later, ok := f.next(middle); ok && later <= through {
			found = later
		} else {
			none = middle
		}
	}
	return found, true
}
