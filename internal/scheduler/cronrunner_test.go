package scheduler

import (
	"testing"
	"time"

	"github.com/robfig/cron/v3"
)

// wallSchedule is an expression by the wall clock of a rig, which steps, in the times of the runtime,
// which do not.
type wallSchedule struct {
	rig *rig
	*Expression
}

func (w wallSchedule) Next(t time.Time) time.Time {
	ahead := -time.Since(w.rig.now())
	return w.Expression.Next(t.Add(ahead)).Add(-ahead)
}

// TestTheLibrarysRunnerSleepsThroughSteps is why windows are not run by cron.Cron (decision 12). It works out when a
// job is next due and sleeps for so long by the monotonic clock, so that it sees no step before it wakes.
func TestTheLibrarysRunnerSleepsThroughSteps(t *testing.T) {
	for name, c := range map[string]struct {
		begin string
		step  time.Duration
		runs  string // when the job begins, by the wall clock: it is due at once
	}{
		"clock-forward": {"2026-05-01 06:00:00", 3*time.Hour + 10*time.Minute, "12:10:00"},
		"clock-1970":    {"1970-01-01 10:00:00", 56*365*24*time.Hour + 23*time.Hour + 30*time.Minute, "08:30:00"},
	} {
		t.Run(name, func(t *testing.T) {
			onRig(t, c.begin, "0 0 9 * * ?", time.Hour, func(t *testing.T, s *rig, plan Plan) {
				runner := cron.New(cron.WithLocation(s.zone))
				runner.Schedule(wallSchedule{s, mustParse(t, "0 0 9 * * ?", s.zone)}, cron.FuncJob(func() { s.note("library") }))
				runner.Start()
				defer func() { <-runner.Stop().Done() }()
				s.pass(0)
				s.mu.Lock()
				s.base = s.base.Add(c.step)
				s.mu.Unlock()
				if open, _ := plan.At(s.now(), s.zone); !open {
					t.Fatal("the clock was not stepped into a window")
				}
				s.pass(23 * time.Hour)
				s.saw(c.runs + " library")
			})
		})
	}
}
