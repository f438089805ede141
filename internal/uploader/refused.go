package uploader

import (
	"cmp"
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

const (
	// retryRefused is how long after a refusal a fragment is sent again.
	retryRefused = 24 * time.Hour
	// maxRefusedTries is how often that is done by itself.
	maxRefusedTries = 3
	// maxRefusedADay bounds how many fragments of a stream are sent again in retryRefused.
	maxRefusedADay = 100
	// freedAtOnce bounds how many segments are queued between two sessions.
	freedAtOnce = 100
)

// refusedLook is the least time between two looks for refused fragments that are due, when there was none.
const refusedLook = time.Minute

// unqueued is a segment of which refused fragments could not be queued. Others are queued before it, and it is not
// tried for unreadableFor: each try ends a session.
type unqueued struct {
	at   time.Time // when that was tried last
	disk bool      // as the disk failed
}

// retryOne queues a refused fragment that is due, and says whether there was one: it goes next, and
// alone. Call it when nothing else is pending.
func (u *Uploader) retryOne() bool {
	due := u.dueRefused()
	if due == nil || !u.requeue(due.Key, []time.Duration{due.Fragment.Start}, true) {
		return false
	}
	u.tried, u.lookedRefused = append(u.tried, u.o.Now()), time.Time{}
	u.suspects.suspect(shot{key: due.Key, frag: due.Fragment})
	return true
}

// dueRefused is the next refused fragment that is due; nil when none is, or as many as a day has were tried.
func (u *Uploader) dueRefused() *segment.Refused {
	now := u.o.Now()
	if now.Sub(u.lookedRefused).Abs() < refusedLook {
		return nil
	}
	tried := 0
	list := u.o.Store.Refused(u.o.Stream)
	var due *segment.Refused
	failing := make(map[segment.Key]unqueued)
	for i, r := range list {
		recent := now.Sub(r.At).Abs() < retryRefused // the clock may have been wrong then
		if recent && r.Tries > 0 {
			tried++
		}
		isDue, lately := !recent && r.Tries < maxRefusedTries, u.failedLately(r.Key)
		if x, ok := u.unqueued[r.Key]; ok && (isDue || lately) {
			failing[r.Key] = x
		}
		if isDue && !lately && !u.queue.isUnreadable(r.Key) && (due == nil || u.goesBefore(r, *due)) {
			due = &list[i]
		}
	}
	u.unqueued = failing // without those that nobody tries again
	u.tried = recently(u.tried, now)
	if due == nil || max(tried, len(u.tried)) >= maxRefusedADay {
		u.lookedRefused = now
		return nil
	}
	return due
}

// goesBefore tells which of two refused fragments is to be tried first: one that can be queued, as far as is known,
// and then the one that was tried least, so that each gets its first try soon.
func (u *Uploader) goesBefore(a, b segment.Refused) bool {
	return cmp.Or(u.unqueued[a.Key].at.Compare(u.unqueued[b.Key].at), cmp.Compare(a.Tries, b.Tries)) < 0
}

// failedLately tells whether refused fragments of a segment could not be queued a short while ago.
func (u *Uploader) failedLately(k segment.Key) bool {
	x, ok := u.unqueued[k]
	return ok && u.o.Now().Sub(x.at).Abs() < unreadableFor
}

// recently gives those of the times that are less than a day ago.
func recently(times []time.Time, now time.Time) (list []time.Time) {
	for _, t := range times {
		if now.Sub(t).Abs() < retryRefused {
			list = append(list, t)
		}
	}
	return list
}

// requeue makes fragments of a segment pending again. When that fails nothing is queued for refusedLook: as nothing
// of the segment pends, nothing else would keep sessions from being ended for it.
func (u *Uploader) requeue(k segment.Key, starts []time.Duration, counted bool) bool {
	err := u.o.Store.Requeue(k, starts, counted)
	if err == nil {
		delete(u.unqueued, k)
		return true
	}
	u.lookedRefused = u.o.Now()
	disk := !errors.Is(err, segment.ErrNotFound)
	u.unqueued[k] = unqueued{at: u.lookedRefused, disk: disk}
	if disk {
		u.unreadable(err)
	}
	return false
}

// queuesRefused tells whether the disk fails with no refused fragment that is to be queued.
func (u *Uploader) queuesRefused() bool {
	for _, x := range u.unqueued {
		if x.disk {
			return false
		}
	}
	return true
}

// tookAgain notes that the service took a fragment that it refused before: it may take those now that it
// refused for the same reason.
func (u *Uploader) tookAgain(s shot) {
	if code, ok := u.o.Store.RefusedBefore(s.key, s.frag.Start); ok {
		u.freed = append(u.freed, code)
	}
}

// free queues what was refused for reasons that no longer hold. It reports whether it did.
func (u *Uploader) free() (any bool) {
	if len(u.freed) == 0 {
		return false
	}
	starts := make(map[segment.Key][]time.Duration)
	left := false
	for _, r := range u.o.Store.Refused(u.o.Stream) {
		if !u.isFreed(r.Code) || u.queue.isUnreadable(r.Key) || u.failedLately(r.Key) {
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
		if u.requeue(k, list, false) {
			fragments += len(list)
		}
	}
	if fragments > 0 {
		u.log.Info("refused fragments are uploaded now, as the service takes their kind again",
			zap.Int("fragments", fragments), zap.Strings("codes", u.freed))
	}
	if !left {
		u.freed = nil
	}
	return fragments > 0
}

func (u *Uploader) isFreed(code string) bool {
	for _, freed := range u.freed {
		if segment.SameCode(freed, code) {
			return true
		}
	}
	return false
}

// refusedWait tells whether refused fragments are to be queued, once nothing else is pending.
func (u *Uploader) refusedWait() bool {
	return len(u.freed) > 0 || u.o.Store.Usage(u.o.Stream).RefusedFragments > 0 && u.dueRefused() != nil
}

// Refused sends all fragments again that the service refused, now and before everything else, however often
// that was done before, and tells each how far it is. It returns as Range does; what is refused again counts
// as Refused.
func (u *Uploader) Refused(ctx context.Context, each func(Progress)) error {
	only := make(map[fragmentID]int64) // with their sizes
	m := mode{to: time.UnixMilli(1), held: func(id fragmentID) bool { _, ok := only[id]; return !ok }}
	prepare := func() error {
		starts := make(map[segment.Key][]time.Duration)
		for _, r := range u.o.Store.Refused(u.o.Stream) {
			s := newShot(u.o.Store, r.Key, r.Fragment)
			if only[s.id()] = s.frag.Size; m.from.IsZero() || s.began().Before(m.from) {
				m.from = s.began()
			}
			if !s.began().Before(m.to) {
				m.to = s.began().Add(time.Millisecond)
			}
			starts[r.Key] = append(starts[r.Key], r.Fragment.Start)
		}
		for k, list := range starts {
			if err := u.o.Store.Requeue(k, list, false); err != nil && !errors.Is(err, segment.ErrNotFound) {
				return err
			}
		}
		return nil
	}
	count := func() (p Progress, whole bool) {
		refused := u.refusedNow()
		for id, size := range only {
			p.Total++
			p.TotalBytes += size
			if u.queue.pends(id) {
				continue
			}
			p.Done++
			p.Bytes += size
			if refused[id] {
				p.Refused++
			}
		}
		return p, true
	}
	return u.demand(ctx, &m, prepare, count, each)
}

// refusedNow says which fragments are refused.
func (u *Uploader) refusedNow() map[fragmentID]bool {
	list := make(map[fragmentID]bool)
	for _, r := range u.o.Store.Refused(u.o.Stream) {
		list[fragmentID{r.Key, r.Fragment.Start}] = true
	}
	return list
}
