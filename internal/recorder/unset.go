package recorder

import (
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

// unset remembers what was recorded before the hub's clock was set.
type unset struct {
	from, until time.Time // producer times of the first and the last frame; zero: there is none
	arrival     time.Time // of the last frame
}

// watchClock follows each recorded frame. With the first one after the clock was set, the media
// before it can be placed in time: the monotonic clock went on all the while.
func (s *segmenter) watchClock(now time.Time) {
	u := &s.unset
	if hubclock.Unset(now) {
		if u.from.IsZero() {
			u.from = s.newest
		}
		u.until, u.arrival = s.newest, now
		return
	}
	if u.from.IsZero() {
		return
	}
	add := now.Round(0).Add(-now.Sub(u.arrival)).Sub(u.until)
	if err := s.o.Store.NoteClock(s.o.Stream, u.from, u.until, add); err != nil {
		s.o.Log.Warn("cannot note by how much the clock was wrong", zap.Error(err))
	}
	s.part.Note(scopeUnset, health.Info, health.SystemFault(codeClock, nil,
		"The hub's clock was not set until %s: add %s to the times of what was recorded before.", now.UTC().Format(time.RFC3339), add.Round(time.Second)), unsetShown)
	*u = unset{}
}
