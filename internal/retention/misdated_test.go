package retention

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// endEpoch ends a stream's epoch, which was ahead.
func (y *yard) endEpoch(stream string, from, until time.Time, add time.Duration) {
	y.t.Helper()
	if err := y.store.BeginEpoch(stream, from, until, add, y.now); err != nil {
		y.t.Fatal(err)
	}
}

// record records a segment of the stream door, and has a pass.
func (y *yard) record() {
	y.t.Helper()
	y.add("door", y.now.Sub(begin), 100, false)
	y.elapse(5 * time.Second)
	y.pass()
}

// Media dated a year ahead is as old as it is by when it was recorded.
func TestMediaDatedAheadGrowsOld(t *testing.T) {
	t.Parallel()
	for name, add := range map[string]time.Duration{"known": -year, "unknown": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t)
			y.keeper.SetPolicy("door", Policy{MaxAge: 24 * time.Hour})
			y.add("door", 0, 100, false)
			y.add("door", year+time.Hour, 100, false)
			y.elapse(2 * time.Hour)
			y.endEpoch("door", begin.Add(year), time.Time{}, add)
			y.add("door", 3*time.Hour, 100, false)
			left := func(want int) {
				t.Helper()
				f := y.keeper.Forecast("door")
				y.pass()
				if got := y.store.Usage("door").Segments; got != want {
					t.Errorf("%s after the start %d segments are left, want %d", y.now.Sub(begin), got, want)
				}
				if next := y.keeper.Forecast("door"); next.NextBytes != 0 && f.NextBytes == 0 {
					t.Errorf("the forecast says that %d bytes go next", next.NextBytes)
				}
			}
			y.pass()
			left(3)
			y.elapse(23 * time.Hour) // 25 h after the first
			if f := y.keeper.Forecast("door"); f.NextBytes == 0 || f.NextNotUploaded != f.NextBytes {
				t.Errorf("the forecast is %+v", f)
			}
			left(2)
			y.elapse(90 * time.Minute) // 25.5 h after the second at least
			if f := y.keeper.Forecast("door"); f.NextBytes == 0 {
				t.Errorf("the forecast is %+v", f)
			}
			left(1)
			if _, ok := y.condition("door", codeMisdated); !ok {
				t.Error("the span was not reported to its end")
			}
			y.pass()
			if c, ok := y.condition("door", codeMisdated); ok {
				t.Errorf("it is still reported: %s", c.Text)
			}
			y.elapse(time.Hour)
			left(0)
		})
	}
}

// A clock that is years behind for a while makes all that was right look ahead of it.
func TestAClockThatWasBehindMakesNothingOld(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.synced = true
	y.keeper.SetPolicy("door", Policy{MaxAge: 24 * time.Hour})
	y.add("door", 0, 100, false)
	y.elapse(time.Minute)
	y.pass()
	y.now = y.now.Add(-5 * year)
	y.endEpoch("door", time.Time{}, time.Time{}, 0)
	y.add("door", y.now.Sub(begin), 100, false)
	y.elapse(time.Minute)
	y.pass()
	y.now = y.now.Add(5 * year)
	y.add("door", y.now.Sub(begin), 100, false)
	for range 3 {
		y.elapse(time.Hour)
		y.pass()
	}
	list := y.store.Segments("door", time.Time{}, time.Time{})
	if len(list) != 2 || list[0].Epoch != 0 || list[1].StartTime().Before(begin) {
		t.Errorf("there is left %+v", list)
	}
	y.elapse(20*time.Hour + 59*time.Minute)
	y.pass()
	y.expectSegments("door", 1)
}

