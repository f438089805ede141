package retention

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

var begin = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)

// yard is a real store on a real disk, with a clock and a disk size of the test's.
type yard struct {
	t      *testing.T
	store  *segment.Store
	keeper *Keeper
	health *health.Registry
	now    time.Time
	uptime time.Duration
	free   uint64
	synced bool

	elsewhere map[string]bool           // streams on another disk
	away      int64                     // bytes deleted there
	failing   func(k segment.Key) error // what a deletion answers before it is tried; nil: none does
}

// fakeDisk is the store but for the size of the disk, and for the faults that a test injects.
type fakeDisk struct {
	*segment.Store
	y *yard
}

func (f fakeDisk) DiskFree() (free, total uint64, err error) {
	used := uint64(0)
	for _, name := range f.Streams() {
		if !f.y.elsewhere[name] {
			used += uint64(f.Usage(name).Bytes)
		}
	}
	return f.y.free - min(used, f.y.free), 1 << 40, nil
}

func (f fakeDisk) SameDisk(stream string) bool { return !f.y.elsewhere[stream] }

func (f fakeDisk) Delete(k segment.Key) error {
	if f.y.failing != nil {
		if err := f.y.failing(k); err != nil {
			return err
		}
	}
	before := f.Store.Deleted()
	err := f.Store.Delete(k)
	if f.y.elsewhere[k.Stream] {
		f.y.away += f.Store.Deleted() - before
	}
	return err
}

func (f fakeDisk) Deleted() int64 { return f.Store.Deleted() - f.y.away }

func newYard(t *testing.T) *yard {
	t.Helper()
	return newYardOn(t, atomicfile.OS{})
}

func newYardOn(t *testing.T, files atomicfile.FileSystem) *yard {
	t.Helper()
	store, err := segment.Open(segment.Options{Dir: t.TempDir(), Files: files})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	y := &yard{t: t, store: store, now: begin, uptime: settleTime, free: 1 << 40, elsewhere: make(map[string]bool)}
	y.health = health.NewRegistry(func() time.Time { return y.now })
	y.keeper = New(Options{
		Store: fakeDisk{store, y}, Health: y.health, MinFree: func(uint64) uint64 { return 1 << 20 },
		Now: func() time.Time { return y.now }, Uptime: func() time.Duration { return y.uptime },
		Synchronised: func() bool { return y.synced }, SinceBoot: func() time.Duration { return y.uptime },
	})
	y.keeper.awaitFor = 0
	return y
}

func (y *yard) pass() { y.keeper.pass(y.t.Context()) }

// pass of time: both clocks.
func (y *yard) elapse(d time.Duration) {
	y.now = y.now.Add(d)
	y.uptime += d
}

// add records a segment of a second with about that many bytes, the given time after begin.
func (y *yard) add(stream string, after time.Duration, bytes int, uploaded bool) segment.Key {
	y.t.Helper()
	w := y.create(stream, after)
	if err := errors.Join(
		w.BeginFragment(0, true),
		w.WriteFrame(1, 0, true, [][]byte{make([]byte, bytes)}),
		w.WriteFrame(1, time.Second, false, [][]byte{{1}}),
		w.Seal(),
	); err != nil {
		y.t.Fatal(err)
	}
	if uploaded {
		y.upload(w.Key(), false)
	}
	return w.Key()
}

func (y *yard) create(stream string, after time.Duration) *segment.Writer {
	y.t.Helper()
	w, err := y.store.Create(stream,
		mkv.Header{Start: begin.Add(after), Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}}})
	if err != nil {
		y.t.Fatal(err)
	}
	return w
}

func (y *yard) upload(k segment.Key, refused bool) {
	y.t.Helper()
	r, err := y.store.OpenSegment(k)
	if err != nil {
		y.t.Fatal(err)
	}
	list, _, err := r.Fragments()
	if err == nil {
		err = r.Close()
	}
	if err == nil && refused {
		err = y.store.MarkRefused(k, list[0], "4006")
	} else if err == nil {
		err = y.store.MarkPersisted(k, list[0])
	}
	if err = errors.Join(err, y.store.MarkUploaded(k)); err != nil {
		y.t.Fatal(err)
	}
}

// left lists the starts of what remains, in seconds after begin.
func (y *yard) left(stream string) []int {
	var list []int
	for _, s := range y.store.Segments(stream, time.Time{}, time.Time{}) {
		list = append(list, int(s.StartTime().Sub(begin).Seconds()))
	}
	return list
}

