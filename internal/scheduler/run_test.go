package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// rig is a wall clock that a test steps, and a runner on it whose job writes down what happens.
// It lives in a bubble of synctest, in which time passes only while all goroutines wait.
type rig struct {
	t     *testing.T
	clock *Clock
	zone  *time.Location
	began time.Time

	mu      sync.Mutex
	base    time.Time // the wall clock at began
	system  *time.Location
	events  []string
	running int
}

// newRig begins at a local time of a zone.
func newRig(t *testing.T, local string, zone *time.Location, slice time.Duration) *rig {
	s := &rig{t: t, zone: zone, system: zone, began: time.Now(), base: at(t, local, zone)}
	s.clock = newClock(ClockOptions{Wall: s.now, Zone: s.systemZone}, slice)
	t.Cleanup(s.clock.Close)
	return s
}

func (s *rig) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base.Add(time.Since(s.began))
}

func (s *rig) systemZone() *time.Location {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.system
}

func (s *rig) setZone(zone *time.Location) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.system = zone
}

// step sets the wall clock and waits the second in which the clock has to notice it.
func (s *rig) step(by time.Duration) {
	s.mu.Lock()
	s.base = s.base.Add(by)
	s.mu.Unlock()
	s.pass(time.Second)
}

func (s *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (s *rig) note(format string, args ...any) {
	line := s.now().In(s.zone).Format(time.TimeOnly) + " " + fmt.Sprintf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, line)
}

// job records its start and its end and works until its context ends.
func (s *rig) job(ctx context.Context) error {
	s.mu.Lock()
	s.running++
	if s.running > 1 {
		s.t.Error("the job runs twice at once")
	}
	s.mu.Unlock()
	s.note("begin")
	<-ctx.Done()
	s.note("end: %v", context.Cause(ctx))
	s.mu.Lock()
	s.running--
	s.mu.Unlock()
	return ctx.Err()
}

// run starts a runner and returns what ends it.
func (s *rig) run(o RunnerOptions) (stop func()) {
	o.Clock = s.clock
	if o.Job == nil {
		o.Job = s.job
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, o) }()
	synctest.Wait()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			s.t.Errorf("Run: got %v, want the context's error", err)
		}
	})
}

// saw compares all events since the last call.
func (s *rig) saw(want ...string) {
	s.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.events, want) {
		s.t.Errorf("got %q, want %q", s.events, want)
	}
	s.events = nil
}

const windowClosed = "end: the window closed"

// onRig runs a test of windows of a schedule in Berlin.
func onRig(t *testing.T, local string, expr string, d time.Duration, test func(*testing.T, *rig, Plan)) {
	t.Parallel()
	zone := location(t, "Europe/Berlin")
	plan := Windows(mustParse(t, expr, nil), d)
	synctest.Test(t, func(t *testing.T) {
		test(t, newRig(t, local, zone, clockSlice), plan)
	})
}

func TestAJobRunsInItsWindowsToTheSecond(t *testing.T) {
	onRig(t, "2026-05-01 08:00:00", "0 0 9 * * ?", time.Hour, func(_ *testing.T, s *rig, plan Plan) {
		defer s.run(RunnerOptions{Plan: plan})()
		s.pass(time.Hour - time.Nanosecond)
		s.saw()
		s.pass(time.Nanosecond)
		s.saw("09:00:00 begin")
		s.pass(time.Hour - time.Nanosecond)
		s.saw()
		s.pass(time.Nanosecond)
		s.saw("10:00:00 " + windowClosed)
		s.pass(24 * time.Hour)
		s.saw("09:00:00 begin", "10:00:00 "+windowClosed)
	})
}

func TestTouchingWindowsAreNotInterrupted(t *testing.T) {
	onRig(t, "2026-05-01 00:30:00", "0 0 * * * ?", time.Hour, func(_ *testing.T, s *rig, plan Plan) {
		stop := s.run(RunnerOptions{Plan: plan})
		s.pass(24 * time.Hour)
		s.saw("00:30:00 begin")
		stop()
		s.saw("00:30:00 end: context canceled")
	})
}

