package simulate

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
)

// What is known of an access unit.
const (
	given   uint8 = 1 << iota // the camera sent it to a recorder, after a keyframe
	written                   // to a file
	synced                    // and that was synced: a promise
	stored                    // the cloud has it
	gone                      // deleted on the hub, rightly
	onDisk                    // found in the store by the check that is under way
	due                       // synced before that check began to read
	claimed                   // in a segment of which the store says that all of it is uploaded
)

// account is what the world has seen of each access unit, and holds the promises against it. Safe for concurrent use.
type account struct {
	begin time.Time
	clock *clock
	reach func(string)

	mu       sync.Mutex
	wrong    []string             // guarded by mu, as all below
	units    [][]uint8            // by camera and number
	late     [][]uint8            // how long after it was made a unit came, in seconds
	at       [][]int32            // the last fragment of the cloud that has a unit, and 1
	archive  []arrived            // the fragments of the cloud
	acked    map[string]time.Time // by number, not harvested yet
	inFile   map[int][]run        // by inode
	policies map[string][]policy  // by stream, the last two
	removal  map[string]bool      // streams that the cloud deletes, with their media
	holds    map[string]hold.Hold
	deleted  []deletion
	troubles []span
	kills    []time.Time
	numbers  tallies
}

// tallies are counts for people.
type tallies struct {
	Given, Synced, Stored, Twice, Deleted int
}

// run is access units in a row.
type run struct {
	camera   uint8
	from, to uint32 // inclusive
}

// span is a time in which the world was not calm.
type span struct{ from, to time.Time }

type policy struct {
	since time.Time
	retention.Policy
}

// arrived is a fragment in the cloud.
type arrived struct {
	first, last uint32
	producer    int64 // ms
	length      int64 // ms
	at          int64 // ms
	acked       int64 // ms; 0: the agent has not seen the acknowledgement
}

// deletion is that of a segment on the hub.
type deletion struct {
	name  string
	at    time.Time
	units []run
	why   string // "" when the cloud must have it
}

func newAccount(cameras int, length time.Duration, c *clock, reach func(string)) *account {
	l := &account{begin: time.Now(), clock: c, reach: reach, acked: make(map[string]time.Time), inFile: make(map[int][]run),
		policies: make(map[string][]policy), removal: make(map[string]bool), holds: make(map[string]hold.Hold)}
	for range cameras {
		n := int(length/time.Second) + 10*3600
		l.units, l.late, l.at = append(l.units, make([]uint8, n)), append(l.late, make([]uint8, n)), append(l.at, make([]int32, n))
	}
	return l
}

// mostWrong bounds what is said of a seed.
const mostWrong = 20

// fail notes a broken promise. mu is held.
func (l *account) fail(format string, args ...any) {
	if len(l.wrong) < mostWrong {
		l.wrong = append(l.wrong, fmt.Sprintf("after %s: ", time.Since(l.begin).Truncate(time.Second))+fmt.Sprintf(format, args...))
	}
}

// broken notes a broken promise.
func (l *account) broken(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail(format, args...)
}

func (l *account) unit(u unit) *uint8 {
	if int(u.camera) >= len(l.units) || int(u.n) >= len(l.units[u.camera]) {
		return new(uint8)
	}
	return &l.units[u.camera][u.n]
}

func (l *account) made(n uint32) time.Time { return l.begin.Add(time.Duration(n) * time.Second) }

func (l *account) gave(u unit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*l.unit(u) |= given
	if late := time.Since(l.made(u.n)); late > 0 && int(u.n) < len(l.late[u.camera]) {
		l.late[u.camera][u.n] = uint8(min(late/time.Second, 255))
	}
}

// written implements diskWatch.
func (l *account) written(ino int, list []unit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	runs := l.inFile[ino]
	for _, u := range list {
		*l.unit(u) |= written
		if k := len(runs) - 1; k >= 0 && runs[k].camera == u.camera && runs[k].to+1 == u.n {
			runs[k].to = u.n
		} else {
			runs = append(runs, run{u.camera, u.n, u.n})
		}
	}
	l.inFile[ino] = runs
}

// synced implements diskWatch.
func (l *account) synced(list []unit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, u := range list {
		*l.unit(u) |= synced
	}
}

// removed implements diskWatch: it judges the deletion of a segment.
func (l *account) removed(ino int, name string, usage, free int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	units := l.inFile[ino]
	if len(units) == 0 {
		return
	}
	delete(l.inFile, ino)
	if strings.HasSuffix(name, atomicfile.BesideSuffix) {
		return // a copy that failed
	}
	stream := filepath.Base(filepath.Dir(name))
	d := deletion{name: name, at: time.Now(), units: units, why: l.reason(stream, units, usage, free)}
	l.numbers.Deleted++
	if h, held := l.held(stream, units); held && !strings.Contains(name, "writing") {
		l.fail("segment %s was deleted (%s), although it is held from %s to %s", name, d.why, h.From, h.To)
	}
	if d.why != "" {
		l.reach("deleted " + d.why)
	}
	l.deleted = append(l.deleted, d)
}

