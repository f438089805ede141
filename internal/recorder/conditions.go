package recorder

import (
	"time"

	"go.uber.org/zap"

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
	codeTracks     = "other-tracks"
	codeAudioLoss  = "audio-loss"
	codeForeign    = "camera-source"
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
	scopeTracks    health.Scope = "other-tracks"
	scopeAudioLoss health.Scope = "audio-loss"
	scopeForeign   health.Scope = "foreign"
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
	sessionScopes = append([]health.Scope{scopeAudio, scopeAudioRate, scopeAudioLoss, scopeForeign, scopeTracks}, pictureScopes...)
)

const (
	// jumpShown is how long a jump of the camera's timestamps is shown: it is over when it is noticed.
	jumpShown = 10 * time.Minute
	// foreignShown is how long packets of others are shown after the last of them.
	foreignShown = time.Minute
	// unsetShown is how long the correction is shown for what was recorded before the clock was set, or while it was
	// ahead; it stays in the log and beside the recordings.
	unsetShown = 24 * time.Hour
)

// foreign says that somebody else sends what looks like the camera's; see accessunit.Sink.
func (s *segmenter) foreign(from string, stranger bool) {
	fault := health.SystemFault(codeForeign, nil, "The camera sends the same stream from two places, of which one is left out: "+
		"restart it, as it may not have ended an earlier session.")
	if stranger {
		fault = health.UserFault(codeForeign, nil, "Packets that look like the camera's come from %s, an address that the camera did not name, "+
			"and are ignored: find out who sends them; if it is the camera, add ?source=any to the end of the secret's MediaURI.", from)
	}
	if s.part.Note(scopeForeign, health.Info, s.o.Sentence(fault), foreignShown) {
		s.o.Log.Info("packets of another sender are left out", zap.String("code", codeForeign), zap.String("from", from))
	}
}
