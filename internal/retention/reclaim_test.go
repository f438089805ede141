package retention

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// freeingKind is when a file system frees what is deleted.
type freeingKind int

const (
	atOnce   freeingKind = iota
	atCommit             // every 30 s
	atNoTime             // snapshots keep it
	freeingKinds
)

// file is a segment on a modelled disk.
type file struct {
	segment.Info
	openUntil time.Duration // somebody else has it open until then
}

// ghost is a deleted file whose space is not free yet.
type ghost struct {
	bytes int64
	at    time.Duration
	until time.Duration // somebody has it open until then
	known bool          // to the process that runs
}

// rig is a disk with streams, in memory, with a file system of its kind.
type rig struct {
	t        *testing.T
	random   *rand.Rand
	kind     freeingKind
	readers  bool          // other programs read now and then
	unsynced bool          // nobody can ask for a commit
	synced   time.Duration // when somebody last did
	total    int64
	foreign  int64 // what others have on the disk
	need     int64
	files    map[string][]*file
	ghosts   []ghost
	counted  int64 // deleted since the start of the process
	written  int64 // since then

	keeper  *Keeper
	now     time.Duration // of the rig
	born    time.Duration // of the process
	policy  map[string]Policy
	nextKey int64

	// Of the present pass.
	gone  []*file
	asked map[segment.Key]bool

	heldSince map[segment.Key]time.Duration // first asked while held
	lastAsked map[segment.Key]time.Duration
	changed   time.Duration // when others last wrote or deleted
	lost      int64         // bytes, not uploaded
}

const mb = 1 << 20

func newRig(t *testing.T, random *rand.Rand) *rig {
	w := &rig{
		t: t, random: random, kind: freeingKind(random.IntN(int(freeingKinds))), readers: random.IntN(2) == 0, unsynced: random.IntN(2) == 0,
		total: int64(400+random.IntN(2000)) * mb, files: make(map[string][]*file), heldSince: make(map[segment.Key]time.Duration),
		lastAsked: make(map[segment.Key]time.Duration),
		policy:    map[string]Policy{"door": {}, "yard": {}, "gate": {OnFull: desired.OnFull(random.IntN(2))}},
		now:       time.Hour, changed: -time.Hour,
	}
	w.need = w.total / int64(3+random.IntN(15))
	if random.IntN(3) == 0 { // others fill the disk, so that the reserve is at the edge of what we can reach
		w.foreign = max(0, w.total-w.need-(random.Int64N(200)-60)*mb)
	}
	w.start()
	w.now += settleTime
	return w
}

// start begins a process that knows nothing about the previous one.
func (w *rig) start() {
	w.born, w.counted, w.written = w.now, 0, 0
	for i := range w.ghosts { // what somebody has open is not free for long yet, and nobody knows of it
		w.ghosts[i].known = w.ghosts[i].until <= w.now
	}
	w.heldSince, w.lastAsked = make(map[segment.Key]time.Duration), make(map[segment.Key]time.Duration)
	clock := func() time.Time { return begin.Add(w.now) }
	w.keeper = New(Options{
		Store: w, Health: health.NewRegistry(clock), MinFree: func(uint64) uint64 { return uint64(w.need) },
		Now: clock, Uptime: func() time.Duration { return w.now - w.born }, Synchronised: func() bool { return true },
	})
	w.keeper.awaitFor = 0
	for name, p := range w.policy {
		w.keeper.SetPolicy(name, p)
	}
}

// The Store of a Keeper.

func (w *rig) Streams() []string { return []string{"door", "gate", "yard"} }

func (w *rig) Walk(stream string, which segment.Kinds) iter.Seq[segment.Info] {
	return func(yield func(segment.Info) bool) {
		for _, f := range slices.Clone(w.files[stream]) {
			kind := segment.NotUploaded
			if f.State == segment.Uploaded && f.Refused {
				kind = segment.UploadedRefused
			} else if f.State == segment.Uploaded {
				kind = segment.UploadedWhole
			}
			if which&kind != 0 && !yield(f.Info) {
				return
			}
		}
	}
}

func (w *rig) Usage(stream string) (u segment.Usage) {
	for _, f := range w.files[stream] {
		u.Segments++
		u.Bytes += f.Bytes
		if !uploaded(f.Info) {
			u.PendingBytes += f.Bytes
		}
	}
	return u
}

