package recorder

import (
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

// cameraTime learns the camera's time; see sink.
func (s *segmenter) cameraTime(ntp time.Time, rtpTime uint32) { s.clock.Report(ntp, rtpTime) }

// followCamera gives the timelines the camera's time, or takes it from them, and says why.
func (s *segmenter) followCamera(rtpTime uint32, now time.Time) {
	if s.o.TimestampSource != TimestampCamera {
		return
	}
	if !now.Before(s.trustAsked.Add(timeline.CameraInterval)) {
		s.trustAsked = now
		s.clock.TrustHub(s.o.Clock != nil && s.o.Clock.Trusted())
	}
	if camera, ok := s.clock.Judge(rtpTime, now); ok {
		s.timeline.FollowCamera(camera, s.clock.Offset())
	} else {
		s.timeline.FollowHub()
	}
	if s.clock.State() == s.shownClock {
		return
	}
	s.shownClock = s.clock.State()
	text := ""
	switch s.shownClock {
	case timeline.ClockGood:
		s.part.OK(scopeClock)
		s.o.Log.Info("times follow the camera's clock", zap.Duration("ahead of the hub", s.clock.Offset()))
		return
	case timeline.ClockMissing:
		text = "The camera does not send its time (RTCP sender reports), so that times are the hub's: update its firmware, or set AWS_KVS_EDGE_TIMESTAMP_SOURCE to hub."
	case timeline.ClockOff:
		if s.clock.AheadOnly() {
			text = "The camera's clock is more than 1 s ahead of the hub's, which is right, so that times are the hub's: " +
				"set the camera's time server (NTP)."
			break
		}
		text = "The camera's clock is more than 5 s off the hub's, so that times are the hub's: set the camera's time server (NTP), and check that of the hub."
	case timeline.ClockJumps:
		text = "The camera's clock jumps, so that times are the hub's: check the camera's time server (NTP)."
	default:
		return
	}
	if s.part.Report(scopeClock, health.Info, health.UserFault(codeCameraClock, nil, "%s", text)) {
		s.o.Log.Warn("times follow the hub's clock, not the camera's", zap.Duration("camera ahead of the hub", s.clock.Offset()))
	}
}
