package recorder

import (
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// The codes of the recorder's conditions. Those about the camera exclude each other, so that a
// camera has one sentence at a time.
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
	// codeAhead: producer timestamps were ahead of the hub's clock.
	codeAhead    = "times-ahead"
	codeInternal = supervise.Code
	// codeCameraClock: the camera's clock is configured as the source of timestamps, but cannot be used.
	codeCameraClock = "camera-clock"
)

// The scopes of a session: they describe the video that arrives now, and end with the session. What
// stops the recording as a whole is reported in health.ScopeRecord: one outcome, that of the last attempt.
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

// scopeUnset and scopeEpoch are for faults of the hub's clock at the time of a recording. They outlive sessions.
const (
	scopeUnset health.Scope = "unset-clock"
	scopeEpoch health.Scope = "epoch"
)

// pictureScopes are reported by a segmenter; sessionScopes include those of the session itself.
var (
	pictureScopes = []health.Scope{scopeDamage, scopeConstant, scopePace, scopeKeyframes, scopeClock}
	sessionScopes = append([]health.Scope{scopeAudio, scopeAudioRate, scopeAudioLoss, scopeForeign, scopeTracks}, pictureScopes...)
)

const (
	// jumpShown is how long a jump of the camera's timestamps is shown: it is an event, which is over when it is noticed.
	jumpShown = 10 * time.Minute
	// foreignShown is how long packets of another sender are shown after the last of them.
	foreignShown = time.Minute
	// unsetShown is how long the correction is shown of media that was recorded before the clock was set, or while it was
	// ahead; the log and the files beside the recordings keep it.
	unsetShown = 24 * time.Hour
)

// foreign reports that another sender's packets look like the camera's; see accessunit.Sink.
func (s *segmenter) foreign(from string, stranger bool) {
	fault := health.SystemFault(codeForeign, nil, "The camera sends the same stream from two places, of which one is left out: "+
		"restart it, as it may not have ended an earlier session.")
	if stranger {
		fault = health.UserFault(codeForeign, nil, "Packets that look like the camera's come from %s, an address that the camera did not name, "+
			"and are ignored: find out who sends them; if it is the camera, add ?source=any to the end of the secret's MediaURI.", from)
	}
	if fault = s.o.Sentence(fault); s.part.Note(scopeForeign, health.Info, fault, foreignShown) {
		logevent.Condition(s.o.Log, fault, zap.String("from", from))
	}
}