func TestMediaOfAnUnsetClockHasAnAgeOnceThatIsKnown(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.keeper.SetPolicy("door", Policy{MaxAge: 24 * time.Hour})
	boot := time.Unix(20, 0)
	for _, after := range []time.Duration{0, time.Hour} {
		y.add("door", boot.Add(after).Sub(begin), 100, false)
	}
	if err := y.store.NoteClock("door", boot.Add(time.Hour), boot.Add(time.Hour+time.Second), begin.Sub(boot.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	y.add("door", time.Hour, 100, false)
	y.elapse(23 * time.Hour)
	y.pass()
	y.expectSegments("door", 3)
	if c, ok := y.condition("door", codeMisdated); !ok || !strings.Contains(c.Text, "was not set: add ") {
		t.Errorf("%q", c.Text)
	}
	y.elapse(90 * time.Minute)
	y.pass()
	y.expectSegments("door", 2) // what was never noted has no age
}

// What lies ahead of the clock does not say that the clock is right.
func TestMediaDatedAheadDoesNotVouchForTheClock(t *testing.T) {
	t.Parallel()
	for name, ended := range map[string]bool{"of an epoch that ended": true, "of the present epoch": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t)
			y.keeper.SetPolicy("door", Policy{MaxAge: 24 * time.Hour})
			y.add("door", 0, 100, false)
			y.add("door", 2*year, 100, false)
			if ended {
				y.elapse(time.Minute)
				y.endEpoch("door", time.Time{}, time.Time{}, 0)
			}
			y.pass()
			y.now = y.now.Add(year)
			y.pass()
			y.expectSegments("door", 2)
			if _, ok := y.condition("", codeClock); !ok {
				t.Error("a clock a year ahead is believed after a step")
			}
			y.restart("")
			y.keeper.SetPolicy("door", Policy{MaxAge: 24 * time.Hour})
			y.pass()
			y.expectSegments("door", 2)
			if _, ok := y.condition("", codeClock); !ok {
				t.Error("a clock a year ahead is believed at a start")
			}
		})
	}
}

func (y *yard) expectSegments(stream string, want int) {
	y.t.Helper()
	if got := y.store.Usage(stream).Segments; got != want {
		y.t.Errorf("%d segments are left, want %d", got, want)
	}
}

// A hub without a clock of its own boots with that of years ago, records, restarts its agent, records, and has its clock set in the end.
func TestAClockThatIsSetMakesNothingOld(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		by        time.Duration // how far the clock was behind
		confirmed bool          // somebody confirmed it nevertheless
		after     time.Duration // when somebody confirms it, since it was set; negative: nobody does
		noted     bool
		left      int // an hour later
		nextLeft  int // a day after that
	}{
		"by years":                         {by: 5 * year, noted: true, left: 3},
		"by years, and known later":        {by: 5 * year, after: 20 * time.Minute, noted: true, left: 3},
		"by a day, and known later":        {by: 26 * time.Hour, after: 20 * time.Minute, noted: true, left: 3},
		"by little more than a day":        {by: 26 * time.Hour, noted: true, left: 3},
		"by an hour":                       {by: time.Hour, noted: true, left: 3},
		"by less than an hour":             {by: 59 * time.Minute, left: 3},
		"a clock that was confirmed":       {by: 26 * time.Hour, confirmed: true, left: 1}, // the times of files count
		"nobody confirms":                  {by: 26 * time.Hour, after: -1, left: 1},
		"nobody confirms, and it is years": {by: 5 * year, after: -1, left: 3, nextLeft: 3}, // the age of media is not known
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t)
			y.synced, y.now = c.confirmed, y.now.Add(-c.by)
			y.keeper.SetPolicy("door", Policy{MaxAge: day})
			y.record()
			y.restart("")
			y.keeper.SetPolicy("door", Policy{MaxAge: day})
			y.elapse(time.Minute)
			y.pass()
			y.record()
			y.now, y.synced = y.now.Add(c.by), c.after == 0 || c.confirmed
			y.pass()
			if f := y.keeper.Forecast("door"); c.noted && f.NextBytes > 0 {
				t.Errorf("the forecast says that %d bytes go next", f.NextBytes)
			}
			y.elapse(max(0, c.after))
			y.synced = c.after >= 0
			y.pass()
			y.record()
			list := y.store.Misdated("door")
			if noted := len(list) == 1 && list[0].Offset == c.by && list[0].Segments == 2 && list[0].Unset; noted != c.noted || len(list) > 1 {
				t.Errorf("noted is %+v", list)
			}
			y.elapse(time.Hour)
			y.pass()
			y.expectSegments("door", c.left)
			y.elapse(day)
			y.pass()
			y.expectSegments("door", c.nextLeft)
		})
	}
}