func (y *yard) expect(stream string, want ...int) {
	y.t.Helper()
	if got := y.left(stream); !slices.Equal(got, want) {
		y.t.Errorf("%s: segments at %v are left, want %v", stream, got, want)
	}
}

func (y *yard) condition(stream, code string) (health.Condition, bool) {
	for _, c := range y.health.Component(stream, health.JobRetention).Snapshot().Conditions {
		if c.Code == code {
			return c, true
		}
	}
	return health.Condition{}, false
}

func (y *yard) number(stream, name string) int64 {
	return y.health.Component(stream, health.JobRetention).Value(name)
}

func TestAgeIsJudgedByTheLastFrame(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.keeper.SetPolicy("door", Policy{MaxAge: time.Hour})
	for _, after := range []time.Duration{0, 10 * time.Second, 20 * time.Second} {
		y.add("door", after, 100, after == 0)
	}
	y.elapse(time.Hour + time.Second) // the first ends exactly an hour ago
	y.pass()
	y.expect("door", 0, 10, 20)
	y.elapse(time.Millisecond)
	y.pass()
	y.expect("door", 10, 20)
	if n := y.number("door", health.DeletedBeforeUpload); n != 0 {
		t.Errorf("%d counted as deleted before upload, but it was uploaded", n)
	}
	y.elapse(15 * time.Second)
	y.pass()
	y.expect("door", 20)
	c, ok := y.condition("door", codeLost)
	if n := y.number("door", health.DeletedBeforeUpload); n != 1 || !ok || !strings.Contains(c.Text, "EdgeRetentionInHours") {
		t.Errorf("a deletion before upload must be counted and told: %d, %q", n, c.Text)
	}
	y.elapse(rememberLoss + time.Hour)
	y.keeper.SetPolicy("door", Policy{})
	y.pass()
	if _, ok := y.condition("door", codeLost); ok {
		t.Error("the loss is still told a day later")
	}
}

func TestDeleteAfterUploadKeepsWhatWasRefused(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.keeper.SetPolicy("door", Policy{DeleteAfterUpload: true})
	y.keeper.SetPolicy("yard", Policy{})
	y.add("door", 0, 100, true)
	y.upload(y.add("door", 10*time.Second, 100, false), true)
	y.add("door", 20*time.Second, 100, false)
	y.add("yard", 0, 100, true)
	y.pass()
	y.expect("door", 10, 20)
	y.expect("yard", 0)
}

func TestSizeTakesUploadedFirstThenOldest(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	y := newYard(t)
	for i := range 8 {
		y.add("door", time.Duration(i)*10*time.Second, mb, i == 5 || i == 6)
	}
	// 16/15 of what may lie there: room for the segment being written stays free.
	limit := func(segments int64) int64 { return segments*(mb+2000)*16/15 + 16 }
	y.keeper.SetPolicy("door", Policy{MaxBytes: limit(7)})
	y.pass()
	y.expect("door", 0, 10, 20, 30, 40, 60, 70)
	y.keeper.SetPolicy("door", Policy{MaxBytes: limit(5)})
	y.pass()
	y.expect("door", 10, 20, 30, 40, 70)
	if n := y.number("door", health.DeletedBeforeUpload); n != 1 {
		t.Errorf("%d counted as deleted before upload, want 1", n)
	}
	if n := y.number("door", health.SegmentsDeleted); n != 3 {
		t.Errorf("%d counted as deleted, want 3", n)
	}
}

func TestDenyNewMediaPausesAndResumesByItself(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	k := y.add("door", 0, 1<<20, false)
	y.keeper.SetPolicy("door", Policy{MaxBytes: 1 << 20, OnFull: DenyNew, DeleteAfterUpload: true})
	y.pass()
	y.expect("door", 0)
	_, err := y.store.Create("door",
		mkv.Header{Start: begin.Add(time.Minute), Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}}})
	if !errors.Is(err, segment.ErrPaused) || !strings.Contains(err.Error(), "DENY_NEW_MEDIA") {
		t.Errorf("a full stream takes a new segment: %v", err)
	}
	if c, ok := y.condition("door", codeFull); !ok || c.Class != health.UserError {
		t.Errorf("status says %+v", c)
	}
	y.upload(k, false)
	y.pass()
	y.expect("door")
	y.add("door", time.Minute, 100, false)
	if _, ok := y.condition("door", codeFull); ok {
		t.Error("status still says that it is full")
	}
}

