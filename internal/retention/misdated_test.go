package retention

import (
	"strings"
	"testing"
	"time"
)

// endEpoch ends a stream's epoch, which was ahead.
func (y *yard) endEpoch(stream string, from, until time.Time, add time.Duration) {
	y.t.Helper()
	if err := y.store.BeginEpoch(stream, from, until, add, y.now); err != nil {
		y.t.Fatal(err)
	}
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
