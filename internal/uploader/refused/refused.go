// Package refused owns which of the fragments that the service refused are sent again by themselves: once a day, a few
// times, and all of a kind as soon as the service takes one of that kind. It must not know how they are sent.
package refused

import (
	"cmp"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

const (
	// retryAfter is how long after a refusal a fragment is sent again.
	retryAfter = 24 * time.Hour
	// MaxTries is how often that is done by itself.
	MaxTries = 3
	// MaxADay bounds how many fragments of a stream are sent again in retryAfter.
	MaxADay = 100
	// freedAtOnce bounds how many segments are queued between two sessions.
	freedAtOnce = 100
	// LookEvery is the least time between two looks for refused fragments that are due, when there was none.
	LookEvery = time.Minute
)

// Store is the recording directory; see segment.Store.
type Store interface {
	queue.Offsets
	Refused(stream string) []segment.Refused
	RefusedBefore(k segment.Key, fragmentStart time.Duration) (code string, ok bool)
	Requeue(k segment.Key, fragmentStarts []time.Duration, counted bool) error
	Usage(stream string) segment.Usage
}

// Options of a List. All are required.
type Options struct {
	Stream string
	Store  Store
	Now    func() time.Time // the wall clock
	Log    *zap.Logger
	// PassedOver says which segments cannot be read now.
	PassedOver func(segment.Key) bool
	// Unreadable is called with why the disk did not queue a fragment.
	Unreadable func(error)
}

// List makes refused fragments pending again. It is for one goroutine.
type List struct {
	o      Options
	freed  []string    // codes of refused fragments that the service took after all
	tried  []time.Time // when refused fragments were sent again by themselves, within a day
	looked time.Time   // when none of them was due, or one could not be queued
	failed map[segment.Key]failed
}

// failed is a segment of which refused fragments could not be queued. Others are queued before it, and it is not
// tried for queue.UnreadableFor: each try ends a session.
type failed struct {
	at   time.Time // when that was tried last
	disk bool      // as the disk failed
}

// New returns a List that knows of no fragment that the service took after all.
func New(o Options) *List { return &List{o: o, failed: make(map[segment.Key]failed)} }

// RequeueDue makes one refused fragment pending that is due, and returns it: it goes next, and alone. ok is false when
// there is none. Call it when nothing else is pending.
func (l *List) RequeueDue() (f queue.Fragment, ok bool) {
	due := l.due()
	if due == nil || !l.requeue(due.Key, []time.Duration{due.Fragment.Start}, true) {
		return queue.Fragment{}, false
	}
	l.tried, l.looked = append(l.tried, l.o.Now()), time.Time{}
	return queue.NewFragment(l.o.Store, due.Key, due.Fragment), true
}

// due is the next refused fragment that is due; nil when none is, or as many as a day has were tried.
func (l *List) due() *segment.Refused {
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
		if isDue && !lately && !l.o.PassedOver(r.Key) && (due == nil || l.goesBefore(r, *due)) {
			due = &list[i]
		}
	}
	l.failed = failing // without those that nobody tries again
	l.tried = withinADay(l.tried, now)
	if due == nil || max(tried, len(l.tried)) >= MaxADay {
		l.looked = now
		return nil
	}
	return due
}

// goesBefore says which of two refused fragments is to be tried first: one that can be queued, as far as is known,
// and then the one that was tried least, so that each gets its first try soon.
func (l *List) goesBefore(a, b segment.Refused) bool {
	return cmp.Or(l.failed[a.Key].at.Compare(l.failed[b.Key].at), cmp.Compare(a.Tries, b.Tries)) < 0
}

// failedLately reports whether refused fragments of a segment could not be queued a short while ago.
func (l *List) failedLately(k segment.Key) bool {
	x, ok := l.failed[k]
	return ok && l.o.Now().Sub(x.at).Abs() < queue.UnreadableFor
}

// withinADay returns those of the times that are less than a day ago.
func withinADay(times []time.Time, now time.Time) (list []time.Time) {
	for _, t := range times {
		if now.Sub(t).Abs() < retryAfter {
			list = append(list, t)
		}
	}
	return list
}

// requeue makes fragments of a segment pending again. When that fails nothing is queued for LookEvery: as nothing
// of the segment pends, nothing else would keep sessions from being ended for it.
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

// Persisted notes that the service took a fragment: if it refused it before, it may take those now that it
// refused for the same reason.
func (l *List) Persisted(f queue.Fragment) {
	if code, ok := l.o.Store.RefusedBefore(f.Key, f.Stored.Start); ok {
		l.freed = append(l.freed, code)
	}
}

// RequeueFreed makes pending what was refused for reasons that no longer hold. It reports whether it did.
func (l *List) RequeueFreed() (any bool) {
	if len(l.freed) == 0 {
		return false
	}
	starts := make(map[segment.Key][]time.Duration)
	left := false
	for _, r := range l.o.Store.Refused(l.o.Stream) {
		if !l.isFreed(r.Code) || l.o.PassedOver(r.Key) || l.failedLately(r.Key) {
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

// Waiting reports whether refused fragments are to be queued, once nothing else is pending.
func (l *List) Waiting() bool {
	return len(l.freed) > 0 || l.o.Store.Usage(l.o.Stream).RefusedFragments > 0 && l.due() != nil
}
