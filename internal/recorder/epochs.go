package recorder

import (
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

const (
	// epochAhead is how far times may be ahead of a clock that can be trusted.
	epochAhead = 1500 * time.Millisecond
	// epochCheck is how often the clock is asked whether it can be, at most.
	epochCheck = time.Second
	// epochRetry is how long an epoch waits that could not begin.
	epochRetry = 30 * time.Second
)

// epochs remembers what was done to the hub's clock, so that it is known which times were ahead, and by how much.
type epochs struct {
	seen    time.Time     // the hub's clock at the last access unit
	stepped time.Duration // by which it was set since from
	from    time.Time     // producer time of the first frame that it dated as it did until then; zero: there is none
	next    time.Time     // of the next check
}

// watch follows the clock.
func (e *epochs) watch(now time.Time) {
	if !e.seen.IsZero() {
		e.stepped += hubclock.Step(e.seen, now)
	}
	e.seen = now
}

// dated notes a frame's producer time.
func (e *epochs) dated(producer time.Time) {
	if e.from.IsZero() {
		e.from = producer
	}
}

// reset forgets what was done to the clock: times begin from it.
func (e *epochs) reset() { e.stepped, e.from = 0, time.Time{} }

// due reports whether the clock should be asked now.
func (e *epochs) due(now time.Time) bool {
	if now.Sub(e.next) < 0 && e.next.Sub(now) <= epochRetry {
		return false
	}
	e.next = now.Add(epochCheck)
	return true
}

// correctTimes begins an epoch when the newest time is ahead of a clock that can be trusted, and reports whether it did.
// It must be asked at a keyframe.
func (s *segmenter) correctTimes(now time.Time) bool {
	ahead := s.newest.Sub(now.Round(0))
	if ahead <= epochAhead || hubclock.Unset(now) || !s.epochs.due(now) || s.o.Clock == nil || !s.o.Clock.Trusted() {
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
	from, add := time.Time{}, time.Duration(0) // nobody knows since when
	if s.epochs.stepped <= -epochAhead && !s.epochs.from.IsZero() {
		from, add = s.epochs.from, s.epochs.stepped
	}
	if err := s.o.Store.BeginEpoch(s.o.Stream, from, time.Time{}, add, now); err != nil {
		s.epochs.next = now.Add(epochRetry)
		s.o.Log.Warn("the recording's times are ahead of the clock and cannot be corrected yet", zap.Duration("by", ahead), zap.Error(err))
		return false
	}
	s.newest, s.before = s.o.Store.LastEnd(s.o.Stream), time.Time{}
	s.timeline.newest = s.newest
	if s.sound != nil {
		s.sound.line.newest, s.sound.last = s.newest, time.Time{}
	}
	s.epochs.reset()
	s.tellAhead(ahead, add, from, now)
	return true
}

// tellAhead reports that times were ahead, and what was done.
func (s *segmenter) tellAhead(ahead, add time.Duration, from, now time.Time) {
	text := "The times of this stream's recording were up to %s ahead of the hub's clock, nobody knows since when, " +
		"as the clock or the camera had been wrong. They are right since %s; what was recorded before keeps its times."
	by := ahead
	if add != 0 {
		text = "The hub's clock was %s ahead and has been set right. The recording's times are right since %s, " +
			"and those of what was recorded meanwhile are known to be ahead by as much."
		by = -add
	}
	s.o.Log.Warn("times were ahead of the hub's clock: they begin again from it",
		zap.Duration("ahead", ahead), zap.Duration("correction", add), zap.Time("from", from))
	fault := health.SystemFault(codeAhead, nil, text, by.Round(time.Second), now.UTC().Format(time.RFC3339))
	s.part.Note(scopeEpoch, health.Info, fault, unsetShown)
}