func TestOverlappingWindowsAreOne(t *testing.T) {
	onRig(t, "2026-05-01 08:59:00", "0 0,20,40 9 * * ?", 30*time.Minute, func(_ *testing.T, s *rig, plan Plan) {
		defer s.run(RunnerOptions{Plan: plan})()
		s.pass(3 * time.Hour)
		s.saw("09:00:00 begin", "10:10:00 "+windowClosed)
	})
}

func TestAWindowIsJoinedInItsMiddle(t *testing.T) {
	onRig(t, "2026-05-01 09:59:59", "0 0 9 * * ?", time.Hour, func(_ *testing.T, s *rig, plan Plan) {
		defer s.run(RunnerOptions{Plan: plan})()
		s.saw("09:59:59 begin")
		s.pass(time.Second)
		s.saw("10:00:00 " + windowClosed)
	})
}

func TestAFailedJobIsRetriedUntilItsWindowEnds(t *testing.T) {
	onRig(t, "2026-05-01 08:59:00", "0 0 9 * * ?", time.Minute, func(_ *testing.T, s *rig, plan Plan) {
		attempts := 0
		defer s.run(RunnerOptions{
			Plan: plan,
			Job: func(ctx context.Context) error {
				attempts++
				s.note("attempt %d", attempts)
				if attempts%2 == 0 {
					return nil // the end of the camera's stream, not of the window
				}
				return errors.New("no route to host")
			},
			Retry: backoff.Policy{Min: 10 * time.Second, Max: 20 * time.Second, Rand: func() float64 { return 1 }},
		})()
		s.pass(time.Hour)
		s.saw("09:00:00 attempt 1", "09:00:10 attempt 2", "09:00:30 attempt 3", "09:00:50 attempt 4")
	})
}

func TestALongRunMakesTheNextPauseShort(t *testing.T) {
	onRig(t, "2026-05-01 09:00:00", "0 0 9 * * ?", time.Hour, func(_ *testing.T, s *rig, plan Plan) {
		attempts := 0
		defer s.run(RunnerOptions{
			Plan: plan,
			Job: func(ctx context.Context) error {
				s.note("attempt")
				if attempts++; attempts == 3 {
					return backoff.Sleep(ctx, 10*time.Minute)
				}
				return errors.New("no route to host")
			},
			Retry: backoff.Policy{Min: time.Second, Max: time.Hour, Rand: func() float64 { return 1 }},
		})()
		s.pass(11 * time.Minute)
		s.saw("09:00:00 attempt", "09:00:01 attempt", "09:00:03 attempt", "09:10:04 attempt", "09:10:06 attempt", "09:10:10 attempt",
			"09:10:18 attempt", "09:10:34 attempt")
	})
}

func TestTheNextWindowWaitsForAJobThatIsStillEnding(t *testing.T) {
	onRig(t, "2026-05-01 09:00:00", "0 0/10 9 * * ?", time.Minute, func(_ *testing.T, s *rig, plan Plan) {
		first := true
		stop := s.run(RunnerOptions{Plan: plan, Job: func(ctx context.Context) error {
			err := s.job(ctx)
			if first {
				first = false
				time.Sleep(9*time.Minute + 30*time.Second)
				s.note("ended late")
			}
			return err
		}})
		s.pass(11 * time.Minute)
		s.saw("09:00:00 begin", "09:01:00 "+windowClosed, "09:10:30 ended late", "09:10:30 begin", "09:11:00 "+windowClosed)
		stop()
	})
}

func TestRunWaitsForItsJob(t *testing.T) {
	onRig(t, "2026-05-01 09:00:00", "0 0 9 * * ?", time.Hour, func(_ *testing.T, s *rig, plan Plan) {
		stop := s.run(RunnerOptions{Plan: plan, Job: func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(10 * time.Second)
			s.note("sealed")
			return nil
		}})
		stop()
		s.saw("09:00:10 sealed")
	})
}

