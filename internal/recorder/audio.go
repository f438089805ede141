package recorder

import (
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/timeline"
)

// maxAudioAhead bounds how much audio waits for video of its time, in frames.
const maxAudioAhead = 500

// sound places audio frames between pictures. Audio waits until a picture of a later time is
// written, so that it never reaches into a fragment that is still to come: every fragment of KVS
// begins after the end of the one before, and has a frame of each track.
type sound struct {
	accessunit.AudioTrack
	timeline timeline.Timeline
	limit    audioRate // bounds what comes
	waiting  []audioFrame
	bytes    int       // of what waits
	spare    [][]byte  // memory of frames that were written
	last     time.Time // of the newest frame written
	written  bool      // the open fragment has audio
}

type audioFrame struct {
	at   time.Time
	data []byte
}

// audioLeft names the audio that is not recorded; see sink.
func (s *segmenter) audioLeft(names []string) {
	if len(names) == 0 {
		s.part.OK(scopeAudio)
		return
	}
	if s.part.Report(scopeAudio, health.Info, health.UserFault(codeAudio, nil,
		"The camera's audio is %s, which Kinesis Video Streams does not take, so that only its video is recorded: set it to AAC in mono or stereo, or set AWS_KVS_EDGE_AUDIO to off.", strings.Join(names, " and "))) {
		s.o.Log.Info("the camera's audio is not recorded", zap.Strings("codecs", names))
	}
}

// audio takes a frame of audio; see sink.
func (s *segmenter) audio(frame []byte, rtpTime uint32, now time.Time) {
	if s.sound == nil || s.session == 0 { // video leads
		return
	}
	if !s.admit(len(frame), now) {
		return
	}
	t := &s.sound.timeline
	t.FollowTrack(&s.timeline) // sound stays with the pictures
	if !t.Anchored() {         // it begins where the pictures are, which need not be where the clock is
		s.sound.wait(t.AnchorAt(rtpTime, now, s.timeline.Expected(now)), frame)
		return
	}
	at, jumped := t.Assign(rtpTime, now)
	if jumped {
		s.o.Log.Debug("the timestamps of the camera's audio jumped")
	}
	s.sound.wait(at, frame)
}

// wait keeps a copy of a frame.
func (s *sound) wait(at time.Time, frame []byte) {
	var data []byte
	if n := len(s.spare); n > 0 {
		data, s.spare = s.spare[n-1][:0], s.spare[:n-1]
	}
	s.waiting = append(s.waiting, audioFrame{at, append(data, frame...)})
	s.bytes += len(frame)
}

// drop forgets the n frames that wait the longest.
func (s *sound) drop(n int) {
	for _, f := range s.waiting[:n] {
		s.bytes -= len(f.data)
		if cap(f.data) <= maxSpareAudio {
			s.spare = append(s.spare, f.data)
		}
	}
	s.waiting = s.waiting[:copy(s.waiting, s.waiting[n:])]
}

// writeAudio writes the audio that lies before a picture.
func (s *segmenter) writeAudio(before time.Time) error {
	if s.sound == nil || !s.hasAudio || !s.inFragment {
		return nil
	}
	n := 0
	for _, f := range s.sound.waiting {
		if !f.at.Before(before) {
			break
		}
		if err := s.writeSound(f.at, f.data); err != nil {
			return err
		}
		n++
	}
	s.sound.drop(n)
	return nil
}

// ensureAudio puts silence into a fragment that has no audio yet.
func (s *segmenter) ensureAudio() error {
	if s.sound == nil || !s.hasAudio || s.sound.written {
		return nil
	}
	return s.writeSound(s.fragmentStart, s.sound.Silence)
}

func (s *segmenter) writeSound(at time.Time, data []byte) error {
	for _, least := range []time.Time{s.earliest(), s.sound.last.Add(time.Millisecond)} {
		if at.Before(least) {
			at = least
		}
	}
	s.parts = append(s.parts[:0], data)
	if err := s.writer.WriteFrame(accessunit.AudioNumber, at.Sub(s.start), true, s.parts); err != nil {
		return err
	}
	s.sound.last, s.sound.written = at, true
	if at.After(s.newest) {
		s.newest = at
	}
	s.o.numbers.bytes.Add(int64(len(data)))
	s.meter.besides(len(data))
	return nil
}
