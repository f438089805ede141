package health

import "time"

// stepLimit is the least difference between wall and monotonic clock that is a step of the wall clock.
const stepLimit = 2 * time.Second

// Redate gives a time that the hub's clock has shown as the clock has it that shows now: a hub that
// booted in 1970 began minutes before its clock was set, and not decades. Of a time that has no
// monotonic reading, such as one from a file, that is not known, and it stays.
func Redate(then, now time.Time) time.Time {
	step := now.Round(0).Sub(then.Round(0)) - now.Sub(then)
	if step.Abs() < stepLimit {
		return then
	}
	return then.Round(0).Add(step.Round(time.Second)) // the same with each asking, but for the second
}

// Redate gives the times of a part as the clock has them that shows now.
func (s *PartSnapshot) Redate(now time.Time) {
	s.StateSince = Redate(s.StateSince, now)
	for i := range s.Conditions {
		s.Conditions[i].Since = Redate(s.Conditions[i].Since, now)
	}
}
