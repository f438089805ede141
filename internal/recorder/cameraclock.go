package recorder

import (
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// The values of Options.TimestampSource.
const (
	TimestampHub    = "hub"
	TimestampCamera = "camera" // by RTCP sender reports, while they can be believed
)

const (
	// cameraOff is how far the camera's clock may be from the hub's.
	cameraOff = 5 * time.Second
	// cameraAhead is how far it may be ahead of a hub's clock that can be trusted: recordings are not dated ahead
	// of that by more than epochAhead.
	cameraAhead = epochAhead - aheadLimit
	// cameraLeap is the least difference between two reports that is a jump.
	cameraLeap = time.Second
	// cameraWindow is how long arrivals are watched before the camera's clock is judged by them:
	// what comes late, after a stall of the network, says nothing of it.
	cameraWindow = 10 * time.Second
	// cameraLate is later than anything comes: such an offset is the clock's.
	cameraLate = 15 * time.Second
	// cameraPenance is how long a clock that jumped is not believed.
	cameraPenance = time.Minute
	// cameraPatience is how long a camera may take for its first report.
	cameraPatience = 30 * time.Second
)

// clockState is what is thought of a camera's clock.
type clockState uint8

const (
	clockUnknown clockState = iota // no report has come yet
	clockGood
	clockMissing // no report comes
	clockOff
	clockJumps
)

// cameraClock judges a camera's clock by its sender reports. It is pure: the times of arrival are given.
type cameraClock struct {
	rate    int64
	trusted bool // the hub's clock can be trusted

	state   clockState
	began   time.Time     // of the session
	leapt   bool          // since it was judged
	reports bool          // there was one in this session
	ntp     time.Time     // the camera's time at raw
	raw     uint32        // RTP timestamp
	offset  time.Duration // of the camera's clock from the hub's, as far as is known

	windowEnd time.Time
	best      time.Duration // greatest offset in the window: that of the timeliest access unit
	until     time.Time     // end of the penance
}

// restart forgets the session, but not what was thought of the clock.
func (c *cameraClock) restart(rate int) {
	*c = cameraClock{rate: int64(max(rate, 1)), trusted: c.trusted, state: c.state, until: c.until}
}

// report takes the camera's time of an RTP timestamp.
func (c *cameraClock) report(ntp time.Time, raw uint32) {
	if c.reports {
		if d := ntp.Sub(c.at(raw)); d.Abs() > cameraLeap {
			c.leapt = true
		}
	}
	c.ntp, c.raw, c.reports = ntp.Round(0), raw, true
}

// at is the camera's time at an RTP timestamp.
func (c *cameraClock) at(raw uint32) time.Time {
	return c.ntp.Add(time.Duration(int64(int32(raw-c.raw)) * int64(time.Second) / c.rate))
}

// judge gives the camera's time of an access unit, if it can be believed.
func (c *cameraClock) judge(raw uint32, now time.Time) (camera time.Time, ok bool) {
	if c.began.IsZero() {
		c.began = now
	}
	if !c.reports {
		if now.Sub(c.began) > cameraPatience {
			c.state = clockMissing
		}
		return camera, false
	}
	camera = c.at(raw)
	off := camera.Sub(now)
	if c.windowEnd.IsZero() {
		c.windowEnd, c.best, c.offset = now.Add(cameraWindow), off, off
		if c.near(off) && c.state < clockOff {
			c.state = clockGood
		}
	}
	c.best = max(c.best, off)
	if c.leapt {
		c.leapt = false
		c.state, c.until = clockJumps, now.Add(cameraPenance)
		c.windowEnd, c.best = now.Add(cameraWindow), off
	}
	if off.Abs() > cameraLate {
		c.settle(off, now)
	}
	if !now.Before(c.windowEnd) {
		c.settle(c.best, now)
		c.windowEnd, c.best = now.Add(cameraWindow), off
	}
	return camera, c.state == clockGood
}

// near reports whether a clock may be off by that much.
func (c *cameraClock) near(off time.Duration) bool {
	return off.Abs() <= cameraOff && (!c.trusted || off <= cameraAhead)
}

// settle judges an offset that was measured.
func (c *cameraClock) settle(off time.Duration, now time.Time) {
	c.offset = off
	switch {
	case c.state == clockJumps && now.Before(c.until):
	case !c.near(off):
		c.state = clockOff
	default:
		c.state, c.until = clockGood, time.Time{}
	}
}

// cameraTime learns the camera's time; see sink.
func (s *segmenter) cameraTime(ntp time.Time, rtpTime uint32) { s.clock.report(ntp, rtpTime) }

// followCamera gives the timelines the camera's time, or takes it from them, and says why.
func (s *segmenter) followCamera(rtpTime uint32, now time.Time) {
	if s.o.TimestampSource != TimestampCamera {
		return
	}
	if !now.Before(s.trustAsked.Add(cameraWindow)) {
		s.trustAsked, s.clock.trusted = now, s.o.Clock != nil && s.o.Clock.Trusted()
	}
	camera, ok := s.clock.judge(rtpTime, now)
	s.timeline.camera = time.Time{}
	target := time.Duration(0)
	if ok {
		s.timeline.camera, target = camera, s.clock.offset
	}
	s.timeline.aim(target)
	if s.clock.state == s.shownClock {
		return
	}
	s.shownClock = s.clock.state
	text := ""
	switch s.clock.state {
	case clockGood:
		s.part.OK(scopeClock)
		s.o.Log.Info("times follow the camera's clock", zap.Duration("ahead of the hub", s.clock.offset))
		return
	case clockMissing:
		text = "The camera does not send its time (RTCP sender reports), so that times are the hub's: update its firmware, or set AWS_KVS_EDGE_TIMESTAMP_SOURCE to hub."
	case clockOff:
		if off := s.clock.offset; off > cameraAhead && off <= cameraOff {
			text = "The camera's clock is more than 1 s ahead of the hub's, which is right, so that times are the hub's: " +
				"set the camera's time server (NTP)."
			break
		}
		text = "The camera's clock is more than 5 s off the hub's, so that times are the hub's: set the camera's time server (NTP), and check that of the hub."
	case clockJumps:
		text = "The camera's clock jumps, so that times are the hub's: check the camera's time server (NTP)."
	default:
		return
	}
	if s.part.Report(scopeClock, health.Info, health.UserFault(codeCameraClock, nil, "%s", text)) {
		s.o.Log.Warn("times follow the hub's clock, not the camera's", zap.Duration("camera ahead of the hub", s.clock.offset))
	}
}
