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
	// audioLossInterval is the interval over which lost audio is counted; audioLossShown is how long a high loss is shown after
	// it was last measured.
	audioLossInterval = 10 * time.Second
	audioLossShown    = 30 * time.Second
	// A loss is high from audioLossLeast packets on, when one in audioLossShare is lost: 2 % can be heard.
	audioLossLeast = 5
	audioLossShare = 50
)

// soundWatch is what a segmenter knows about a session's audio besides its times.
type soundWatch struct {
	changed     bool // since the last keyframe
	since       time.Time
	lost, taken int64 // packets and frames since then
}

// count counts received and lost audio, and reports whether much is lost.
func (w *soundWatch) count(taken, lost int64, now time.Time) (much bool) {
	if now.Sub(w.since) >= audioLossInterval {
		w.since, w.taken, w.lost = now, 0, 0
	}
	w.taken += taken
	w.lost += lost
	return w.lost >= audioLossLeast && w.lost*audioLossShare >= w.taken+w.lost
}

// changeAudio sets the audio of the session from now on; see accessunit.Sink. A segment with a track for it starts
// at the next keyframe, unless the open one has it.
func (s *segmenter) changeAudio(track *accessunit.AudioTrack) {
	if s.audio != nil {
		s.audio.skipBefore(time.Unix(1<<40, 0)) // the waiting frames are of the previous audio
	}
	s.audio = newAudioTrack(s.o, *track, s.recording.newest)
	s.recording.changeAudio(track, len(s.tracks) > 1 && s.tracks[1].Equal(track.Track))
	s.sound.changed = true
}

// audioLost counts packets of audio that could not be made into frames; see accessunit.Sink.
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

// unsupportedAudio reports the audio that is not recorded; see accessunit.Sink.
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

// audioFrame accepts a frame of audio; see accessunit.Sink.
func (s *segmenter) audioFrame(frame []byte, rtpTime uint32, now time.Time) {
	s.sound.count(1, 0, now)
	if s.audio == nil || s.session == 0 { // the video comes first
		return
	}
	s.audio.take(frame, rtpTime, now, &s.times.timeline)
}

// writeAudio writes the audio before a frame.
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