func TestWhatIsInUseIsNeverDeleted(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	read := y.add("door", 0, 100, true)
	y.keeper.SetPolicy("door", Policy{MaxAge: time.Second, MaxBytes: 1, DeleteAfterUpload: true})
	r, err := y.store.OpenSegment(read)
	if err != nil {
		t.Fatal(err)
	}
	w := y.create("door", 10*time.Second)
	if err := errors.Join(w.BeginFragment(0, true), w.WriteFrame(1, 0, true, [][]byte{{1}})); err != nil {
		t.Fatal(err)
	}
	y.elapse(time.Hour)
	y.pass()
	y.expect("door", 0, 10)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	y.pass()
	y.expect("door", 10)
	if err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	y.pass()
	y.expect("door")
}

func TestLowDiskTakesFromTheLargestStreamButNotFromThoseThatDeny(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	y := newYard(t)
	y.keeper.SetPolicy("denies", Policy{OnFull: DenyNew})
	y.keeper.SetPolicy("small", Policy{})
	y.add("denies", 0, 5*mb, false)
	y.add("large", 0, 2*mb, false)
	y.add("large", 10*time.Second, 2*mb, false)
	y.add("small", 0, mb, false)
	y.free = 10 * mb // 10 are used, and 1 must stay free
	y.pass()
	y.expect("denies", 0)
	y.expect("large", 10)
	y.expect("small", 0)
	y.free = 8 * mb
	y.pass()
	y.expect("denies", 0)
	y.expect("large")
	y.expect("small", 0)
	y.free = 6*mb + 100_000
	y.pass()
	y.expect("small")
	y.free = 5*mb + 100_000 // and all that is left denies new media
	y.pass()
	y.expect("denies", 0)
	if _, err := y.store.Create("small",
		mkv.Header{Start: begin.Add(time.Hour), Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}}}); !errors.Is(err,
		segment.ErrPaused) {
		t.Errorf("recording continues with a full disk: %v", err)
	}
	y.free = 100 * mb
	y.pass()
	y.add("small", time.Hour, 100, false)
}

func TestUnconfiguredStreamsFollowTheDefault(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.keeper.o.Default = Policy{MaxAge: time.Hour}
	y.add("gone", 0, 100, false)
	y.elapse(2 * time.Hour)
	y.pass()
	y.expect("gone")
}

const year = 365 * 24 * time.Hour

func TestAClockThatJumpsWipesNothing(t *testing.T) {
	t.Parallel()
	const years = 5 * year
	policy := Policy{MaxAge: 24 * time.Hour}
	for name, c := range map[string]struct {
		jump, then     time.Duration // the jump, and what passes after it
		before, synced bool          // synchronised before it, and after it
		want           []int
	}{
		"years forward": {years, 0, true, true, []int{0}},
		"years forward, synchronised for half an hour":    {years, 30 * time.Minute, true, true, []int{0}},
		"years forward, synchronised for an hour":         {years, 61 * time.Minute, true, true, nil},
		"years forward, not synchronised for a long time": {years, 1000 * time.Hour, false, false, []int{0}},
		"years forward to the right time":                 {years, 61 * time.Minute, false, true, []int{0}}, // it was recorded just now
		"back":                                            {-years, 0, false, false, []int{0}},
		"a day and a bit":                                 {25 * time.Hour, 0, false, false, []int{0}}, // somebody may confirm that it was behind
		"a day and a bit, for an hour":                    {25 * time.Hour, 61 * time.Minute, false, false, nil},
		"a day and a bit, confirmed before":               {25 * time.Hour, 0, true, false, nil},
		"a holiday":                                       {20 * 24 * time.Hour, 0, false, false, []int{0}},
		"a holiday, and an hour after":                    {20 * 24 * time.Hour, 61 * time.Minute, false, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t)
			y.synced = c.before
			y.keeper.SetPolicy("door", policy)
			y.add("door", 0, 100, false)
			y.elapse(time.Minute)
			y.pass()
			y.now = y.now.Add(c.jump)
			y.synced = c.synced
			y.pass()
			if c.then > 0 {
				// What is recorded with a wrong clock does not make it right.
				y.add("yard", y.now.Sub(begin), 100, false)
				y.elapse(c.then)
				y.pass()
			}
			y.expect("door", c.want...)
		})
	}
	t.Run("years forward and back", func(t *testing.T) {
		t.Parallel()
		y := newYard(t)
		y.keeper.SetPolicy("door", policy)
		y.add("door", 0, 100, false)
		y.pass()
		y.now = y.now.Add(years)
		y.pass()
		y.now = y.now.Add(-years)
		y.elapse(25 * time.Hour)
		y.pass()
		y.expect("door")
	})
	t.Run("booted years ahead", func(t *testing.T) {
		t.Parallel()
		y := newYard(t)
		y.keeper.SetPolicy("door", policy)
		y.add("door", 0, 100, false)
		y.now = y.now.Add(years)
		y.pass()
		y.expect("door", 0)
		if _, ok := y.condition("", codeClock); !ok {
			t.Error("status does not tell of the clock")
		}
	})
}

