package recorder

import (
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/timeline"
)

// The values of Options.TimestampSource.
const (
	TimestampHub    = "hub"
	TimestampCamera = "camera" // by RTCP sender reports, while they can be believed
)

// jumpCuts is the least time between two segments that begin for a jump of the timestamps.
const jumpCuts = time.Minute

// frameTimes decides the times of the video's frames, by the hub's clock or the camera's, and reports what is wrong with
// either.
type frameTimes struct {
	o        *Options
	timeline timeline.Timeline
	camera   timeline.CameraClock
	unsynced timeline.UnsyncedClock
	epochs   timeline.EpochWatch

	jumpedAt   time.Time // when a segment began for a jump of the timestamps
	trustAsked time.Time // when the hub's clock was asked whether it can be trusted, for the camera's
	reported   timeTroubles
}

// timeTroubles are what status says of a stream's times.
type timeTroubles struct {
	constant bool                // timestamps do not advance
	odd      bool                // the camera's clock has a pace of its own
	camera   timeline.ClockState // what the camera's clock is thought of
}

// beginSession begins a session of rate RTP ticks per second.
func (t *frameTimes) beginSession(rate int) {
	t.timeline.BeginSession(rate)
	t.camera.BeginSession(rate)
}

// endSession forgets what was reported, which the supervisor ends.
func (t *frameTimes) endSession() { t.reported = timeTroubles{} }

// date returns the producer time of an access unit. jumped reports that a segment should begin for a jump of the timestamps.
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

// recorded follows each recorded frame, by the newest producer time. With the first after the hub's clock was set, the
// media before it is placed in time.
func (t *frameTimes) recorded(newest, now time.Time) {
	c, known := t.unsynced.Recorded(newest, now)
	if !known {
		return
	}
	if err := t.o.Store.NoteClock(t.o.Stream, c.From, c.Until, c.Add); err != nil {
		t.o.Log.Warn("cannot note by how much the clock was wrong", zap.Error(err))
	}
	t.o.Health.Note(scopeUnset, health.Info, health.SystemFault(codeClock, nil,
		"The hub's clock was not set until %s: add %s to the times of what was recorded before.",
		now.UTC().Format(time.RFC3339), c.Add.Round(time.Second)), unsetShown)
}

// reportJump reports that the timestamps jumped, and returns whether a segment should begin for it, though not for each
// of many.
func (t *frameTimes) reportJump(now time.Time) (begins bool) {
	t.timeline.Open(timeline.Opening{})
	if begins = t.jumpedAt.IsZero() || now.Sub(t.jumpedAt) >= jumpCuts; begins {
		t.jumpedAt = now
	}
	if t.o.frozen() {
		t.o.Log.Info("times follow the hub's clock after it did not run")
		return begins
	}
	if t.o.Health.Note(scopeJump, health.Info, health.SystemFault(codeJump, nil,
		"The camera's timestamps jumped; its times follow the hub's clock: check the camera's clock and firmware if this comes again."),
		jumpShown) {
		t.o.Log.Warn("the camera's timestamps jumped", zap.String("code", codeJump))
	}
	return begins
}

// reportConstant reports timestamps that stand still, once.
func (t *frameTimes) reportConstant() {
	if t.timeline.Constant() == t.reported.constant {
		return
	}
	if t.reported.constant = !t.reported.constant; t.reported.constant {
		t.o.Health.Report(scopeConstant, health.Info, health.SystemFault(codeJump, nil,
			"The camera's timestamps do not advance, so that times are those of arrival at the hub: update the camera's firmware."))
		t.o.Log.Warn("the camera's timestamps do not advance", zap.String("code", codeJump))
		return
	}
	t.o.Health.OK(scopeConstant)
}

// reportPace reports a clock of the camera that runs at another pace than the hub's, once.
func (t *frameTimes) reportPace() {
	pace, scaled := t.timeline.OddPace()
	if (pace != 0) == t.reported.odd {
		return
	}
	if t.reported.odd = pace != 0; !t.reported.odd {
		t.o.Health.OK(scopePace)
		t.o.Log.Info("the camera's timestamps run at the right rate again")
		return
	}
	digits := 2
	if scaled || pace < 0.1 {
		digits = 4
	}
	t.o.Health.Report(scopePace, health.Info, health.SystemFault(codeJump, nil,
		"The camera's timestamps run %s times as fast as time passes, so that times follow their arrival at the hub: "+
			"check the camera's frame rate, or update its firmware.",
		health.Varying(strconv.FormatFloat(pace, 'f', digits, 64))))
	t.o.Log.Warn("the camera's timestamps run at the wrong rate", zap.String("code", codeJump), zap.Float64("factor", pace))
}

// followCamera has times follow the camera's clock while it can be believed, and reports why when it cannot.
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
		t.o.Log.Info("times follow the camera's clock", zap.Duration("ahead of the hub", t.camera.Offset()))
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
	if t.o.Health.Report(scopeClock, health.Info, health.UserFault(codeCameraClock, nil, "%s", text)) {
		t.o.Log.Warn("times follow the hub's clock, not the camera's", zap.String("code", codeCameraClock),
			zap.Duration("camera ahead of the hub", t.camera.Offset()))
	}
}

// reportAhead reports that times were ahead, and what was done.
func (t *frameTimes) reportAhead(ahead time.Duration, known timeline.Correction, now time.Time) {
	text := "The times of this stream's recording were up to %s ahead of the hub's clock, nobody knows since when, " +
		"as the clock or the camera had been wrong. They are right since %s; what was recorded before keeps its times."
	by := ahead
	if known.Add != 0 {
		text = "The hub's clock was %s ahead and has been set right. The recording's times are right since %s, " +
			"and those of what was recorded meanwhile are known to be ahead by as much."
		by = -known.Add
	}
	t.o.Log.Warn("times were ahead of the hub's clock: they begin again from it", zap.String("code", codeAhead),
		zap.Duration("ahead", ahead), zap.Duration("correction", known.Add), zap.Time("from", known.From))
	fault := health.SystemFault(codeAhead, nil, text, by.Round(time.Second), now.UTC().Format(time.RFC3339))
	t.o.Health.Note(scopeEpoch, health.Info, fault, unsetShown)
}
