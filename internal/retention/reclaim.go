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

// look is the disk at one time. Sizes are in bytes.
type look struct {
	uptime time.Duration
	free   int64 // what the file system shows
	need   int64 // what is to be free
	floor  int64 // with less the disk is about to be full
	ours   int64 // all media, by our own count
	// deleted is all that was deleted since the start, for whatever reason, by our own count.
	deleted int64
}

// missing is what is not free and should be.
func (l look) missing() int64 { return max(0, l.need-l.free) }

// others is what would be free without our media, as far as the file system shows it.
func (l look) others() int64 { return l.free + l.ours }

// freeing is a deletion that the file system may not have shown yet.
type freeing struct {
	at    time.Duration
	bytes int64
	wait  time.Duration
	held  bool // somebody has it open: it is freed when they close it
}

// reclaim is the account between what we delete and what the file system shows of it. Some free at once, some
// with their next commit, some never, and none as long as a file is open elsewhere. So it is a mistake to
// delete until enough is free: what was deleted already may suffice. It is pure: the time comes with each look.
type reclaim struct {
	began   bool
	synced  bool // since the start the file system was asked for what the process before deleted, and did it
	start   look
	before  look  // the one before
	base    int64 // others when nothing was owed
	counted int64 // of look.deleted
	owed    []freeing
	fresh   int // how many at the end of owed no look has seen yet
	// barren counts the waits in a row after which the file system showed next to nothing. Then deleting on is
	// of no use, and one segment at a time tells whether it is again.
	barren  int
	useless int64 // bytes deleted in those
}

// took notes a deletion. What nobody noted, see finds by itself.
func (r *reclaim) took(uptime time.Duration, bytes int64, held bool) {
	f := freeing{at: uptime, bytes: bytes, held: held, wait: releaseTime}
	if !held {
		f.wait = min(settleTime<<min(r.barren, 8), maxSettle)
	}
	r.owed = append(r.owed, f)
	r.fresh++
	r.counted += bytes
}

// see compares the account with the disk.
func (r *reclaim) see(l look) {
	if !r.began {
		r.began, r.start, r.before, r.base, r.counted = true, l, l, l.others(), l.deleted
	}
	if rest := l.deleted - r.counted; rest > 0 {
		r.took(l.uptime, rest, false)
	}
	r.seeFresh(l)
	r.fresh, r.before = 0, l
	ordinary, held := r.sums()
	unshown := r.unshown(l)
	switch {
	case ordinary+held == 0 || unshown <= small(ordinary+held):
		if ordinary+held > 0 {
			r.proves()
		}
		r.owed, r.base = nil, l.others()
		return
	case ordinary > 0 && unshown-held < ordinary/2:
		r.proves()
	}
	r.expire(l, unshown-held, ordinary)
}

// seeFresh takes what was deleted between this look and the one before off the account when it is free already.
func (r *reclaim) seeFresh(l look) {
	var ordinary, held int64
	for _, f := range r.owed[len(r.owed)-r.fresh:] {
		if f.held {
			held += f.bytes
		} else {
			ordinary += f.bytes
		}
	}
	if ordinary == 0 || r.before.others()-l.others()-held > small(ordinary) {
		return
	}
	r.proves()
	left := r.owed[:len(r.owed)-r.fresh]
	for _, f := range r.owed[len(r.owed)-r.fresh:] {
		if f.held {
			left = append(left, f)
		}
	}
	r.owed = left
}

// proves notes that deleting helps.
func (r *reclaim) proves() { r.barren, r.useless = 0, 0 }

// small is a difference between the two counts that means nothing.
func small(bytes int64) int64 { return min(bytes/8, maxSmall) }

// expire gives up what should have been shown by now. unshown is what is missing of the ordinary ones.
func (r *reclaim) expire(l look, unshown, ordinary int64) {
	var late int64
	left := r.owed[:0]
	for _, f := range r.owed {
		if l.uptime-f.at < f.wait {
			left = append(left, f)
		} else if !f.held {
			late += f.bytes
		}
	}
	r.owed = left
	if late > 0 && unshown >= ordinary-small(ordinary) {
		r.barren++
		r.useless += late
	}
	if len(r.owed) == 0 {
		r.base = l.others()
	}
}

// sums are the bytes that are owed: of what the file system frees by itself, and of what is open elsewhere.
func (r *reclaim) sums() (ordinary, held int64) {
	for _, f := range r.owed {
		if f.held {
			held += f.bytes
		} else {
			ordinary += f.bytes
		}
	}
	return ordinary, held
}

// unshown is what was deleted and is not free yet.
func (r *reclaim) unshown(l look) int64 {
	ordinary, held := r.sums()
	return r.within(l, ordinary+held)
}

// within is what the disk lacks beside our media since nothing was owed, at most so much.
func (r *reclaim) within(l look, most int64) int64 { return min(max(0, r.base-l.others()), most) }

// allowed says how many bytes may be deleted now; one segment more at most, as the last one need not fit. While
// something is owed that is what was written since, and never more. reserve is for what is to be free; full is for
// a disk that is about to be full, for which what somebody else holds open is of no use.
func (r *reclaim) allowed(l look) (reserve, full int64) {
	ordinary, _ := r.sums()
	reserve = l.missing() - r.unshown(l)
	full = min(l.floor-l.free, l.missing()) - r.within(l, ordinary)
	switch {
	case r.barren > 0 && ordinary > 0:
		reserve = 0
	case r.barren > 0:
		reserve = min(reserve, 1)
	case r.starts(l):
		reserve = min(reserve, l.ours-r.start.ours)
	}
	return max(0, reserve), max(0, full)
}

// reaches reports whether what is to be free would be, now or when all is shown, if all of our media were deleted.
func (r *reclaim) reaches(l look) bool { return l.others()+r.unshown(l) >= l.need }

// starts reports whether the process before may have deleted what is not shown yet.
func (r *reclaim) starts(l look) bool { return l.uptime < settleTime && !r.synced }

// due reports whether something is about to be given up that the file system should have shown.
func (r *reclaim) due(l look) bool {
	ordinary, held := r.sums()
	return r.unshown(l)-held > small(ordinary) &&
		slices.ContainsFunc(r.owed, func(f freeing) bool { return !f.held && l.uptime-f.at >= f.wait })
}

// owes reports whether the file system has not shown all yet that it frees by itself.
func (r *reclaim) owes() bool {
	ordinary, _ := r.sums()
	return ordinary > 0
}
