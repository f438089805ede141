package recorder

import (
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/timeline"
)

// The values of Options.TimestampSource.
const (
	TimestampHub    = "hub"
	TimestampCamera = "camera" // by RTCP sender reports, while they are credible
)

// jumpCuts is the least time between two segments that start because timestamps jumped.
const jumpCuts = time.Minute

// frameTimes assigns producer timestamps to the video's frames, by the hub's clock or the camera's, and reports faults of
// both.
type frameTimes struct {
	o        *Options
	timeline timeline.Timeline
	camera   timeline.CameraClock
	unsynced timeline.UnsyncedClock
	epochs   timeline.EpochWatch

	jumpedAt   time.Time // when a segment last started because timestamps jumped
	trustAsked time.Time // when the trust in the hub's clock was last checked, to judge the camera's
	reported   timeTroubles
}

// timeTroubles are the faults of a stream's times that status shows.
type timeTroubles struct {
	constant bool                // timestamps do not advance
	odd      bool                // the camera's clock is too fast or too slow
	camera   timeline.ClockState // the judgement of the camera's clock
}

// beginSession begins a session of rate RTP ticks per second.
func (t *frameTimes) beginSession(rate int) {
	t.timeline.BeginSession(rate)
	t.camera.BeginSession(rate)
}

// endSession resets what was reported: the supervisor has ended these conditions.
func (t *frameTimes) endSession() { t.reported = timeTroubles{} }

// date returns the producer timestamp of an access unit. jumped reports that a segment should start as the timestamps jumped.
func (t *frameTimes) date(rtpTime uint32, now time.Time) (producer time.Time, jumped bool) {
	t.followCamera(rtpTime, now)
	t.epochs.Watch(now)
	producer, jumped = t.timeline.Assign(rtpTime, now)
	if jumped {
		jumped = t.reportJump(now)
	}
	t.reportConstant()
	t.reportPace()
	return producer, jumped
}

// recorded is called after each recorded frame, with the newest producer timestamp. At the first one after the hub's clock was
// set it notes the correction of the media recorded before.
func (t *frameTimes) recorded(newest, now time.Time) {
	c, known := t.unsynced.Recorded(newest, now)
	if !known {
		return
	}
	if err := t.o.Store.NoteClock(t.o.Stream, c.From, c.Until, c.Add); err != nil {
		logevent.CorrectionNotNoted.Log(t.o.Log, zap.Error(err))
	}
	fault := health.SystemFault(codeClock, nil,
		"The hub's clock was not set until %s: add %s to the times of the media recorded before.",
		now.UTC().Format(time.RFC3339), c.Add.Round(time.Second))
	t.o.Health.Note(scopeUnset, health.Info, fault, unsetShown)
	logevent.Condition(t.o.Log, fault, zap.Duration("correction", c.Add), zap.Time("from", c.From), zap.Time("until", c.Until))
}

// reportJump reports that the timestamps jumped, and returns whether a segment should start for it: many jumps in a row
// start one segment only.
func (t *frameTimes) reportJump(now time.Time) (begins bool) {
	t.timeline.Open(timeline.Opening{})
	if begins = t.jumpedAt.IsZero() || now.Sub(t.jumpedAt) >= jumpCuts; begins {
		t.jumpedAt = now
	}
	if t.o.frozen() {
		logevent.TimesAfterFreeze.Log(t.o.Log)
		return begins
	}
	fault := health.SystemFault(codeJump, nil,
		"The camera's timestamps jumped; its times follow the hub's clock: check the camera's clock and firmware if this happens again.")
	if t.o.Health.Note(scopeJump, health.Info, fault, jumpShown) {
		logevent.Condition(t.o.Log, fault)
	}
	return begins
}

// reportConstant reports once that timestamps do not advance, and once that they do again.
func (t *frameTimes) reportConstant() {
	if t.timeline.Constant() == t.reported.constant {
		return
	}
	if t.reported.constant = !t.reported.constant; t.reported.constant {
		fault := health.SystemFault(codeJump, nil,
			"The camera's timestamps do not advance, so that times are those of arrival at the hub: update the camera's firmware.")
		t.o.Health.Report(scopeConstant, health.Info, fault)
		logevent.Condition(t.o.Log, fault)
		return
	}
	t.o.Health.OK(scopeConstant)
}

