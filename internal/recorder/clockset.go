package recorder

import (
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// watchClock follows each recorded frame. With the first one after the clock was set, the media
// before it is placed in time.
func (s *segmenter) watchClock(now time.Time) {
	c, known := s.unsynced.Recorded(s.newest, now)
	if !known {
		return
	}
	if err := s.o.Store.NoteClock(s.o.Stream, c.From, c.Until, c.Add); err != nil {
		s.o.Log.Warn("cannot note by how much the clock was wrong", zap.Error(err))
	}
	s.part.Note(scopeUnset, health.Info, health.SystemFault(codeClock, nil,
		"The hub's clock was not set until %s: add %s to the times of what was recorded before.",
		now.UTC().Format(time.RFC3339), c.Add.Round(time.Second)), unsetShown)
}
