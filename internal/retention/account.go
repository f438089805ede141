package retention

import (
	"slices"
	"time"
)

const (
	// settleTime is how long a file system may take to show what was deleted. btrfs does so with its next
	// commit. Source: btrfs(5), commit=30.
	settleTime = 30 * time.Second
	// maxSettle is what settleTime grows to on a file system that shows nothing of what is deleted.
	maxSettle = 10 * time.Minute
	// releaseTime is how long the bytes of a segment are awaited that was deleted while somebody held it open.
	releaseTime = time.Hour
	// maxSmall is what recorders and the file system hold back at most, in the ordinary case.
	maxSmall = 4 << 20
)

// diskState is the disk at one time. Sizes are in bytes.
type diskState struct {
	uptime time.Duration
	free   int64 // what the file system shows
	need   int64 // what is to be free
	floor  int64 // with less the disk is about to be full
	ours   int64 // all media, by our own count
	// deleted is all that was deleted since the start, for whatever reason, by our own count.
	deleted int64
}

// missing is what is not free and should be.
func (d diskState) missing() int64 { return max(0, d.need-d.free) }

// others is what would be free without our media, as far as the file system shows it.
func (d diskState) others() int64 { return d.free + d.ours }

// freeing is a deletion that the file system may not have shown yet.
type freeing struct {
	at    time.Duration
	bytes int64
	wait  time.Duration
	held  bool // somebody has it open: it is freed when they close it
}

// freedAccount is the account between what we delete and what the file system shows of it. Some free at once, some
// with their next commit, some never, and none as long as a file is open elsewhere. So it is a mistake to
// delete until enough is free: what was deleted already may suffice. It is pure: the time comes with each diskState.
type freedAccount struct {
	began   bool
	synced  bool // since the start the file system was asked for what the process before deleted, and did it
	start   diskState
	before  diskState // the one before
	base    int64     // others when nothing was awaited
	counted int64     // of diskState.deleted
	awaited []freeing
	fresh   int // how many at the end of awaited no measurement has seen yet
	// futile counts the waits in a row after which the file system showed next to nothing. Then deleting on is
	// of no use, and one segment at a time shows whether it is of use again.
	futile      int
	futileBytes int64 // deleted in those
}

// note adds a deletion. What nobody noted, see finds by itself.
func (r *freedAccount) note(uptime time.Duration, bytes int64, held bool) {
	f := freeing{at: uptime, bytes: bytes, held: held, wait: releaseTime}
	if !held {
		f.wait = min(settleTime<<min(r.futile, 8), maxSettle)
	}
	r.awaited = append(r.awaited, f)
	r.fresh++
	r.counted += bytes
}

// see compares the account with the disk.
func (r *freedAccount) see(d diskState) {
	if !r.began {
		r.began, r.start, r.before, r.base, r.counted = true, d, d, d.others(), d.deleted
	}
	if rest := d.deleted - r.counted; rest > 0 {
		r.note(d.uptime, rest, false)
	}
	r.seeFresh(d)
	r.fresh, r.before = 0, d
	ordinary, held := r.sums()
	unshown := r.unshown(d)
	switch {
	case ordinary+held == 0 || unshown <= small(ordinary+held):
		if ordinary+held > 0 {
			r.deletionHelps()
		}
		r.awaited, r.base = nil, d.others()
		return
	case ordinary > 0 && unshown-held < ordinary/2:
		r.deletionHelps()
	}
	r.expire(d, unshown-held, ordinary)
}

// seeFresh takes what was deleted between this diskState and the one before off the account when it is free already.
func (r *freedAccount) seeFresh(d diskState) {
	var ordinary, held int64
	for _, f := range r.awaited[len(r.awaited)-r.fresh:] {
		if f.held {
			held += f.bytes
		} else {
			ordinary += f.bytes
		}
	}
	if ordinary == 0 || r.before.others()-d.others()-held > small(ordinary) {
		return
	}
	r.deletionHelps()
	left := r.awaited[:len(r.awaited)-r.fresh]
	for _, f := range r.awaited[len(r.awaited)-r.fresh:] {
		if f.held {
			left = append(left, f)
		}
	}
	r.awaited = left
}

// deletionHelps notes that deleting helps.
func (r *freedAccount) deletionHelps() { r.futile, r.futileBytes = 0, 0 }

// small is a difference between the two counts that means nothing.
func small(bytes int64) int64 { return min(bytes/8, maxSmall) }

// expire gives up what should have been shown by now. unshown is what is missing of the ordinary ones.
func (r *freedAccount) expire(d diskState, unshown, ordinary int64) {
	var late int64
	left := r.awaited[:0]
	for _, f := range r.awaited {
		if d.uptime-f.at < f.wait {
			left = append(left, f)
		} else if !f.held {
			late += f.bytes
		}
	}
	r.awaited = left
	if late > 0 && unshown >= ordinary-small(ordinary) {
		r.futile++
		r.futileBytes += late
	}
	if len(r.awaited) == 0 {
		r.base = d.others()
	}
}

// sums are the bytes that are awaited: of what the file system frees by itself, and of what is open elsewhere.
func (r *freedAccount) sums() (ordinary, held int64) {
	for _, f := range r.awaited {
		if f.held {
			held += f.bytes
		} else {
			ordinary += f.bytes
		}
	}
	return ordinary, held
}

// unshown is what was deleted and is not free yet.
func (r *freedAccount) unshown(d diskState) int64 {
	ordinary, held := r.sums()
	return r.within(d, ordinary+held)
}

// within is what the disk lacks beside our media since nothing was awaited, at most so much.
func (r *freedAccount) within(d diskState, most int64) int64 {
	return min(max(0, r.base-d.others()), most)
}

// allowed says how many bytes may be deleted now; one segment more at most, as the last one need not fit. While
// something is awaited that is what was written since, and never more. reserve is for what is to be free; full is for
// a disk that is about to be full, for which what somebody else holds open is of no use.
func (r *freedAccount) allowed(d diskState) (reserve, full int64) {
	ordinary, _ := r.sums()
	reserve = d.missing() - r.unshown(d)
	full = min(d.floor-d.free, d.missing()) - r.within(d, ordinary)
	switch {
	case r.futile > 0 && ordinary > 0:
		reserve = 0
	case r.futile > 0:
		reserve = min(reserve, 1)
	case r.starts(d):
		reserve = min(reserve, d.ours-r.start.ours)
	}
	return max(0, reserve), max(0, full)
}

// reaches reports whether what is to be free would be, now or when all is shown, if all of our media were deleted.
func (r *freedAccount) reaches(d diskState) bool { return d.others()+r.unshown(d) >= d.need }

// starts reports whether the process before may have deleted what is not shown yet.
func (r *freedAccount) starts(d diskState) bool { return d.uptime < settleTime && !r.synced }

// due reports whether something is about to be given up that the file system should have shown.
func (r *freedAccount) due(d diskState) bool {
	ordinary, held := r.sums()
	return r.unshown(d)-held > small(ordinary) &&
		slices.ContainsFunc(r.awaited, func(f freeing) bool { return !f.held && d.uptime-f.at >= f.wait })
}

// awaits reports whether the file system has not shown all yet that it frees by itself.
func (r *freedAccount) awaits() bool {
	ordinary, _ := r.sums()
	return ordinary > 0
}