// reason is why a segment may be deleted that the cloud does not have. mu is held.
func (l *account) reason(stream string, units []run, usage, free int64) string {
	newest := l.made(units[len(units)-1].to)
	if l.removal[stream] {
		return "with its stream"
	}
	for _, p := range l.policies[stream] {
		off := l.clock.near.Load() // a clock that is far off must delete nothing
		if p.Local {
			off = l.clock.worst.Load() // but where media is asked for by its times these are not corrected
		}
		slack := 2*time.Duration(off) + 2*time.Minute
		switch {
		case p.MaxAge > 0 && time.Since(newest) >= p.MaxAge-slack:
			return "for its age"
		case p.MaxBytes > 0 && p.OnFull == desired.DeleteOldest && usage > p.MaxBytes*3/4:
			return "for the stream's size"
		}
	}
	if free < 4*reserve {
		return "for the disk"
	}
	return ""
}

// held returns a hold that holds one of the units for sure. mu is held.
func (l *account) held(stream string, units []run) (hold.Hold, bool) {
	margin := 2*time.Duration(l.clock.worst.Load()) + 3*time.Second
	for _, h := range l.holds {
		if h.Stream != stream || !h.Until.IsZero() && l.clock.now().Add(margin).After(h.Until) {
			continue
		}
		for _, r := range units {
			if l.made(r.to).Add(-margin).After(h.From) && l.made(r.from).Add(margin).Before(h.To) {
				return h, true
			}
		}
	}
	return hold.Hold{}, false
}

// keeps notes a policy.
func (l *account) keeps(stream string, p retention.Policy) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := append(l.policies[stream], policy{time.Now(), p})
	l.policies[stream] = list[max(0, len(list)-3):]
	delete(l.removal, stream)
}

func (l *account) removing(stream string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removal[stream] = true
}

func (l *account) hold(h hold.Hold, begins bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if begins {
		l.holds[h.ID] = h
	} else {
		delete(l.holds, h.ID)
	}
}

// receipt notes what the agent has seen acknowledged.
func (l *account) receipt(number string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if _, again := l.acked[number]; !again {
		l.acked[number] = now
	}
}

// killed notes the end of a process.
func (l *account) killed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kills = append(l.kills, time.Now())
}

// trouble notes a time in which something may be lost, with what it needs to recover.
func (l *account) trouble(from time.Time, after time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.troubles = append(l.troubles, span{from, time.Now().Add(after)})
}

// repeats is how long before a kill what the agent has seen acknowledged may be unknown after it.
const repeats = 6 * time.Second

// arrive takes a fragment that the cloud has stored.
func (l *account) arrive(stream string, f media.Fragment, data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := unitsIn(data)
	if len(list) == 0 {
		l.fail("fragment %s of stream %s has no picture", f.Number, stream)
		return
	}
	ack := l.acked[f.Number]
	delete(l.acked, f.Number)
	s := arrived{first: list[0].n, last: list[len(list)-1].n, producer: f.Producer.UnixMilli(), length: f.Duration.Milliseconds(),
		at: f.Server.UnixMilli()}
	if !ack.IsZero() {
		s.acked = ack.UnixMilli()
	}
	l.archive = append(l.archive, s)
	index := int32(len(l.archive))
	at := l.at[list[0].camera]
	twice := false
	for _, u := range list {
		if int(u.n) >= len(at) {
			continue
		}
		if before := at[u.n]; before != 0 && !twice {
			twice = true
			l.judgeRepeat(stream, l.archive[before-1], s)
		}
		at[u.n] = index
		*l.unit(u) |= stored
	}
	if twice {
		l.numbers.Twice++
	}
	l.judgeTimes(stream, list[0].camera, s)
}

// judgeRepeat says whether a fragment may be in the cloud twice. mu is held.
func (l *account) judgeRepeat(stream string, before, again arrived) {
	if before.acked == 0 || before.acked+100 > again.at {
		l.reach("sent again, as no acknowledgement came")
		return
	}
	for k := len(l.kills) - 1; k >= 0; k-- {
		at := l.kills[k].UnixMilli()
		if at < before.acked {
			break
		}
		if at-before.acked <= repeats.Milliseconds() || l.wasTrouble(time.UnixMilli(before.acked)) || l.fewSince(before.acked, at) {
			l.reach("sent again after a kill")
			return
		}
	}
	l.fail("the cloud has the pictures %d to %d of stream %s twice: from %s, seen acknowledged at %s, and from %s", again.first, again.last,
		stream, time.UnixMilli(before.at).Sub(l.begin), time.UnixMilli(before.acked).Sub(l.begin), time.UnixMilli(again.at).Sub(l.begin))
}

