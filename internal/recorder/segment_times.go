package recorder

import (
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/timeline"
)

// The times of a segmenter's frames, and what is said of them.

// jumpCuts is the least time between two segments that begin for a jump of the timestamps.
const jumpCuts = time.Minute

// date returns the producer time of an access unit. Where the hub's clock was set, times begin from it at a keyframe.
func (s *segmenter) date(rtpTime uint32, keyframe bool, now time.Time) time.Time {
	s.followCamera(rtpTime, now)
	s.epochs.Watch(now)
	producer, jumped := s.timeline.Assign(rtpTime, now)
	if jumped {
		s.tellJump(now)
	}
	s.tellConstant()
	s.tellPace()
	s.watchKeyframes(producer, keyframe)
	if !keyframe {
		return producer
	}
	if s.correctTimes(now) {
		return s.redate(rtpTime, now)
	}
	if ahead := s.timeline.WallClockLead(now); ahead > 0 {
		s.o.Log.Info("the hub's clock was stepped forward: a new segment begins", zap.Duration("by", ahead))
		producer = s.redate(rtpTime, now)
		s.epochs.Reset()
	}
	return producer
}

// redate begins times from the hub's clock, with a new segment.
func (s *segmenter) redate(rtpTime uint32, now time.Time) time.Time {
	s.keyAt = time.Time{}
	s.cut = true
	if s.sound != nil {
		s.sound.timeline.Restart()
	}
	return s.timeline.AnchorAt(rtpTime, now, now)
}

// tellJump reports that the timestamps jumped, for which a segment begins, though not for each of many.
func (s *segmenter) tellJump(now time.Time) {
	s.timeline.Open(timeline.Opening{})
	if s.jumpedAt.IsZero() || now.Sub(s.jumpedAt) >= jumpCuts {
		s.cut, s.jumpedAt = true, now
	}
	if s.frozen() {
		s.o.Log.Info("times follow the hub's clock after it did not run")
		return
	}
	if s.part.Note(scopeJump, health.Info, health.SystemFault(codeJump, nil,
		"The camera's timestamps jumped; its times follow the hub's clock: check the camera's clock and firmware if this comes again."), jumpShown) {
		s.o.Log.Warn("the camera's timestamps jumped")
	}
}

// tellConstant reports timestamps that stand still, once.
func (s *segmenter) tellConstant() {
	if s.timeline.Constant() == s.constant {
		return
	}
	if s.constant = !s.constant; s.constant {
		s.part.Report(scopeConstant, health.Info, health.SystemFault(codeJump, nil,
			"The camera's timestamps stand still, so that times are those of arrival at the hub: update the camera's firmware."))
		s.o.Log.Warn("the camera's timestamps stand still")
		return
	}
	s.part.OK(scopeConstant)
}

// tellPace reports a clock of the camera that runs at another pace than the hub's, once.
func (s *segmenter) tellPace() {
	pace, scaled := s.timeline.OddPace()
	if (pace != 0) == s.paced {
		return
	}
	if s.paced = pace != 0; !s.paced {
		s.part.OK(scopePace)
		s.o.Log.Info("the camera's timestamps run at the right pace again")
		return
	}
	digits := 2
	if scaled || pace < 0.1 {
		digits = 4
	}
	s.part.Report(scopePace, health.Info, health.SystemFault(codeJump, nil,
		"The camera's timestamps run %s times as fast as time passes, so that times follow their arrival at the hub: check the camera's frame rate, or update its firmware.",
		health.Varying(strconv.FormatFloat(pace, 'f', digits, 64))))
	s.o.Log.Warn("the camera's timestamps run at a pace of their own", zap.Float64("factor", pace))
}

// longGOP is from when on status tells that keyframes are too rare: fragments then have to be cut
// between them. Source: KVS API, PutMedia, 10 s.
const longGOP = 10 * time.Second

// watchKeyframes tells of keyframes that are too rare, in video time.
func (s *segmenter) watchKeyframes(producer time.Time, keyframe bool) {
	if s.keyAt.IsZero() {
		s.keyAt = producer // or the session's begin
		return
	}
	distance := producer.Sub(s.keyAt)
	switch {
	case distance > longGOP && !s.longGOP && s.frozen():
		s.keyAt = producer // keyframes came meanwhile
	case distance > longGOP && !s.longGOP:
		s.longGOP = true
		s.part.Report(scopeKeyframes, health.Info, health.UserFault(codeKeyframes, nil,
			"The camera sends a keyframe less often than every 10 s, so that playback of uploads may begin late: set its keyframe (I-frame, GOP) interval to 2 s, and switch off \"smart\" codecs."))
		s.o.Log.Warn("keyframes are rare", zap.Duration("since", distance))
	case keyframe && distance <= longGOP && s.longGOP:
		s.longGOP = false
		s.part.OK(scopeKeyframes)
	}
	if keyframe {
		s.keyAt = producer
	}
}