func TestAPanicOfTheJobReachesTheCallerOfRun(t *testing.T) {
	onRig(t, "2026-05-01 09:00:00", "0 0 9 * * ?", time.Hour, func(t *testing.T, s *rig, plan Plan) {
		defer func() {
			if p := recover(); p != "broken" {
				t.Errorf("got panic %v, want the job's", p)
			}
		}()
		_ = Run(t.Context(), RunnerOptions{Plan: plan, Clock: s.clock, Job: func(context.Context) error { panic("broken") }})
	})
}

func TestOnStateTellsEveryChange(t *testing.T) {
	onRig(t, "2026-05-01 08:00:00", "0 0 9 1 5 ? 2026", time.Hour, func(_ *testing.T, s *rig, plan Plan) {
		defer s.run(RunnerOptions{
			Plan: plan,
			Job:  func(ctx context.Context) error { <-ctx.Done(); return nil },
			OnState: func(open bool, next time.Time) {
				s.note("open %v, next %v", open, !next.IsZero())
			},
		})()
		s.pass(48 * time.Hour)
		s.saw("08:00:00 open false, next true", "09:00:00 open true, next true", "10:00:00 open false, next false")
	})
}

func TestStepsOfTheClockTakeEffectWithinASecond(t *testing.T) {
	const year = 365 * 24 * time.Hour // without leap days, but in winter at both ends
	for name, c := range map[string]struct {
		begin string
		step  time.Duration
		want  []string
	}{
		"+1 s into the window":   {"2026-05-01 08:59:58", time.Second, []string{"09:00:00 begin"}},
		"+1 s out of the window": {"2026-05-01 09:59:58", time.Second, []string{"09:59:58 begin", "10:00:00 " + windowClosed}},
		"-1 s out of the window": {"2026-05-01 09:00:00", -time.Second,
			[]string{"09:00:00 begin", "08:59:59 " + windowClosed, "09:00:00 begin"}},
		"-1 s, still open":             {"2026-05-01 09:30:00", -time.Second, []string{"09:30:00 begin"}},
		"+1 h into the window":         {"2026-05-01 08:30:00", time.Hour, []string{"09:30:00 begin"}},
		"+1 h out of the window":       {"2026-05-01 09:30:00", time.Hour, []string{"09:30:00 begin", "10:30:00 " + windowClosed}},
		"-1 h out of the window":       {"2026-05-01 09:30:00", -time.Hour, []string{"09:30:00 begin", "08:30:00 " + windowClosed}},
		"-1 h into the window":         {"2026-05-01 10:30:00", -time.Hour, []string{"09:30:00 begin"}},
		"+50 years into the window":    {"1976-02-01 08:30:00", 50*year + time.Hour, []string{"09:30:00 begin"}},
		"+50 years out of the window":  {"1976-02-01 09:30:00", 50*year + 4*time.Hour, []string{"09:30:00 begin", "13:30:00 " + windowClosed}},
		"-50 years out of the window":  {"2026-02-01 09:30:00", -50*year - 4*time.Hour, []string{"09:30:00 begin", "05:30:00 " + windowClosed}},
		"-50 years into the window":    {"2026-02-01 10:30:00", -50*year - time.Hour, []string{"09:30:00 begin"}},
		"+50 years over to the future": {"2026-02-01 08:30:00", 50*year + time.Hour, []string{"09:30:00 begin"}},
		"a day: another window":        {"2026-05-01 09:30:00", 24 * time.Hour, []string{"09:30:00 begin"}},
	} {
		t.Run(name, func(t *testing.T) {
			onRig(t, c.begin, "0 0 9 * * ?", time.Hour, func(t *testing.T, s *rig, plan Plan) {
				stop := s.run(RunnerOptions{Plan: plan, Job: func(ctx context.Context) error {
					s.note("begin")
					<-ctx.Done()
					if cause := context.Cause(ctx); errors.Is(cause, ErrWindowClosed) {
						s.note("end: %v", cause)
					}
					return nil
				}})
				// Steps lie between two looks of the clock, at any distance.
				s.pass(clockSlice / 3)
				s.step(c.step)
				s.saw(c.want...)
				stop()
			})
		})
	}
}