// A camera does not wait for the pass that finds a step of the clock.
func TestWhatIsRecordedBeforeAJumpIsFoundDoesNotVouchForTheClock(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.keeper.SetPolicy("door", Policy{MaxAge: 24 * time.Hour})
	y.add("door", 0, 100, false)
	y.elapse(time.Minute)
	y.pass()
	y.now = y.now.Add(5 * year)
	y.add("yard", y.now.Sub(begin), 100, false)
	y.elapse(DefaultInterval)
	y.pass()
	y.expect("door", 0)
	if _, ok := y.condition("", codeClock); !ok {
		t.Error("status does not tell of the clock")
	}
}

func TestARestartDoesNotVouchForTheClock(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		off, recorded time.Duration // the hub rests or its clock jumps; then it records, and restarts
		synced        bool
		then          time.Duration // what passes after that
		want          []int
	}{
		"years ahead":                                   {5 * year, 10 * time.Minute, false, 0, []int{0}},
		"years ahead, for long":                         {5 * year, 100 * time.Hour, false, 100 * time.Hour, []int{0}},
		"years ahead, synchronised just now":            {5 * year, 10 * time.Minute, true, time.Minute, []int{0}},
		"years ahead, synchronised for an hour":         {5 * year, 10 * time.Minute, true, 61 * time.Minute, nil},
		"after a holiday":                               {20 * 24 * time.Hour, 10 * time.Minute, false, time.Minute, []int{0}},
		"after a holiday, and an hour after the start":  {20 * 24 * time.Hour, 10 * time.Minute, false, 61 * time.Minute, nil},
		"after a holiday, and an hour before the start": {20 * 24 * time.Hour, 70 * time.Minute, false, 0, nil},
		"after a night":                                 {25 * time.Hour, time.Minute, false, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t)
			y.add("door", 0, 100, false)
			y.now = y.now.Add(c.off)
			for range 10 {
				y.add("yard", y.now.Sub(begin), 100, false)
				y.elapse(c.recorded / 10)
			}
			y.synced = c.synced
			y.keeper = New(y.keeper.o)
			y.keeper.SetPolicy("door", Policy{MaxAge: 24 * time.Hour})
			y.pass()
			if c.then > 0 {
				y.elapse(c.then)
				y.pass()
			}
			y.expect("door", c.want...)
		})
	}
	t.Run("set back since", func(t *testing.T) {
		t.Parallel()
		y := newYard(t)
		y.add("door", 0, 100, false)
		y.add("yard", 5*year, 100, false)
		y.elapse(25 * time.Hour)
		y.keeper = New(y.keeper.o)
		y.keeper.SetPolicy("door", Policy{MaxAge: 24 * time.Hour})
		y.pass()
		y.expect("door")
	})
}

// The hub was on all the time, as one of its streams shows, and another stream has a gap of a week: this casts no doubt on the clock.
func TestAGapOfOneStreamCastsNoDoubtOnTheClock(t *testing.T) {
	t.Parallel()
	for _, gappy := range []string{"a", "b"} { // before the other one in the order of names, and behind it
		y := newYard(t)
		y.add(gappy, 0, 100, false)
		for range 8 {
			y.elapse(24 * time.Hour)
			y.add("aa", y.now.Sub(begin), 100, false)
		}
		y.add(gappy, y.now.Sub(begin)+time.Minute, 100, false)
		y.elapse(10 * time.Minute)
		y.keeper = New(y.keeper.o)
		y.keeper.SetPolicy(gappy, Policy{MaxAge: 24 * time.Hour})
		y.pass()
		y.expect(gappy, 8*24*3600+60)
		if c, ok := y.condition("", codeClock); ok {
			t.Errorf("%s: %q", gappy, c.Text)
		}
	}
}

