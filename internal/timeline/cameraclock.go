package timeline

import "time"

const (
	// maxOffset is how far the camera's clock may be from the hub's.
	maxOffset = 5 * time.Second
	// maxCameraAhead is how far it may be ahead of a trusted hub's clock: recordings are not dated ahead
	// of that by more than MaxAhead.
	maxCameraAhead = MaxAhead - aheadLimit
	// jumpThreshold is the least difference between two reports that counts as a jump.
	jumpThreshold = time.Second
	// CameraInterval is how long arrivals are watched before the camera's clock is judged by them:
	// late arrivals, after a stall of the network, show nothing about it.
	CameraInterval = sessionStall
	// certainOffset is longer than any delay of arrival: such an offset is the clock's.
	certainOffset = 15 * time.Second
	// DistrustPeriod is how long a clock that jumped is not trusted.
	DistrustPeriod = time.Minute
	// reportPatience is how long a camera may take for its first report.
	reportPatience = 30 * time.Second
)

// ClockState is the judgement of a camera's clock.
type ClockState uint8

// The values of ClockState.
const (
	ClockUnknown ClockState = iota // no report has arrived yet
	ClockGood
	ClockMissing // no reports arrive
	ClockOff     // too far from the hub's
	ClockJumps
)

// CameraClock judges a camera's clock by its RTCP sender reports. The zero value is ready for BeginSession.
type CameraClock struct {
	rate    clockRate
	trusted bool // the hub's clock can be trusted

	state   ClockState
	began   time.Time     // start of the session
	jumped  bool          // since the last judgement
	reports bool          // there was a report in this session
	ntp     time.Time     // the camera's time at raw
	raw     uint32        // RTP timestamp
	offset  time.Duration // of the camera's clock from the hub's, as far as known

	intervalEnd time.Time
	best        time.Duration // largest offset in the interval: that of the timeliest access unit
	until       time.Time     // end of its distrust
}

// BeginSession starts a session of rate RTP ticks per second. It keeps the judgement of the clock.
func (c *CameraClock) BeginSession(rate int) {
	*c = CameraClock{rate: clockRate(max(rate, 1)), trusted: c.trusted, state: c.state, until: c.until}
}

// TrustHub sets whether the hub's clock is trusted: then a camera's clock may be less far ahead of it.
func (c *CameraClock) TrustHub(trusted bool) { c.trusted = trusted }

// State returns the judgement of the clock.
func (c *CameraClock) State() ClockState { return c.state }

// Offset returns how far the clock is ahead of the hub's, as far as known.
func (c *CameraClock) Offset() time.Duration { return c.offset }

// AheadOnly reports whether the clock would be close enough to an untrusted hub's, but is too far ahead of a
// trusted one.
func (c *CameraClock) AheadOnly() bool { return c.offset > maxCameraAhead && c.offset <= maxOffset }

// Report notes the camera's time of an RTP timestamp.
func (c *CameraClock) Report(ntp time.Time, raw uint32) {
	if c.reports {
		if d := ntp.Sub(c.at(raw)); d.Abs() > jumpThreshold {
			c.jumped = true
		}
	}
	c.ntp, c.raw, c.reports = ntp.Round(0), raw, true
}

// at returns the camera's time at an RTP timestamp.
func (c *CameraClock) at(raw uint32) time.Time {
	return c.ntp.Add(time.Duration(int64(int32(raw-c.raw)) * int64(time.Second) / int64(c.rate)))
}

// Judge returns the camera's time of an access unit that arrives now. ok reports whether it is credible.
func (c *CameraClock) Judge(raw uint32, now time.Time) (camera time.Time, ok bool) {
	if c.began.IsZero() {
		c.began = now
	}
	if !c.reports {
		if now.Sub(c.began) > reportPatience {
			c.state = ClockMissing
		}
		return camera, false
	}
	camera = c.at(raw)
	off := camera.Sub(now)
	if c.intervalEnd.IsZero() {
		c.intervalEnd, c.best, c.offset = now.Add(CameraInterval), off, off
		if c.near(off) && c.state < ClockOff {
			c.state = ClockGood
		}
	}
	c.best = max(c.best, off)
	if c.jumped {
		c.jumped = false
		c.state, c.until = ClockJumps, now.Add(DistrustPeriod)
		c.intervalEnd, c.best = now.Add(CameraInterval), off
	}
	if off.Abs() > certainOffset {
		c.measured(off, now)
	}
	if !now.Before(c.intervalEnd) {
		c.measured(c.best, now)
		c.intervalEnd, c.best = now.Add(CameraInterval), off
	}
	return camera, c.state == ClockGood
}

// near reports whether a clock may be off by that much.
func (c *CameraClock) near(off time.Duration) bool {
	return off.Abs() <= maxOffset && (!c.trusted || off <= maxCameraAhead)
}

// measured evaluates a measured offset.
func (c *CameraClock) measured(off time.Duration, now time.Time) {
	c.offset = off
	switch {
	case c.state == ClockJumps && now.Before(c.until):
	case !c.near(off):
		c.state = ClockOff
	default:
		c.state, c.until = ClockGood, time.Time{}
	}
}