func (w *rig) Delete(k segment.Key) error {
	i := slices.IndexFunc(w.files[k.Stream], func(f *file) bool { return f.Key == k })
	if i < 0 {
		return segment.ErrNotFound
	}
	f := w.files[k.Stream][i]
	w.files[k.Stream] = slices.Delete(w.files[k.Stream], i, i+1)
	w.counted += f.Bytes
	w.gone = append(w.gone, f)
	if w.kind != atOnce || f.openUntil > w.now {
		w.ghosts = append(w.ghosts, ghost{f.Bytes, w.now, f.openUntil, true})
	}
	return nil
}

func (w *rig) RemoveGarbage(string) error { return nil }

func (w *rig) Held(k segment.Key) (held, known bool) {
	for _, f := range w.files[k.Stream] {
		if f.Key == k {
			if held = f.openUntil > w.now; held {
				w.asked[k] = true
			} else {
				delete(w.lastAsked, k)
			}
			return held, true
		}
	}
	return false, false
}

func (w *rig) Misdated(string) []segment.Misdated { return nil }

func (w *rig) NewestBefore(string, time.Time) time.Time { return time.Time{} }

func (w *rig) NoteClock(string, time.Time, time.Time, time.Duration) error { return nil }

func (w *rig) LastEnd(string) time.Time { return time.Time{} }

func (w *rig) SetLimit(string, segment.Limit) {}

func (w *rig) ExpireHolds(time.Time) {}

func (w *rig) Pause(string, *health.Fault) {}

func (w *rig) Resume(string) {}

func (w *rig) Commit() error {
	if w.unsynced {
		return errors.New("not supported")
	}
	w.synced = w.now
	return nil
}

func (w *rig) SameDisk(string) bool { return true }

func (w *rig) Deleted() int64 { return w.counted }

func (w *rig) DiskFree() (free, total uint64, err error) {
	return uint64(w.free()), uint64(w.total), nil
}

// free is what the file system shows.
func (w *rig) free() int64 {
	commit := w.now.Truncate(settleTime)
	w.ghosts = slices.DeleteFunc(w.ghosts, func(g ghost) bool {
		freed := g.until <= w.now
		switch w.kind {
		case atCommit:
			freed = freed && (max(g.at, g.until) < commit || max(g.at, g.until) <= w.synced)
		case atNoTime:
			freed = false
		}
		return freed
	})
	free := w.total - w.foreign - w.ours()
	for _, g := range w.ghosts {
		free -= g.bytes
	}
	return max(0, free)
}

func (w *rig) ours() (bytes int64) {
	for _, list := range w.files {
		for _, f := range list {
			bytes += f.Bytes
		}
	}
	return bytes
}

// coming is what was deleted and comes free by itself within a commit.
func (w *rig) coming() (bytes int64) {
	for _, g := range w.ghosts {
		if w.kind != atNoTime && g.until <= w.now && g.known {
			bytes += g.bytes
		}
	}
	return bytes
}

// act lets something happen to the disk.
func (w *rig) act() {
	name := w.Streams()[w.random.IntN(3)]
	switch n := w.random.IntN(100); {
	case n < 55:
		w.record(name)
	case n < 65:
		if list := w.files[name]; len(list) > 0 {
			f := list[w.random.IntN(len(list))]
			f.State, f.Refused = segment.Uploaded, w.random.IntN(5) == 0
		}
	case n < 75 && w.readers:
		w.hold(name)
	case n == 98:
		w.others()
	case n == 99 && w.random.IntN(10) == 0:
		w.start()
	}
}

// others write to the disk, or delete from it; now and then much.
func (w *rig) others() {
	change := (w.random.Int64N(60) - 30) * mb
	if w.random.IntN(10) == 0 {
		change *= 20
	}
	if change = max(change, -w.foreign); w.free()-change > 0 {
		w.foreign += change
		w.changed = w.now
	}
}