// A person sets the clock of a hub that nobody synchronises: what was recorded in 1970 says nothing
// against that.
func TestMediaOfAClockThatWasNotSetCastsNoDoubtOnTheClock(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.now = time.Date(1970, 1, 1, 0, 5, 0, 0, time.UTC)
	y.keeper.SetPolicy("door", Policy{MaxAge: time.Hour})
	y.add("door", y.now.Sub(begin), 100, false)
	y.pass()
	y.now = begin
	y.pass()
	y.add("door", 0, 100, false)
	y.elapse(2 * time.Hour)
	y.pass()
	if got := y.left("door"); len(got) != 1 || got[0] >= 0 {
		t.Errorf("segments at %v are left", got)
	}
}

func TestMediaOfAClockThatWasNotSetHasNoAge(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.keeper.SetPolicy("door", Policy{MaxAge: time.Hour})
	y.add("door", time.Date(1970, 1, 1, 0, 5, 0, 0, time.UTC).Sub(begin), 100, false)
	y.add("door", 0, 100, false)
	y.elapse(2 * time.Hour)
	y.pass()
	if got := y.left("door"); len(got) != 1 || got[0] >= 0 {
		t.Errorf("segments at %v are left", got)
	}
}

func TestReserves(t *testing.T) {
	t.Parallel()
	const disk = 100e9
	for text, want := range map[string]uint64{
		"500MB": 500e6, "2 GiB": 2 << 30, "1.5gb": 1.5e9, "5%": 5e9, "0.5 %": 0.5e9, " 5% ": 5e9, "1048576B": 1 << 20, "100kB": 100e3,
		"64KiB": 64 << 10,
	} {
		if r, err := ParseReserve(text); err != nil || r.Of(disk) != want {
			t.Errorf("%q is %d (%v), want %d", text, r.Of(disk), err, want)
		}
	}
	for _, text := range []string{"", "5", "-1GB", "0%", "91%", "NaN%", "GB", "1e30GB", "five GB", "0B"} {
		if r, err := ParseReserve(text); err == nil {
			t.Errorf("%q is accepted as %+v", text, r)
		}
	}
	if got := (Reserve{}).Of(disk); got != 1<<30 {
		t.Errorf("the default is %d", got)
	}
	if got := (Reserve{}).Of(4e9); got != 200e6 {
		t.Errorf("the default on a small disk is %d", got)
	}
}

func TestSharesOfTheDisk(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		room         int64
		limits, want []int64
	}{
		{90, []int64{0, 0, 0}, []int64{30, 30, 30}},
		{90, []int64{0, 10, 0}, []int64{40, 10, 40}},
		{90, []int64{50, 10, 20}, []int64{50, 10, 20}},
		{30, []int64{50, 10, 20}, []int64{10, 10, 10}},
		{0, []int64{0}, []int64{0}},
		{10, nil, []int64{}},
	} {
		if got := shares(c.room, c.limits); !slices.Equal(got, c.want) {
			t.Errorf("shares of %d with limits %v: %v, want %v", c.room, c.limits, got, c.want)
		}
	}
}

func TestLowDiskTakesWhatIsUploadedFirstAndThenFromThoseBeyondTheirShare(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	y := newYard(t)
	y.keeper.SetPolicy("entitled", Policy{MaxBytes: 8 * mb})
	y.keeper.SetPolicy("greedy", Policy{MaxBytes: 5 * mb / 2})
	for i := range 4 {
		y.add("entitled", time.Duration(i)*time.Minute, mb, i == 3)
		y.add("greedy", time.Duration(i)*time.Minute, mb/2, false)
	}
	y.free = 6*mb + mb/10 // 6 are used, and 1 must stay free
	y.pass()
	y.expect("entitled", 0, 60, 120) // the uploaded one, though it is its newest
	y.expect("greedy", 0, 60, 120, 180)
	y.free = 5*mb + mb/10 // 4 remain for two streams, of which one holds 3 and the other 2
	y.pass()
	y.expect("entitled", 60, 120)
	y.expect("greedy", 0, 60, 120, 180)
}

func TestAStreamPausedForTwoReasonsResumesAfterBoth(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	k := y.add("door", 0, 1<<20, false)
	y.keeper.SetPolicy("door", Policy{MaxBytes: 1 << 20, OnFull: DenyNew, DeleteAfterUpload: true})
	y.free = 0
	y.pass()
	y.free = 1 << 40
	y.pass()
	if _, ok := y.condition("door", codeLow); ok {
		t.Error("status still reports the disk")
	}
	if _, ok := y.condition("door", codeFull); !ok {
		t.Error("status does not tell of the limit any more")
	}
	y.upload(k, false)
	y.pass()
	y.add("door", time.Minute, 100, false)
}

