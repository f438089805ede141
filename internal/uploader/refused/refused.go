// Package refused owns which of the fragments that the service refused are sent again automatically: once a day, a few
// times, and all with the same error as soon as the service accepts one of them. It must not know how they are sent.
package refused

import (
	"cmp"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

const (
	// retryAfter is how long after a refusal a fragment is sent again.
	retryAfter = 24 * time.Hour
	// MaxTries is how often that is done automatically.
	MaxTries = 3
	// MaxADay bounds how many fragments of a stream are sent again in retryAfter.
	MaxADay = 100
	// freedAtOnce bounds how many segments are queued between two sessions.
	freedAtOnce = 100
	// LookEvery is the least time between two searches for refused fragments that are due, after one that found none.
	LookEvery = time.Minute
)

// Store is the recording directory; see segment.Store.
type Store interface {
	queue.Offsets
	Refused(stream string) []segment.Refused
	Requeued(stream string) []segment.Refused
	RefuseAgain(k segment.Key, fragmentStarts []time.Duration) error
	RefusedBefore(k segment.Key, fragmentStart time.Duration) (code string, ok bool)
	Requeue(k segment.Key, fragmentStarts []time.Duration, counted bool) error
	MarkRefused(k segment.Key, f mkv.Fragment, reason string) error
	MarkUploaded(k segment.Key) error
	Usage(stream string) segment.Usage
}

// Options of a List. All are required.
type Options struct {
	Stream string
	Store  Store
	Now    func() time.Time // the wall clock
	Log    *zap.Logger
	// PassedOver reports whether a segment cannot be read now.
	PassedOver func(segment.Key) bool
	// Unreadable is called with the error of the disk when a fragment could not be queued.
	Unreadable func(error)
}

// List makes refused fragments pending again. It is for one goroutine.
type List struct {
	o      Options
	freed  []string    // codes of refused fragments that the service accepted later
	tried  []time.Time // when refused fragments were sent again automatically, within a day
	looked time.Time   // when none of them was due, or one could not be queued
	failed map[segment.Key]failed
}

// failed is a segment whose refused fragments could not be queued. Others are queued before it, and it is not
// tried for queue.UnreadableFor: each try ends a session.
type failed struct {
	at   time.Time // of the last try
	disk bool      // the disk failed
}

// New returns a List with an empty history.
func New(o Options) *List { return &List{o: o, failed: make(map[segment.Key]failed)} }

// RequeueDue makes pending one refused fragment that is due, and returns it: it is sent next, and alone. ok is false when
// there is none that want accepts. Call it when nothing else is pending. counted says that the try counts already now; else Tried is
// called at its end.
func (l *List) RequeueDue(counted bool, want func(queue.Fragment) bool) (f queue.Fragment, ok bool) {
	due := l.due(want)
	if due == nil || !l.requeue(due.Key, []time.Duration{due.Fragment.Start}, counted) {
		return queue.Fragment{}, false
	}
	l.tried, l.looked = append(l.tried, l.o.Now()), time.Time{}
	return l.fragment(*due), true
}

func (l *List) fragment(r segment.Refused) queue.Fragment {
	return queue.NewFragment(l.o.Store, r.Key, r.Fragment)
}

// due returns the next refused fragment that is due and that want accepts; nil when none is, or MaxADay were tried within a day.
func (l *List) due(want func(queue.Fragment) bool) *segment.Refused {
	now := l.o.Now()
	if now.Sub(l.looked).Abs() < LookEvery {
		return nil
	}
	tried := 0
	list := l.o.Store.Refused(l.o.Stream)
	var due *segment.Refused
	failing := make(map[segment.Key]failed)
	for i, r := range list {
		recent := now.Sub(r.At).Abs() < retryAfter // the clock may have been wrong then
		if recent && r.Tries > 0 {
			tried++
		}
		isDue, lately := !recent && r.Tries < MaxTries, l.failedLately(r.Key)
		if x, ok := l.failed[r.Key]; ok && (isDue || lately) {
			failing[r.Key] = x
		}
		if isDue && !lately && !l.o.PassedOver(r.Key) && want(l.fragment(r)) && (due == nil || l.goesBefore(r, *due)) {
			due = &list[i]
		}
	}
	l.failed = failing // without segments that are not tried again
	l.tried = withinADay(l.tried, now)
	if due == nil || max(tried, len(l.tried)) >= MaxADay {
		l.looked = now
		return nil
	}
	return due
}

// goesBefore reports whether a is to be tried before b: one that can be queued, as far as is known, comes first,
// and then the one that was tried least, so that each gets its first try soon.
func (l *List) goesBefore(a, b segment.Refused) bool {
	return cmp.Or(l.failed[a.Key].at.Compare(l.failed[b.Key].at), cmp.Compare(a.Tries, b.Tries)) < 0
}

// failedLately reports whether refused fragments of a segment could not be queued a short while ago.
func (l *List) failedLately(k segment.Key) bool {
	x, ok := l.failed[k]
	return ok && l.o.Now().Sub(x.at).Abs() < queue.UnreadableFor
}

// withinADay returns the times that are less than a day ago.
func withinADay(times []time.Time, now time.Time) (list []time.Time) {
	for _, t := range times {
		if now.Sub(t).Abs() < retryAfter {
			list = append(list, t)
		}
	}
	return list
}

// requeue makes fragments of a segment pending again. When that fails nothing is queued for LookEvery: as no fragment
// of the segment is pending, nothing else would keep sessions from being ended for it.
func (l *List) requeue(k segment.Key, starts []time.Duration, counted bool) bool {
	err := l.o.Store.Requeue(k, starts, counted)
	if err == nil {
		delete(l.failed, k)
		return true
	}
	l.looked = l.o.Now()
	disk := !errors.Is(err, segment.ErrNotFound)
	l.failed[k] = failed{at: l.looked, disk: disk}
	if disk {
		l.o.Unreadable(err)
	}
	return false
}

// DiskFails reports whether the disk fails with a refused fragment that is to be queued.
func (l *List) DiskFails() bool {
	for _, x := range l.failed {
		if x.disk {
			return true
		}
	}
	return false
}

// Persisted records that the service accepted a fragment: if it refused it before, it may now accept those that it
// refused for the same reason.
func (l *List) Persisted(f queue.Fragment) {
	if code, ok := l.o.Store.RefusedBefore(f.Key, f.Stored.Start); ok {
		l.freed = append(l.freed, code)
	}
}

// RequeueFreed makes pending the fragments that want accepts and that were refused for reasons that no longer apply. It reports whether
// there were any.
func (l *List) RequeueFreed(want func(queue.Fragment) bool) (any bool) {
	if len(l.freed) == 0 {
		return false
	}
	starts := make(map[segment.Key][]time.Duration)
	left := false
	for _, r := range l.o.Store.Refused(l.o.Stream) {
		if !l.isFreed(r.Code) || l.o.PassedOver(r.Key) || l.failedLately(r.Key) || !want(l.fragment(r)) {
			continue
		}
		if starts[r.Key] == nil && len(starts) == freedAtOnce {
			left = true
			break
		}
		starts[r.Key] = append(starts[r.Key], r.Fragment.Start)
	}
	fragments := 0
	for k, list := range starts {
		if l.requeue(k, list, false) {
			fragments += len(list)
		}
	}
	if fragments > 0 {
		logevent.RefusedRetried.Log(l.o.Log, zap.Int("fragments", fragments), zap.Strings("codes", l.freed))
	}
	if !left {
		l.freed = nil
	}
	return fragments > 0
}

func (l *List) isFreed(code string) bool {
	for _, freed := range l.freed {
		if segment.SameCode(freed, code) {
			return true
		}
	}
	return false
}

// Waiting reports whether refused fragments are to be queued, once nothing else is pending, of those that want accepts.
func (l *List) Waiting(want func(queue.Fragment) bool) bool {
	return len(l.freed) > 0 || l.o.Store.Usage(l.o.Stream).RefusedFragments > 0 && l.due(want) != nil
}
