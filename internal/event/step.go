package event

import (
	"cmp"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

// Step has the open events follow the hub's clock where it was set since the last call, and returns the time. Media is dated by the
// clock as it was when it was recorded: so an open event gets the media by both, from its start by the old one to its end by the new
// one. Where the clock was set by more than MaxRoll that would be media of other hours, and nothing changes.
func (s *Store) Step() (now time.Time) {
	s.mu.Lock()
	now = s.o.Now()
	step := hubclock.Step(s.seen, now)
	s.seen = now
	var open []*Event
	if size := step.Abs(); size >= hubclock.RedateStep && size <= MaxRoll {
		for _, e := range s.byID {
			if e.Open(now.Add(-step)) {
				open = append(open, e)
			}
		}
	}
	s.mu.Unlock()
	for _, e := range open {
		if err := s.widen(e.ID, step, now); err != nil {
			s.o.Log.Debug("event not saved after the clock was set", zap.Error(err))
		}
	}
	if len(open) > 0 {
		s.watchers.Notify()
	}
	return now
}

// widen has an open event follow a step of the clock.
func (s *Store) widen(id string, step time.Duration, now time.Time) error {
	_, err := s.change(id, func(e *Event) bool {
		if step > 0 {
			e.To = e.To.Add(step)
			if most := e.Time.Add(MaxLength); e.To.After(most) {
				e.To = most
			}
		}
		if at := now.UTC().Truncate(time.Millisecond); at.Before(e.From) {
			e.From = at
		}
		e.Done = nil
		if e.Hold > 0 {
			e.HoldBy = cmp.Or(e.HoldBy, e.Source, "event") // its hold is to follow
		}
		return true
	})
	return err
}
