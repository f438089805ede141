package retention

import (
	"slices"
	"time"
)

const (
	// settleTime is how long a file system may take to report freed space after a deletion. btrfs does so with its next
	// commit. Source: btrfs(5), commit=30.
	settleTime = 30 * time.Second
	// maxSettle is the maximum of settleTime, on a file system that does not report the space freed by deletions.
	maxSettle = 10 * time.Minute
	// releaseTime is how long the space of a deleted segment is awaited that another process had open.
	releaseTime = time.Hour
	// maxSmall is how many bytes recorders and the file system usually delay at most.
	maxSmall = 4 << 20
)

// diskState is the disk at one time. Sizes are in bytes.
type diskState struct {
	uptime time.Duration
	free   int64 // reported by the file system
	need   int64 // to be kept free
	floor  int64 // with less free the disk is about to be full
	ours   int64 // all media, as the agent counts it
	// deleted is all media deleted since the start, for any reason, as the agent counts it.
	deleted int64
}

// missing returns how many bytes are not free and should be.
func (d diskState) missing() int64 { return max(0, d.need-d.free) }

// others returns what would be free without the agent's media, according to the file system.
func (d diskState) others() int64 { return d.free + d.ours }

// freeing is a deletion whose space the file system may not have reported yet.
type freeing struct {
	at    time.Duration
	bytes int64
	wait  time.Duration
	held  bool // another process has it open: its space is freed when that closes it
}

// freedAccount compares the bytes that the agent deletes with the space that the file system reports as freed. Some file
// systems free at once, some with their next commit, some never, and none as long as another process has the file open. So
// it would be wrong to delete until enough is free: the past deletions may suffice. It has no side effects: the time comes
// with each diskState.
type freedAccount struct {
	began   bool
	synced  bool // since the start the file system was synced once, for deletions of the previous process
	start   diskState
	before  diskState // the previous one
	base    int64     // others when no deletion was awaited
	counted int64     // diskState.deleted as far as it is in the account
	awaited []freeing
	fresh   int // how many at the end of awaited were not measured yet
	// futile counts the waits in a row after which the file system had freed next to nothing. Then further deletions are
	// useless, and one segment at a time tests whether they help again.
	futile      int
	futileBytes int64 // deleted in those
}

// note adds a deletion. Deletions that are not noted are found by see.
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

// seeFresh removes the deletions since the previous diskState from the account when their space is free already.
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

// deletionHelps records that deleting frees space.
func (r *freedAccount) deletionHelps() { r.futile, r.futileBytes = 0, 0 }

// small reports whether a difference between the two counts is insignificant.
func small(bytes int64) int64 { return min(bytes/8, maxSmall) }

// expire drops deletions whose space should have been reported by now. unshown is how many bytes of the ordinary ones are
// missing.
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

// sums returns the awaited bytes: those that the file system frees by itself, and those of files that are open elsewhere.
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

// unshown returns how many deleted bytes are not free yet.
func (r *freedAccount) unshown(d diskState) int64 {
	ordinary, held := r.sums()
	return r.within(d, ordinary+held)
}

// within returns what the disk lost to files other than media since no deletion was awaited, at most that much.
func (r *freedAccount) within(d diskState, most int64) int64 {
	return min(max(0, r.base-d.others()), most)
}

// allowed returns how many bytes may be deleted now; one segment more at most, as the last one need not match exactly. While
// deletions are awaited, these are the bytes written since, and never more. reserve is for the space to be kept free; full
// is for a disk that is about to be full, where files that another process holds open do not help.
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

// reaches reports whether the space to be kept free could be reached, now or when all deletions are reported, by deleting
// all of the agent's media.
func (r *freedAccount) reaches(d diskState) bool { return d.others()+r.unshown(d) >= d.need }

// starts reports whether the previous process may have deleted media whose space is not reported yet.
func (r *freedAccount) starts(d diskState) bool { return d.uptime < settleTime && !r.synced }

// due reports whether a deletion is about to be dropped whose space the file system should have reported.
func (r *freedAccount) due(d diskState) bool {
	ordinary, held := r.sums()
	return r.unshown(d)-held > small(ordinary) &&
		slices.ContainsFunc(r.awaited, func(f freeing) bool { return !f.held && d.uptime-f.at >= f.wait })
}

// awaits reports whether the file system has yet to report deletions that it frees by itself.
func (r *freedAccount) awaits() bool {
	ordinary, _ := r.sums()
	return ordinary > 0
}