// fewSince reports whether at most two fragments were acknowledged between a time and a kill. mu is held.
func (l *account) fewSince(from, to int64) bool {
	n := 0
	for k := len(l.archive) - 1; k >= 0 && k > len(l.archive)-10_000; k-- {
		if a := l.archive[k].acked; a >= from && a <= to {
			n++
		}
	}
	return n <= 2
}

// mostOff is how far the time of a fragment may be from when the camera made it, where the clock was always right, beyond what its first
// picture came late: in a session that begins with what was kept by the network, nobody can know when that was made.
const mostOff = 3 * time.Second

// judgeTimes holds the time of a fragment against when it was made, and against what was before it. mu is held.
func (l *account) judgeTimes(stream string, camera uint8, s arrived) {
	at := l.at[camera]
	if l.clock.worst.Load() > 0 {
		return
	}
	late := time.Duration(0)
	if int(s.first) < len(l.late[camera]) {
		late = time.Duration(l.late[camera][s.first]) * time.Second
	}
	if off := time.UnixMilli(s.producer).Sub(l.made(s.first)); off > mostOff+late || off < -mostOff {
		l.fail("the fragment of stream %s with the pictures %d to %d is %s off", stream, s.first, s.last, off)
	}
	if s.first == 0 || at[s.first-1] == 0 {
		return
	}
	if before := l.archive[at[s.first-1]-1]; before.first < s.first && before.producer+before.length >= s.producer {
		l.fail("fragments of stream %s overlap in the cloud: pictures %d to %d, and %d to %d", stream, before.first, before.last, s.first, s.last)
	}
}

// wasTrouble reports whether the world was not calm at a time. mu is held.
func (l *account) wasTrouble(at time.Time) bool {
	for _, s := range l.troubles {
		if !at.Before(s.from) && !at.After(s.to) {
			return true
		}
	}
	return false
}

// beginCheck forgets what an earlier check found. What is synced while the store is read is left to the next one.
func (l *account) beginCheck() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, units := range l.units {
		for n, u := range units {
			units[n] = u &^ (onDisk | due | claimed)
			if u&synced != 0 {
				units[n] |= due
			}
		}
	}
}

// conclude judges all, once the cloud has passed on what it has, and onDisk is set for what is in the store. names are those of the files.
func (l *account) conclude(final bool, names map[int]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.deleted {
		l.judgeDeletion(d)
	}
	l.deleted = nil
	for camera, units := range l.units {
		empty := finding{l: l, camera: camera, names: names}
		lost, unrecorded, unsent := empty, empty, empty
		for n, u := range units {
			if u&due != 0 && u&(stored|gone|onDisk) == 0 {
				lost.add(uint32(n), "synced to the disk, and neither there nor in the cloud")
				units[n] |= gone // it is said once
			}
			if u&claimed != 0 && u&stored == 0 {
				unsent.add(uint32(n), "uploaded as the store says, and not in the cloud")
			}
			if final && u&given != 0 && u&synced == 0 && !l.wasTrouble(l.made(uint32(n))) {
				unrecorded.add(uint32(n), "brought to the recorder in calm times, and never on the disk")
			}
			if final {
				l.numbers.Given += int(u & given)
				l.numbers.Synced += int(u & synced / synced)
				l.numbers.Stored += int(u & stored / stored)
			}
		}
		lost.end()
		unrecorded.end()
		unsent.end()
	}
}

// judgeDeletion says whether the cloud has what was deleted, where it must. mu is held.
func (l *account) judgeDeletion(d deletion) {
	for _, r := range d.units {
		wrong := finding{l: l, camera: int(r.camera)}
		for n := r.from; n <= r.to; n++ {
			u := l.unit(unit{r.camera, n})
			if d.why == "" && *u&(stored|synced|gone) == synced {
				wrong.add(n, "deleted with segment "+d.name+", and not in the cloud")
			}
			*u |= gone
		}
		wrong.end()
	}
}

// finding is a broken promise about pictures in a row.
type finding struct {
	l        *account
	camera   int
	names    map[int]string // of files
	text     string
	from, to uint32
}

func (f *finding) add(n uint32, text string) {
	if f.text == text && f.to+1 == n {
		f.to = n
		return
	}
	f.end()
	f.text, f.from, f.to = text, n, n
}

func (f *finding) end() {
	if f.text == "" {
		return
	}
	where := ""
	for ino, runs := range f.l.inFile {
		for _, r := range runs {
			if int(r.camera) == f.camera && r.from <= f.from && f.from <= r.to {
				where += fmt.Sprintf(" (file %d, %q, has %d to %d)", ino, f.names[ino], r.from, r.to)
			}
		}
	}
	f.l.fail("pictures %d to %d of camera %d, of %s: %s%s", f.from, f.to, f.camera, time.Duration(f.from)*time.Second, f.text, where)
	f.text = ""
}