// record writes a segment, if there is room for it.
func (w *rig) record(name string) {
	bytes := int64(1+w.random.IntN(20)) * mb
	if bytes > w.free() {
		return
	}
	w.nextKey++
	w.written += bytes
	w.files[name] = append(w.files[name], &file{Info: segment.Info{
		Key: segment.Key{Stream: name, Start: w.nextKey}, End: begin, RecordedFrom: begin, RecordedTo: begin, Bytes: bytes, State: segment.Sealed,
	}})
}

// hold has a reader open the oldest of a stream, as an export does.
func (w *rig) hold(name string) {
	for i, f := range w.files[name] {
		if i >= 1+w.random.IntN(10) {
			return
		}
		f.openUntil = max(f.openUntil, w.now+time.Duration(w.random.IntN(1200))*time.Second)
	}
}

// pass has the keeper make a pass, and holds what it did against the rules.
func (w *rig) pass() {
	w.gone, w.asked = nil, make(map[segment.Key]bool)
	free, coming, floor := w.free(), w.coming(), min(w.need/2, floorBytes)
	possible := w.total - w.foreign
	w.keeper.pass(w.t.Context())
	var bytes, last, robbed int64
	for _, f := range w.gone {
		last = f.Bytes
		bytes += f.Bytes
		if !uploaded(f.Info) {
			robbed += f.Bytes
		}
	}
	w.lost += robbed
	missing := max(0, w.need-free)
	if bytes-last > 0 && bytes-last >= missing {
		w.fail("deleted %d MB, %d were missing", bytes/mb, missing/mb)
	}
	quiet := w.now-w.changed > maxSettle+settleTime // simultaneous changes by others are not distinguished
	most := max(0, missing-coming)
	if w.unsynced && w.now-w.born < settleTime { // what the process before deleted is not known
		most = max(most, w.written)
	}
	if quiet && free >= floor && bytes > 0 && bytes-last > most+maxSmall {
		w.fail("deleted %d MB with %d missing, of which %d are deleted already", bytes/mb, missing/mb, coming/mb)
	}
	if robbed > 0 && possible < w.need {
		w.fail("%d MB that are not uploaded are deleted for a reserve that is out of reach", robbed/mb)
	}
	w.judgeHeld(free, floor, missing, bytes, last)
}

// judgeHeld checks the files that others have open.
func (w *rig) judgeHeld(free, floor, missing, bytes, last int64) {
	var passed int64
	for _, list := range w.files {
		for _, f := range list {
			if !w.asked[f.Key] {
				continue
			}
			if last, ok := w.lastAsked[f.Key]; !ok || w.now-last > passOver {
				w.heldSince[f.Key] = w.now
			}
			w.lastAsked[f.Key] = w.now
			if passed += f.Bytes; w.now-w.heldSince[f.Key] > passOver {
				w.fail("%+v is passed over for %s", f.Key, w.now-w.heldSince[f.Key])
			}
		}
	}
	for _, f := range w.gone {
		if f.openUntil > w.now && w.now-w.heldSince[f.Key] < passOver {
			w.fail("%+v is deleted although somebody has it open, first seen so %s ago", f.Key, w.now-w.heldSince[f.Key])
		}
	}
	if passed > 0 && free >= floor && bytes > 0 && bytes-last+passed > missing+maxFile {
		w.fail("deleted %d MB in the stead of %d MB that are held, with %d missing", bytes/mb, passed/mb, missing/mb)
	}
}

const maxFile = 20 * mb

func (w *rig) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("kind %d, after %s, reserve %d of %d MB, free %d: %s\n%+v", w.kind, w.now-time.Hour, w.need/mb, w.total/mb, w.free()/mb,
		fmt.Sprintf(format, args...), w.keeper.account)
}

// rest has passes alone until the disk must be as it should.
func (w *rig) rest() {
	lost, hours := w.lost, 3
	if w.kind == atNoTime {
		hours = 1
	}
	for range hours * int(releaseTime/DefaultInterval) {
		w.now += DefaultInterval
		w.pass()
	}
	deletable, all := int64(0), int64(0)
	for name, list := range w.files {
		for _, f := range list {
			all += f.Bytes
			if uploaded(f.Info) || w.policy[name].OnFull == DeleteOldest {
				deletable += f.Bytes
			}
		}
	}
	switch free := w.free(); {
	case w.kind == atNoTime:
		// A segment every ten minutes to see whether it is still so; on a disk that is about to be full a little more.
		if w.lost-lost > 10*(maxFile+floorBytes) {
			w.fail("%d MB are deleted in an hour on a disk that frees nothing", (w.lost-lost)/mb)
		}
	case free < w.need && free+deletable >= w.need && w.total-w.foreign >= w.need:
		w.fail("%d MB are free after 3 h, %d of %d MB could be deleted", free/mb, deletable/mb, all/mb)
	}
}