// A clock that was right, and is set by mistake, is set back before somebody confirms it.
func TestAClockThatIsSetWrongForAWhileNotesNothing(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.add("door", 0, 100, false)
	for _, by := range []time.Duration{0, 5 * year, -5 * year} {
		y.now = y.now.Add(by)
		y.elapse(10 * time.Minute)
		y.pass()
	}
	y.synced = true
	y.pass()
	if list := y.store.Misdated("door"); len(list) > 0 {
		t.Errorf("noted is %+v", list)
	}
}

// What was recorded before the hub booted had another clock, and times that were ahead of the clock did not follow it.
func TestAClockThatIsSetConcernsWhatItDated(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.uptime = time.Hour
	y.add("before", -2*time.Hour, 100, false)
	y.add("ahead", 3*time.Hour, 100, false)
	y.add("both", -2*time.Hour, 100, false)
	y.add("both", -time.Minute, 100, false)
	y.add("now", -59*time.Minute, 100, false)
	y.add("asked", -59*time.Minute, 100, false)
	y.keeper.SetPolicy("asked", Policy{Local: true}) // those who ask for it name its times
	y.pass()
	y.now, y.synced = y.now.Add(year), true
	y.pass()
	for stream, want := range map[string]int{"before": 0, "ahead": 0, "both": 1, "now": 1, "asked": 0} {
		segments := 0
		for _, m := range y.store.Misdated(stream) {
			segments += m.Segments
		}
		if segments != want {
			t.Errorf("of stream %s %d segments are said to be behind, want %d", stream, segments, want)
		}
	}
}

// A clock that is set back dates new media behind the times that there are, until it comes there: only what is dated afterwards is behind.
func TestAClockThatWasSetBackAndForthConcernsWhatItDated(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.uptime = 100 * time.Hour
	for hour := range 30 {
		y.add("door", time.Duration(hour-30)*time.Hour, 100, false)
	}
	y.pass()
	y.now = y.now.Add(-26 * time.Hour)
	y.pass()
	y.add("door", time.Second, 100, false) // it is ahead of the clock
	y.elapse(27 * time.Hour)
	y.pass()
	y.add("door", y.now.Sub(begin), 100, false) // it follows the clock
	y.elapse(time.Minute)
	y.pass()
	y.now, y.synced = y.now.Add(26*time.Hour), true
	y.pass()
	if list := y.store.Misdated("door"); len(list) != 1 || list[0].Offset != 26*time.Hour || list[0].Segments != 2 {
		t.Errorf("noted is %+v", list)
	}
}

// As long as it cannot be noted how far a clock was behind, nothing is deleted by age.
func TestAClockThatIsSetAndCannotBeNotedDeletesNothing(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	disk := &noNotes{fakeDisk: fakeDisk{y.store, y}, err: health.SystemFault(segment.CodeDisk, syscall.EIO, "The disk has errors.")}
	core, logs := observer.New(zap.WarnLevel)
	y.keeper.o.Store, y.keeper.o.Log = disk, zap.New(core)
	for _, stream := range []string{"door", "yard"} {
		y.keeper.SetPolicy(stream, Policy{MaxAge: time.Hour})
		y.add(stream, -10*time.Minute, 100, false) // before the hub booted
		y.add(stream, 0, 100, false)
	}
	y.pass()
	y.now, y.synced = y.now.Add(26*time.Hour), true
	for range 3 {
		y.elapse(10 * time.Second)
		y.pass()
	}
	y.expectSegments("door", 2)
	y.expectSegments("yard", 1) // what is old is deleted, as its own disk works
	if list := logs.FilterField(zap.String("stream", "door")).All(); len(list) != 1 {
		t.Errorf("in three passes %v is logged", list)
	}
	disk.err = nil
	y.pass()
	if list := y.store.Misdated("door"); len(list) != 1 || list[0].Offset != 26*time.Hour {
		t.Errorf("noted is %+v", list)
	}
	y.expectSegments("door", 1)
	y.elapse(time.Hour)
	y.pass()
	y.expectSegments("door", 0)
}