// reportPace reports once that the camera's clock runs faster or slower than the hub's.
func (t *frameTimes) reportPace() {
	pace, scaled := t.timeline.OddPace()
	if (pace != 0) == t.reported.odd {
		return
	}
	if t.reported.odd = pace != 0; !t.reported.odd {
		t.o.Health.OK(scopePace)
		logevent.TimestampsNormal.Log(t.o.Log)
		return
	}
	digits := 2
	if scaled || pace < 0.1 {
		digits = 4
	}
	fault := health.SystemFault(codeJump, nil,
		"The camera's timestamps run %s times as fast as time passes, so that times follow their arrival at the hub: "+
			"check the camera's frame rate, or update its firmware.",
		health.Varying(strconv.FormatFloat(pace, 'f', digits, 64)))
	t.o.Health.Report(scopePace, health.Info, fault)
	logevent.Condition(t.o.Log, fault, zap.Float64("factor", pace))
}

// followCamera makes times follow the camera's clock while it is credible, and reports why when it is not.
func (t *frameTimes) followCamera(rtpTime uint32, now time.Time) {
	if t.o.TimestampSource != TimestampCamera {
		return
	}
	if !now.Before(t.trustAsked.Add(timeline.CameraInterval)) {
		t.trustAsked = now
		t.camera.TrustHub(t.o.Clock != nil && t.o.Clock.Trusted())
	}
	if camera, ok := t.camera.Judge(rtpTime, now); ok {
		t.timeline.FollowCamera(camera, t.camera.Offset())
	} else {
		t.timeline.FollowHub()
	}
	if t.camera.State() == t.reported.camera {
		return
	}
	t.reported.camera = t.camera.State()
	text := ""
	switch t.reported.camera {
	case timeline.ClockGood:
		t.o.Health.OK(scopeClock)
		logevent.CameraClockUsed.Log(t.o.Log, zap.Duration("ahead", t.camera.Offset()))
		return
	case timeline.ClockMissing:
		text = "The camera does not send its time (RTCP sender reports), so that times are the hub's: " +
			"update its firmware, or set AWS_KVS_EDGE_TIMESTAMP_SOURCE to hub."
	case timeline.ClockOff:
		if t.camera.AheadOnly() {
			text = "The camera's clock is more than 1 s ahead of the hub's, which is right, so that times are the hub's: " +
				"set the camera's time server (NTP)."
			break
		}
		text = "The camera's clock is more than 5 s off the hub's, so that times are the hub's: " +
			"set the camera's time server (NTP), and check that of the hub."
	case timeline.ClockJumps:
		text = "The camera's clock jumps, so that times are the hub's: check the camera's time server (NTP)."
	default:
		return
	}
	fault := health.UserFault(codeCameraClock, nil, "%s", text)
	if t.o.Health.Report(scopeClock, health.Info, fault) {
		logevent.Condition(t.o.Log, fault, zap.Duration("ahead", t.camera.Offset()))
	}
}

// reportAhead reports that times were ahead of the clock, and how they were corrected.
func (t *frameTimes) reportAhead(ahead time.Duration, known timeline.Correction, now time.Time) {
	text := "The times of this stream's recording were up to %s ahead of the hub's clock, since an unknown time, " +
		"as the clock or the camera had been wrong. They are right since %s; media recorded before keeps its times."
	by := ahead
	if known.Add != 0 {
		text = "The hub's clock was %s ahead and has been set right. The recording's times are right since %s, " +
			"and those of the media recorded meanwhile are known to be ahead by as much."
		by = -known.Add
	}
	fault := health.SystemFault(codeAhead, nil, text, by.Round(time.Second), now.UTC().Format(time.RFC3339))
	t.o.Health.Note(scopeEpoch, health.Info, fault, unsetShown)
	logevent.Condition(t.o.Log, fault, zap.Duration("ahead", ahead), zap.Duration("correction", known.Add), zap.Time("from", known.From))
}