func TestAChangeOfTheSystemZoneTakesEffect(t *testing.T) {
	onRig(t, "2026-05-01 09:30:00", "0 0 9 * * ?", time.Hour, func(t *testing.T, s *rig, plan Plan) {
		defer s.run(RunnerOptions{Plan: plan})()
		s.pass(time.Second)
		s.setZone(time.UTC) // 07:30 there
		s.pass(zoneEvery)
		s.saw("09:30:00 begin", "09:30:02 "+windowClosed)
		s.pass(2 * time.Hour)
		s.saw("11:00:00 begin")
	})
}

func TestAYearOfHourlyWindowsInEachZone(t *testing.T) {
	t.Parallel()
	durations := []time.Duration{time.Hour, time.Minute, 3599 * time.Second}
	most := testtools.Proof(t, "schedules", testtools.Sizes[int]{Short: 1, Middle: len(durations), Long: len(durations)})
	for i, zone := range vectorZones(t) {
		t.Run(zone.String(), func(t *testing.T) {
			t.Parallel()
			for n := range most {
				d := durations[(i+n)%len(durations)]
				synctest.Test(t, func(t *testing.T) { yearOfHours(t, zone, d) })
			}
		})
	}
}

func yearOfHours(t *testing.T, zone *time.Location, d time.Duration) {
	// No step comes, so that the clock need not look about: it sleeps from window to window.
	s := newRig(t, "2026-01-01 00:00:00", zone, 1000*time.Hour)
	begin := s.now()
	end := begin.AddDate(1, 0, 0)
	type window struct{ start, end time.Time }
	// By definition: every local hour o'clock. Of a repeated hour only the second counts.
	var want []window
	for u := begin; u.Before(end); u = u.Add(30 * time.Minute) {
		if u.Minute() != 0 || comesAgain(u) {
			continue
		}
		if n := len(want); n > 0 && !want[n-1].end.Before(u) {
			want[n-1].end = u.Add(d)
			continue
		}
		want = append(want, window{u, u.Add(d)})
	}
	var got []window
	stop := s.run(RunnerOptions{
		Plan: Windows(mustParse(t, "0 0 * * * ?", nil), d),
		Job: func(ctx context.Context) error {
			w := window{start: s.now()}
			<-ctx.Done()
			w.end = s.now()
			got = append(got, w)
			return nil
		},
	})
	s.pass(end.Sub(begin))
	stop()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got) || i >= len(want):
			// What is open when the year ends is cut there.
			if i != len(want) {
				t.Fatalf("got %d windows, want %d", len(got), len(want))
			}
		case !got[i].start.Equal(want[i].start) || !got[i].end.Equal(want[i].end) && got[i].end.Before(end):
			t.Fatalf("%s, %v: window %d: got %v to %v, want %v to %v", zone, d, i, got[i].start, got[i].end, want[i].start, want[i].end)
		}
	}
}

// comesAgain reports whether a local time o'clock is repeated: clocks are set back by half an hour
// or by one.
func comesAgain(u time.Time) bool {
	for _, later := range []time.Time{u.Add(30 * time.Minute), u.Add(time.Hour)} {
		if later.Hour() == u.Hour() && later.Minute() == u.Minute() {
			return true
		}
	}
	return false
}

// countingPlan counts how often it is asked.
type countingPlan struct {
	Plan
	mu    sync.Mutex
	asked int
}

func (p *countingPlan) At(t time.Time, system *time.Location) (bool, time.Time) {
	p.mu.Lock()
	p.asked++
	p.mu.Unlock()
	return p.Plan.At(t, system)
}

func TestIdleStreamsAreLeftAlone(t *testing.T) {
	onRig(t, "2026-05-01 10:00:00", "0 0 9 * * ?", time.Hour, func(t *testing.T, s *rig, plan Plan) {
		counting := &countingPlan{Plan: plan}
		const streams = 500
		for range streams {
			defer s.run(RunnerOptions{Plan: counting, Job: func(context.Context) error { return nil }})()
		}
		s.pass(22 * time.Hour)
		if counting.asked != streams {
			t.Errorf("%d idle streams asked %d times in 22 hours, want once each", streams, counting.asked)
		}
	})
}
