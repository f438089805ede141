package recorder

import (
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/timeline"
)

// correctTimes begins an epoch when the newest time is ahead of a clock that can be trusted, and reports whether it did.
// It must be asked at a keyframe.
func (s *segmenter) correctTimes(now time.Time) bool {
	ahead := s.epochs.Ahead(s.newest, now)
	if ahead == 0 || !s.epochs.CheckDue(now) || s.o.Clock == nil || !s.o.Clock.Trusted() {
		return false
	}
	if s.sound != nil && s.inFragment { // what waits belongs to the times before
		if err := s.writeAudio(s.newest.Add(maxFragment)); err != nil {
			s.o.Log.Debug("cannot write the audio that waits", zap.Error(err)) // the segment fails by the same
		}
		s.sound.drop(len(s.sound.waiting))
	}
	if err := s.seal(); err != nil {
		cannotRecord(s.o, err)
	}
	known := s.epochs.Correction()
	if err := s.o.Store.BeginEpoch(s.o.Stream, known.From, known.Until, known.Add, now); err != nil {
		s.epochs.PutOff(now)
		s.o.Log.Warn("the recording's times are ahead of the clock and cannot be corrected yet", zap.Duration("by", ahead), zap.Error(err))
		return false
	}
	s.newest, s.before = s.o.Store.LastEnd(s.o.Stream), time.Time{}
	s.timeline.Continue(s.newest)
	if s.sound != nil {
		s.sound.timeline.Continue(s.newest)
		s.sound.last = time.Time{}
	}
	s.epochs.Reset()
	s.tellAhead(ahead, known, now)
	return true
}

// tellAhead reports that times were ahead, and what was done.
func (s *segmenter) tellAhead(ahead time.Duration, known timeline.Correction, now time.Time) {
	text := "The times of this stream's recording were up to %s ahead of the hub's clock, nobody knows since when, " +
		"as the clock or the camera had been wrong. They are right since %s; what was recorded before keeps its times."
	by := ahead
	if known.Add != 0 {
		text = "The hub's clock was %s ahead and has been set right. The recording's times are right since %s, " +
			"and those of what was recorded meanwhile are known to be ahead by as much."
		by = -known.Add
	}
	s.o.Log.Warn("times were ahead of the hub's clock: they begin again from it",
		zap.Duration("ahead", ahead), zap.Duration("correction", known.Add), zap.Time("from", known.From))
	fault := health.SystemFault(codeAhead, nil, text, by.Round(time.Second), now.UTC().Format(time.RFC3339))
	s.part.Note(scopeEpoch, health.Info, fault, unsetShown)
}