// noNotes is a disk on which no correction of times can be noted.
type noNotes struct {
	fakeDisk
	err error
}

func (d *noNotes) NoteClock(stream string, from, until time.Time, add time.Duration) error {
	if d.err != nil && stream == "door" {
		return d.err
	}
	return d.fakeDisk.NoteClock(stream, from, until, add)
}

// The clock boots ten minutes behind the newest times, which new ones follow. When it is set by 30 hours, these are behind by ten minutes
// less.
func TestTimesThatWereAheadOfTheClockAreBehindByLess(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.keeper.SetPolicy("door", Policy{MaxAge: 24 * time.Hour})
	y.add("door", -time.Second, 100, false)
	y.now = y.now.Add(-10 * time.Minute)
	y.pass()
	for i := range 60 {
		y.add("door", time.Duration(i)*5*time.Second+time.Millisecond, 100, false)
		y.elapse(5 * time.Second)
		y.pass()
	}
	y.now, y.synced = y.now.Add(30*time.Hour), true
	y.pass()
	list := y.store.Misdated("door")
	if len(list) != 1 || list[0].Segments != 60 || (list[0].Offset-29*time.Hour-50*time.Minute).Abs() > 10*time.Second {
		t.Errorf("noted is %+v", list)
	}
	y.expectSegments("door", 60) // that of before the boot is a day old
}

// Media of before the boot has later times than the clock shows at first, and the camera comes when the clock has passed them.
func TestWhatIsNewerThanTheClockAtAStartIsNotOfThatClock(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	for minute := range 30 {
		y.add("door", time.Duration(minute)*time.Minute, 100, false)
	}
	y.pass()
	y.elapse(time.Hour)
	y.pass()
	y.add("door", y.now.Sub(begin), 100, false)
	y.elapse(5 * time.Second)
	y.pass()
	y.now, y.synced = y.now.Add(8*time.Hour), true
	y.pass()
	if list := y.store.Misdated("door"); len(list) != 1 || list[0].Segments != 1 || list[0].Offset != 8*time.Hour {
		t.Errorf("noted is %+v", list)
	}
}

// What was recorded while somebody confirmed the clock is right.
func TestWhatAConfirmedClockDatedIsRight(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.synced = true
	for range 10 {
		y.record()
		y.elapse(24 * time.Hour)
	}
	y.pass()
	y.synced = false // the line is down
	y.record()
	y.now, y.synced = y.now.Add(8*time.Hour), true
	y.pass()
	if list := y.store.Misdated("door"); len(list) != 1 || list[0].Segments != 1 {
		t.Errorf("noted is %+v", list)
	}
}

// The clock is set between two passes, in which a lot happens.
func TestAClockThatIsSetBetweenPasses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before bool // something was recorded before the pass
		wait   time.Duration
		want   int
	}{
		"recorded since":                  {want: 1},
		"recorded before, and since":      {before: true, want: 2},
		"and the next pass comes late":    {before: true, wait: 20 * time.Minute, want: 2},
		"recorded since, and a late pass": {wait: 20 * time.Minute}, // the stream's newest time is of the new clock
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t)
			y.pass()
			record := func() {
				y.add("door", y.now.Sub(begin), 100, false)
				y.elapse(2 * time.Second)
			}
			if c.before {
				record()
				y.pass()
			}
			record()
			y.now, y.synced = y.now.Add(time.Hour), true
			if c.wait > 0 {
				record() // with the right time
				y.elapse(c.wait)
			}
			y.pass()
			segments := 0
			for _, m := range y.store.Misdated("door") {
				segments += m.Segments
			}
			if segments != c.want {
				t.Errorf("%d segments are noted, want %d: %+v", segments, c.want, y.store.Misdated("door"))
			}
		})
	}
}
