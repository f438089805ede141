package recorder

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// The codes of the recorder's conditions. Those of the camera exclude each other, so that one
// camera has one sentence.
const (
	codeCamera     = accessunit.CodeCamera
	codeUnreadable = "camera-data"
	codeStore      = "recording"
	codeJump       = "timestamps"
	codeKeyframes  = "keyframe-interval"
	codeClock      = "clock-step"
	codeAudio      = "audio"
	codeAudioRate  = "audio-rate"
	codeAudioLoss  = "audio-loss"
	// codeAhead says that times were ahead of the hub's clock.
	codeAhead    = "times-ahead"
	codeInternal = supervise.Code
	// codeCameraClock says that the camera's time was asked for and cannot be taken.
	codeCameraClock = "camera-clock"
)

// The scopes of a session: what they report is of the video that comes now, and ends with the session. What
// stops the recording as a whole is health.ScopeRecord: one outcome, that of the last try.
const (
	scopeDamage    health.Scope = "damage"
	scopeJump      health.Scope = "jump"
	scopeConstant  health.Scope = "constant"
	scopePace      health.Scope = "pace"
	scopeKeyframes health.Scope = "keyframes"
	scopeAudio     health.Scope = "audio"
	scopeAudioRate health.Scope = "audio-rate"
	scopeAudioLoss health.Scope = "audio-loss"
	scopeClock     health.Scope = "camera-clock"
)

// scopeUnset and scopeEpoch are the hub's clock at the time of a recording. They outlive sessions.
const (
	scopeUnset health.Scope = "unset-clock"
	scopeEpoch health.Scope = "epoch"
)

// pictureScopes are reported by a segmenter, sessionScopes also by the session itself.
var (
	pictureScopes = []health.Scope{scopeDamage, scopeConstant, scopePace, scopeKeyframes, scopeClock}
	sessionScopes = append([]health.Scope{scopeAudio, scopeAudioRate, scopeAudioLoss}, pictureScopes...)
)

const (
	// jumpShown is how long a jump of the camera's timestamps is shown: it is over when it is noticed.
	jumpShown = 10 * time.Minute
	// unsetShown is how long the correction is shown for what was recorded before the clock was set, or while it was
	// ahead; it stays in the log and beside the recordings.
	unsetShown = 24 * time.Hour
)