// reclaimRuns is how many disks are modelled, and how many steps of each.
type reclaimRuns struct{ disks, steps int }

// TestReclaimingAgreesWithAModel holds what passes delete for the disk against file systems that free at once,
// with a commit, and never, with readers, and with others that fill the disk.
func TestReclaimingAgreesWithAModel(t *testing.T) {
	t.Parallel()
	runs := testtools.Proof(t, "reclaim", testtools.Sizes[reclaimRuns]{
		Short: reclaimRuns{5, 300}, Middle: reclaimRuns{15, 4000}, Long: reclaimRuns{250, 4000},
	})
	var lost int64
	kinds := make(map[freeingKind]int)
	for seed := range uint64(runs.disks) {
		w := newRig(t, rand.New(rand.NewPCG(seed, 16)))
		kinds[w.kind]++
		for range runs.steps {
			w.now += time.Duration(1+w.random.IntN(8)) * time.Second
			w.act()
			w.pass()
		}
		w.rest()
		if lost += w.lost; t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d steps on rigs of the kinds %v; %d GB were deleted before their upload", runs.disks*runs.steps, kinds, lost>>30)
}

// TestADiskThatFreesNothingIsNotEmptied is for snapshots of the file system: deletions there lose media without freeing space.
func TestADiskThatFreesNothingIsNotEmptied(t *testing.T) {
	t.Parallel()
	const segment, need = 15 * mb, 1024 * mb
	var r freedAccount
	l := diskState{free: need - 25*mb, need: need, floor: 76 * mb, ours: 60_000 * mb}
	for ; l.uptime < 24*time.Hour; l.uptime += DefaultInterval {
		r.see(l)
		for reserve, full := r.allowed(l); reserve > 0 || full > 0; reserve, full = reserve-segment, full-segment {
			r.note(l.uptime, segment, false)
			l.ours, l.deleted = l.ours-segment, l.deleted+segment
		}
		r.see(l)
	}
	if most := int64(2+160) * segment; l.deleted > most || r.futile == 0 {
		t.Errorf("%d MB were deleted in a day", l.deleted/mb)
	}
	l.free += l.deleted // the snapshot is removed
	if r.see(l); r.futile != 0 {
		t.Error("that the disk frees again is not noticed")
	}
}

// TestAStartTrustsThePreviousProcess is for a file system that has yet to free what the previous process deleted, and that cannot be
// synced: only as much is deleted as is recorded, until the file system had the time.
func TestAStartTrustsThePreviousProcess(t *testing.T) {
	t.Parallel()
	const need = 1024 * mb
	r := freedAccount{}
	d := diskState{uptime: time.Second, free: need - 100*mb, need: need, floor: 76 * mb, ours: 60_000 * mb}
	for _, c := range []struct {
		what     string
		uptime   time.Duration
		recorded int64
		synced   bool
		want     int64
	}{
		{what: "at the start", uptime: time.Second},
		{what: "after something was recorded", uptime: 10 * time.Second, recorded: 15 * mb, want: 15 * mb},
		{what: "synced", uptime: 10 * time.Second, recorded: 15 * mb, synced: true, want: 115 * mb},
		{what: "just before the file system had the time", uptime: settleTime - 1, recorded: 15 * mb, want: 15 * mb},
		{what: "when it had the time", uptime: settleTime, recorded: 15 * mb, want: 115 * mb},
	} {
		now := d
		now.uptime, now.ours, now.free = c.uptime, d.ours+c.recorded, d.free-c.recorded
		r.synced = c.synced
		r.see(now)
		if reserve, full := r.allowed(now); reserve != c.want || full != 0 {
			t.Errorf("%s: %d and %d MB may be deleted, want %d", c.what, reserve/mb, full/mb, c.want/mb)
		}
	}
}