func TestRunMakesAPassAtOnceAndWhenItIsWoken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		y.keeper.o.Interval, y.keeper.o.Default = time.Hour, Policy{DeleteAfterUpload: true} // SetPolicy would wake it
		y.add("door", 0, 100, true)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- y.keeper.Run(ctx) }()
		synctest.Wait()
		y.expect("door")
		y.add("door", time.Minute, 100, true)
		y.keeper.Wake()
		synctest.Wait()
		y.expect("door")
		y.add("door", 2*time.Minute, 100, true)
		time.Sleep(time.Hour)
		synctest.Wait()
		y.expect("door")
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestForecasts(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	y := newYard(t)
	y.keeper.SetPolicy("door", Policy{MaxBytes: 32 * mb, MaxAge: 24 * time.Hour})
	y.health.Component("door", health.JobRecorder).Gauge(health.BitrateBPS).Set(8 * mb) // a MB a second
	for i := range 10 {
		y.add("door", time.Duration(i)*time.Minute, mb, i < 2)
	}
	y.pass()
	f := y.keeper.Forecast("door")
	// 30 MB may lie there, 10 do.
	if left := f.FullAt.Sub(y.now); left < 19*time.Second || left > 21*time.Second {
		t.Errorf("the limit is reached in %s", left)
	}
	if want := 30.0 / 86400; f.Days < want*0.99 || f.Days > want*1.01 || f.NextBytes != 0 {
		t.Errorf("%+v, want %f days", f, want)
	}
	y.keeper.SetPolicy("door", Policy{MaxBytes: 6 * mb}) // 5.6 may lie there: 5 go, 2 of them uploaded
	if f = y.keeper.Forecast("door"); f.NextBytes/mb != 5 || f.NextNotUploaded/mb != 3 || !f.FullAt.Equal(y.now) {
		t.Errorf("%+v", f)
	}
	y.pass()
	if got := y.store.Usage("door").Segments; got != 5 {
		t.Errorf("the pass left %d, not what was foretold", got)
	}
	y.keeper.SetPolicy("door", Policy{MaxBytes: 1 << 40, MaxAge: time.Hour})
	if f = y.keeper.Forecast("door"); !f.FullAt.IsZero() {
		t.Errorf("media of an hour never fills the limit: %+v", f)
	}
	y.free = 1 << 30
	if f = y.keeper.DiskForecast(); f.FullAt.Sub(y.now).Round(time.Minute) != 17*time.Minute {
		t.Errorf("the disk: %+v", f)
	}
	// Without a limit the room of the disk counts, for 17 minutes, unless the age deletes before.
	for maxAge, fills := range map[time.Duration]bool{0: true, 10 * time.Minute: false, time.Hour: true} {
		y.keeper.SetPolicy("door", Policy{MaxAge: maxAge})
		f = y.keeper.Forecast("door")
		if days := f.Days * 24 * 60; days < 16.5 || days > 17.5 {
			t.Errorf("kept for %s, there is room for %.1f minutes", maxAge, days)
		}
		if got := f.FullAt.Sub(y.now).Round(time.Minute) == 17*time.Minute; got != fills || f.FullAt.IsZero() == fills {
			t.Errorf("kept for %s, the disk is full at %s", maxAge, f.FullAt)
		}
	}
}

func TestPoliciesInWords(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		policy  Policy
		audited bool
	}{
		"kept for ever":                  {},
		"kept for ever (DENY_NEW_MEDIA)": {policy: Policy{OnFull: DenyNew}},
		"kept for 2 h":                   {policy: Policy{MaxAge: 2 * time.Hour, OnFull: DeleteOldest}},
		"kept for 2 h, up to 5.0 MB, then the oldest are deleted": {
			policy: Policy{MaxAge: 2 * time.Hour, MaxBytes: 5e6, OnFull: DeleteOldest}},
		"kept for ever, up to 5.0 MB (DENY_NEW_MEDIA: nothing is deleted for its size), deleted after their upload": {
			policy: Policy{MaxBytes: 5e6, OnFull: DenyNew, DeleteAfterUpload: true}},
		"kept for ever, deleted when an audit has found them in the cloud": {policy: Policy{DeleteAfterUpload: true}, audited: true},
	} {
		if got := c.policy.Describe(c.audited); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func headerOf(start time.Time) mkv.Header {
	return mkv.Header{Start: start, Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}}}
}
