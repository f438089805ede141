package health

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

// Redate returns a time that the hub's clock has shown as the clock has it that shows now: a hub that
// booted in 1970 began minutes before its clock was set, and not decades. Of a time that has no
// monotonic reading, such as one from a file, that is not known, and it stays.
func Redate(then, now time.Time) time.Time {
	step := hubclock.Step(then, now)
	if step.Abs() < hubclock.RedateStep {
		return then
	}
	return then.Round(0).Add(step.Round(time.Second)) // the same with each asking, but for the second
}

// Redate returns the times of a component as the clock has them that shows now.
func (s *ComponentSnapshot) Redate(now time.Time) {
	s.StateSince = Redate(s.StateSince, now)
	for i := range s.Conditions {
		s.Conditions[i].Since = Redate(s.Conditions[i].Since, now)
	}
}
