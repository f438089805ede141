package recorder

import (
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

const (
	// audioLossInterval is how long what is lost of audio is counted over, and audioLossShown how long it is shown since the
	// last time that it was much.
	audioLossInterval = 10 * time.Second
	audioLossShown    = 30 * time.Second
	// Much is lost from so many packets on, when they are one in so many: 2 % can be heard.
	audioLossLeast = 5
	audioLossShare = 50
)

// soundWatch is what a segmenter knows of a session's audio beside its times.
type soundWatch struct {
	changed     bool // since the last keyframe
	since       time.Time
	lost, taken int64 // packets and frames since then
}

// count counts what came or was lost, and reports whether much is lost.
func (w *soundWatch) count(taken, lost int64, now time.Time) (much bool) {
	if now.Sub(w.since) >= audioLossInterval {
		w.since, w.taken, w.lost = now, 0, 0
	}
	w.taken += taken
	w.lost += lost
	return w.lost >= audioLossLeast && w.lost*audioLossShare >= w.taken+w.lost
}

// changeAudio takes what the audio of the session is from now on; see accessunit.Sink. A segment with a track for it begins
// with the next keyframe, unless the open one has it.
func (s *segmenter) changeAudio(track *accessunit.AudioTrack) {
	if s.audio != nil {
		s.audio.skipBefore(time.Unix(1<<40, 0)) // what waits is of the audio before
	}
	s.audio = newAudioTrack(s.o, *track, s.recording.newest)
	s.recording.changeAudio(track, len(s.tracks) > 1 && s.tracks[1].Equal(track.Track))
	s.sound.changed = true
}

// audioLost counts packets of audio that never became frames; see accessunit.Sink.
func (s *segmenter) audioLost(packets int64) {
	s.o.numbers.audioPacketsLost.Add(packets)
	if !s.sound.count(0, packets, s.o.Now()) || s.o.frozen() {
		return
	}
	fault := health.SystemFault(codeAudioLoss, nil,
		"More than 2 %% of the packets of the camera's audio are lost on their way or cannot be read; the video is recorded: check the "+
			"network between camera and hub, or set the camera's audio to AAC.")
	if s.o.Health.Note(scopeAudioLoss, health.Degraded, fault, audioLossShown) {
		logevent.Condition(s.o.Log, fault, zap.Int64("packets", s.sound.lost))
	}
}

// unsupportedAudio names the audio that is not recorded; see accessunit.Sink.
func (s *segmenter) unsupportedAudio(names []string) {
	if len(names) == 0 {
		s.part.OK(scopeAudio)
		return
	}
	fault := health.UserFault(codeAudio, nil,
		"The camera's audio is %s, which cannot be recorded, so that only its video is: "+
			"set it to AAC in mono or stereo, or set AWS_KVS_EDGE_AUDIO to off.", strings.Join(names, " and "))
	if s.part.Report(scopeAudio, health.Info, fault) {
		logevent.Condition(s.o.Log, fault, zap.Strings("codecs", names))
	}
}

// audioFrame takes a frame of audio; see accessunit.Sink.
func (s *segmenter) audioFrame(frame []byte, rtpTime uint32, now time.Time) {
	s.sound.count(1, 0, now)
	if s.audio == nil || s.session == 0 { // video leads
		return
	}
	s.audio.take(frame, rtpTime, now, &s.times.timeline)
}

// writeAudio writes the audio that lies before a frame.
func (s *segmenter) writeAudio(before time.Time) error {
	switch {
	case s.audio == nil:
		return nil
	case s.recording.takesAudio():
		return s.audio.writeBefore(before, &s.recording)
	case s.recording.fragment.open:
		s.audio.skipBefore(before)
	}
	return nil
}
